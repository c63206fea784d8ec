"""A process that has loaded what `headgate` needs and divides itself for every start; see `tests.starts`.

What a start costs is nearly all the loading of libraries, and a run of the tests has two thousand starts.
What runs in the end is the whole program with the command line, environment, folder and streams that it was
given; only its modules were loaded before. The command line's own are not: some look at the environment then.
"""

import atexit
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import Any, NoReturn

LARGEST_ORDER_BYTES = 200_000
LOADED_BEFORE = (
    "headgate.admin.app",
    "headgate.assembly.process",
    "headgate.config.schema",
    "headgate.storage.migrations.upgrade",
    "headgate.testing.clock",
    "aiosqlite",
    "alembic.command",
    "anyio._backends._asyncio",
    "concurrent.futures.thread",
    "encodings.idna",
    "encodings.utf_8_sig",
    "httpcore",
    "httpx",
    "rich._emoji_codes",
    "rich.table",
    "ruamel.yaml",
    "ruamel.yaml.mergevalue",
    "typer._adapters",
    "typer._click.decorators",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)


def main(control: socket.socket) -> None:
    """Ends with the test process, or as what it was told to be."""
    for name in LOADED_BEFORE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while (order := _next_order(control)) is not None:
        if "reap" in order:
            control.send(json.dumps(os.waitpid(order["reap"], 0)[1]).encode())
        elif child := os.fork():
            for stream in order["streams"]:
                os.close(stream)
            control.send(json.dumps(child).encode())
        else:
            control.close()
            _become(order)
            return


def _next_order(control: socket.socket) -> dict[str, Any] | None:
    content, streams, _, _ = socket.recv_fds(control, LARGEST_ORDER_BYTES, 3)
    return {**json.loads(content), "streams": streams} if content else None


def _become(order: dict[str, Any]) -> None:
    _take_streams(order["streams"])
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    if limit := order["open_files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    time.tzset()
    tempfile.tempdir = None  # it was found in the environment from before
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = order["command"]
    try:
        if module := order["module"]:
            sys.exit(importlib.import_module(module).main(*sys.argv[1:]))
        importlib.import_module("headgate.cli.app").main()
        _end(0)
    except SystemExit as ended:
        _end(ended.code)


def _end(code: str | int | None) -> NoReturn:
    """As Python does when it ends, but for taking all that was loaded apart: half of a short command's
    time, since each page that is shared with the starter would be copied for it."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    code = code or 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code)


def _take_streams(streams: list[int]) -> None:
    """As Python itself opens them in an environment without a language."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    lines = 1 if os.isatty(1) else -1
    sys.stdout = os.fdopen(1, "w", lines, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the tests, and they say when
    main(socket.socket(fileno=int(sys.argv[1])))
