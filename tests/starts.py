"""Starts `headgate`, from the outside, quickly: see `tests.starter`.

`HEADGATE_TEST_STARTS=installed` starts the installed program each time instead, as `make test-all` does.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Protocol, Self

PROGRAM = Path(sys.executable).with_name("headgate")
IS_INSTALLED = os.environ.get("HEADGATE_TEST_STARTS") == "installed" or not hasattr(os, "pidfd_open")
_ROOT = Path(__file__).parent.parent


class Running(Protocol):
    """What a started process can be asked; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Started:
    """A child of the starter. Its pid is its own until its end was asked for here."""

    def __init__(self, starter: "_Starter", pid: int, command: Sequence[str]) -> None:
        self._starter = starter
        self.pid = pid
        self.args = command
        self.returncode: int | None = None
        """As `subprocess` has it: negative is the number of a signal."""
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            end = select.poll()
            end.register(self._end, select.POLLIN)
            if not end.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
            self.returncode = os.waitstatus_to_exitcode(self._starter.ask({"reap": self.pid}))
            os.close(self._end)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Starter:
    """One for each test process, begun by its first start."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", _ROOT / "tests" / "starter.py", str(theirs.fileno())],
                cwd=_ROOT,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._end)

    def ask(self, order: Mapping[str, Any], streams: Sequence[int] = ()) -> int:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(order).encode()], streams)
            return int(json.loads(self._control.recv(100)))

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


_starter: _Starter | None = None


def start(
    command: Sequence[str],
    *,
    module: str = "",
    folder: Path,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
    open_files: int | None = None,
) -> Running:
    """`headgate COMMAND`, or `python -m MODULE COMMAND`, on these descriptors; whoever calls this ends it."""
    if IS_INSTALLED:
        limits = ["prlimit", f"--nofile={open_files}:{open_files}"] if open_files else []
        launcher = [*limits, *([sys.executable, "-m", module] if module else [str(PROGRAM)])]
        return subprocess.Popen(
            [*launcher, *command],
            cwd=folder,
            env={"PYTHONPATH": str(_ROOT), **environment},
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
        )
    global _starter  # noqa: PLW0603 - one for each process, and none where nothing is started
    if _starter is None:
        _starter = _Starter()
    named = [str(PROGRAM), *command]
    order = {
        "command": named,
        "module": module,
        "folder": str(folder),
        "environment": dict(environment),
        "open_files": open_files,
    }
    return Started(_starter, _starter.ask(order, streams), named)


class Talking:
    """A started process that is written to and read from while it runs, with what `subprocess.Popen` has."""

    def __init__(
        self, process: Running, streams: tuple[IO[Any] | None, IO[Any] | None, IO[Any] | None]
    ) -> None:
        self._process = process
        self.stdin, self.stdout, self.stderr = streams
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def send_signal(self, sig: int) -> None:
        self._process.send_signal(sig)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self.wait()


def talk(
    command: Sequence[str],
    *,
    module: str = "",
    folder: Path,
    environment: Mapping[str, str],
    stdin: int = subprocess.PIPE,
    stdout: int | None = subprocess.PIPE,
    text: bool = False,
) -> Talking:
    """Start it with pipes; `stdin` may be DEVNULL, `stdout` a descriptor, or None for the tests' own."""
    ours: list[IO[Any] | None] = []
    theirs: list[int] = []
    with ExitStack() as given:
        for number, wanted in enumerate((stdin, stdout, subprocess.PIPE if text else None)):
            if wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                keep, give = (writing, reading) if number == 0 else (reading, writing)
                given.callback(os.close, give)
                ours.append(os.fdopen(keep, ("w" if number == 0 else "r") + ("" if text else "b")))
            else:
                ours.append(None)
                if wanted == subprocess.DEVNULL:
                    give = os.open(os.devnull, os.O_RDWR)
                    given.callback(os.close, give)
                else:
                    give = number if wanted is None else wanted
            theirs.append(give)
        process = start(
            command,
            module=module,
            folder=folder,
            environment=environment,
            streams=(theirs[0], theirs[1], theirs[2]),
        )
    return Talking(process, (ours[0], ours[1], ours[2]))


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float = 60.0,
) -> "subprocess.CompletedProcess[bytes]":
    """`headgate COMMAND` to its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        streams = (given.fileno(), out.fileno(), err.fileno())
        process = start(command, folder=folder, environment=environment, streams=streams)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(command), code, out.read(), err.read())
