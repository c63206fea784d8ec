"""`headgate serve` with a fault in it: `python -m tests.serve_with_faults CONFIG PORT`.

Its adapter of the provider raises what nobody has thought of, as often as the provider says `PROVOKE`; in all
else this is the real program.
"""

import sys
from pathlib import Path

from headgate.assembly import parts
from headgate.assembly.process import run
from headgate.config import environment
from headgate.config.loading import load_settings
from headgate.providers.anthropic import AnthropicProvider
from headgate.providers.provider import Provider, ProviderError

PROVOKE = "provoke a fault"


class FaultyProvider(AnthropicProvider):
    def read_error(self, status: int, body: bytes, now: float) -> ProviderError:
        if PROVOKE.encode() in body:
            raise LookupError(f"an error that nobody has thought of: {body.decode()}")
        return super().read_error(status, body, now)


def _all_providers() -> dict[str, Provider]:
    return {FaultyProvider().name: FaultyProvider()}


def main(config: str, port: str) -> int:
    parts.all_providers = _all_providers
    return run(load_settings({"server.port": int(port)}, environment.current(), Path(config)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
