"""`headgate serve` with a fault in it: `python -m tests.serve_with_faults CONFIG PORT`.

Its adapter of the provider raises what nobody has thought of, as often as the provider says `PROVOKE`; its
lane does when it is given so many connections as `REFUSED_CONNECTIONS`; its tape does at an answer that says
`SPOIL`. In all else this is the real program.
"""

import sys
from pathlib import Path

from headgate.access.callers import Callers
from headgate.assembly import gateway, parts
from headgate.assembly.process import run
from headgate.config import environment
from headgate.config.loading import load_settings
from headgate.config.settings import ServerSettings
from headgate.providers.anthropic import AnthropicProvider
from headgate.providers.provider import Provider, ProviderError
from headgate.relay import capture
from headgate.relay.attempts import Relay
from headgate.relay.tape import Tape
from headgate.server.lane import FastLane

PROVOKE = "provoke a fault"
REFUSED_CONNECTIONS = 4242
SPOIL = "spoil-the-tape"


class FaultyProvider(AnthropicProvider):
    def read_error(self, status: int, body: bytes, now: float) -> ProviderError:
        if PROVOKE.encode() in body:
            raise LookupError(f"an error that nobody has thought of: {body.decode()}")
        return super().read_error(status, body, now)


class FaultyLane(FastLane):
    def replace(
        self, relay: Relay, callers: Callers, limits: ServerSettings, *, passes_traces: bool = True
    ) -> None:
        super().replace(relay, callers, limits, passes_traces=passes_traces)
        if limits.max_connections == REFUSED_CONNECTIONS:
            raise LookupError("an error that nobody has thought of")


class FaultyTape(Tape):
    def feed(self, piece: bytes) -> None:
        if SPOIL.encode() in piece:
            raise LookupError("an error that nobody has thought of")
        super().feed(piece)


def _all_providers() -> dict[str, Provider]:
    return {FaultyProvider().name: FaultyProvider()}


def main(config: str, port: str) -> int:
    parts.all_providers = _all_providers
    gateway.FastLane = FaultyLane  # type: ignore[misc]
    capture.Tape = FaultyTape  # type: ignore[misc]
    return run(load_settings({"server.port": int(port)}, environment.current(), Path(config)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
