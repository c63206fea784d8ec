"""`python -m headgate.testing.provider`: the simulated provider as a process of its own."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from headgate.testing.clock import SharedClock
from headgate.testing.provider.books import Books
from headgate.testing.provider.connection import Connection
from headgate.testing.provider.simulator import Simulator

if sys.platform != "win32":
    import resource

    import uvloop

    _loop_factory = uvloop.new_event_loop
else:
    _loop_factory = asyncio.new_event_loop

_BACKLOG = 4096


def main() -> int:
    options = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING)
    _allow_many_connections()
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(_serve(options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m headgate.testing.provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--clock", type=Path, help="file of a shared clock that windows and resets follow")
    parser.add_argument("--books", type=Path, help="file that gets one JSON line for every finished request")
    parser.add_argument("--attached", action="store_true", help="end when standard input is closed")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    clock = SharedClock(options.clock) if options.clock else None
    simulator = Simulator(clock.now if clock else time.time, Books(options.books))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(simulator), options.host, options.port, backlog=_BACKLOG
    )
    port = server.sockets[0].getsockname()[1]
    simulator.origin = f"http://{options.host}:{port}"
    ended = asyncio.Event()
    _end_on_signals(loop, ended)
    if options.attached:
        loop.add_reader(sys.stdin.fileno(), _read_until_closed, ended)
    sys.stdout.write(json.dumps({"url": simulator.origin}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()
    for connection in list(simulator.connections):
        connection.close()
    await server.wait_closed()
    simulator.books.close()


def _allow_many_connections() -> None:
    """The usual soft limit of 1 024 descriptors is less than a load run's connections."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_on_signals(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)


def _read_until_closed(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        ended.set()


if __name__ == "__main__":
    sys.exit(main())
