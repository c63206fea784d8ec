"""`headgate serve` that dies at one step of a token refresh.

`python -m tests.serve_with_deaths STEP CONFIG PORT` kills itself with SIGKILL the first time it comes to the
step; in all else this is the real program.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from headgate.assembly.process import run
from headgate.config import environment
from headgate.config.loading import load_settings
from headgate.storage.sign_ins import SignInStore

STEPS = ("before the turn", "behind the turn", "before the tokens are kept", "behind the tokens are kept")


def _dying(method: Callable[..., Awaitable[Any]], *, is_before: bool) -> Callable[..., Awaitable[Any]]:
    async def dying(*arguments: Any, **named: Any) -> Any:
        if not is_before:
            await method(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


def main(step: str, config: str, port: str) -> int:
    name = "take_turn" if "turn" in step else "keep"
    method = getattr(SignInStore, name)
    setattr(SignInStore, name, _dying(method, is_before=step.startswith("before")))
    return run(load_settings({"server.port": int(port)}, environment.current(), Path(config)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
