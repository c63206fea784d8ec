"""The process round a gateway: log, descriptors, event loop, signals, garbage collector."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from headgate import clock as system_clock
from headgate import log
from headgate.assembly.gateway import Gateway
from headgate.clock import Clock
from headgate.config.loading import Loaded
from headgate.record.division import divide

_NEVER_BY_ITSELF = 1_000_000_000
_FULL_SEARCH_SECONDS = 600.0

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3), from malloc.h."""
_KEPT_BYTES = 16 << 20
_APART_BYTES = 4 << 20


def run(loaded: Loaded, *, clock: Clock | None = None) -> int:
    """Run the gateway until a signal ends it. Returns 0; raises HeadgateError when it cannot start."""
    recorder = divide()
    log.configure(loaded.settings.log.model_dump())
    _keep_freed_memory()
    _raise_descriptor_limit()
    gateway = Gateway(loaded, clock or system_clock, recorder)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(gateway.live(take_signals=_take_signals, when_open=_spare_the_collector))
    return 0


def _take_signals(gateway: Gateway) -> None:
    """From before anything is open: the first SIGINT or SIGTERM ends the start or asks for the drain, the
    second cuts that short; SIGHUP reloads the settings."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl+C ends the runner
            loop.add_signal_handler(number, gateway.ask_to_stop)
    if hasattr(signal, "SIGHUP"):
        had_terminal = _has_terminal()

        def on_hangup() -> None:
            """Sent to reload, or by a terminal that was closed."""
            if had_terminal and not _has_terminal():
                gateway.ask_to_stop()
            else:
                gateway.ask_to_reload()

        loop.add_signal_handler(signal.SIGHUP, on_hangup)


def _has_terminal() -> bool:
    """Does a terminal control this process?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _spare_the_collector() -> None:
    """What start-up made lives as long as the process: it need not be searched for garbage again.

    The relay makes hardly any cycles, so the young generation may grow larger before it is searched. The old
    one holds what ten thousand open streams are made of: searching it stops everybody for a quarter of a
    second. By itself that comes whenever there are a quarter more of them; here it comes by the clock.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, _NEVER_BY_ITSELF)
    asyncio.get_running_loop().call_later(_FULL_SEARCH_SECONDS, _search_everything)


def _search_everything() -> None:
    gc.collect()
    asyncio.get_running_loop().call_later(_FULL_SEARCH_SECONDS, _search_everything)


def _keep_freed_memory() -> None:
    """Bodies come and go: what one leaves is for the next, a few megabytes of it at any time.

    glibc gives the end of its heap back as soon as some hundred kB of it are free, and maps apart what is
    larger: the pages of each body then come from the system anew, and cleared. That was a third of the
    kernel's time for a request of 220 kB. What is very large still goes back at once.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library has no such function
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _APART_BYTES)


def _raise_descriptor_limit() -> None:
    """Two descriptors per open stream: the usual soft limit of 1 024 ends at 500."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
