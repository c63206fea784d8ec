"""The recorder as a process: niceness, signals, what it is told on its standard input, its exit code."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from headgate.clock import SystemClock
from headgate.log import configure
from headgate.record.recorder import Order, Recorder, Wishes

_NICENESS = 10
"""On a busy machine the gateway goes first: a record can wait in the journal, a client cannot."""


def main() -> int:
    """Returns the exit code when the input ended, or a SIGTERM came, and everything is stored."""
    # Ctrl+C reaches the whole group of processes; the gateway says when we are done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    # What no line of ours shows need not be looked up for each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    told = _told_by_the_gateway()
    if (line := next(told, None)) is None:
        return 0  # the gateway did not come so far
    order = msgspec.json.decode(line, type=Order)
    configure(order.wishes.log, own_file=True)
    return asyncio.run(_run(order, told))


def _told_by_the_gateway() -> Iterator[bytes]:
    """The order, then other wishes, a line each, until the gateway goes.

    By `os.read`: a thread that waits in `sys.stdin` would hold up the end of the process.
    """
    held = b""
    while data := os.read(0, 65_536):
        *lines, held = (held + data).split(b"\n")
        yield from lines


async def _run(order: Order, told: Iterator[bytes]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop(*_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    recorder = Recorder(order, SystemClock(), stop)

    def obey(line: bytes) -> None:
        wishes = msgspec.json.decode(line, type=Wishes)
        configure(wishes.log, own_file=True)
        recorder.obey(wishes)

    def wait_for_the_gateway_to_go() -> None:
        with suppress(RuntimeError):
            for line in told:
                loop.call_soon_threadsafe(obey, line)
        ask_to_stop()

    signal.signal(signal.SIGTERM, ask_to_stop)
    # A thread, because not every platform's event loop can watch a pipe.
    threading.Thread(target=wait_for_the_gateway_to_go, daemon=True).start()
    return await recorder.run()
