"""`headgate serve` on a clock that a test sets: `python -m tests.serve_with_clock CLOCK CONFIG PORT`.

Two days of waiting for a limit's end take milliseconds then; in all else this is the real program.
"""

import sys
from pathlib import Path

from headgate.assembly.process import run
from headgate.config import environment
from headgate.config.loading import load_settings
from headgate.testing.clock import SharedClock


def main(clock: str, config: str, port: str) -> int:
    loaded = load_settings({"server.port": int(port)}, environment.current(), Path(config))
    return run(loaded, clock=SharedClock(clock))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
