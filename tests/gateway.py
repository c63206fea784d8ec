"""A real `headgate serve` as its own process, held by a handle: for the journeys and the guides.

Settings, data, log and control socket lie in one folder of the test's; nothing of the environment that
would set something reaches the gateway.
"""

import asyncio
import json
import os
import queue
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests import starts
from tests.starts import PROGRAM, Running

__all__ = ["PROGRAM"]

CLIENT_KEY = "hg_journey"
"""Accepted by every gateway that is not told otherwise."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For httpx where nobody speaks TLS: to read all authorities' certificates takes it 27 ms each time."""
PATIENCE_SECONDS = 20.0
"""No condition takes this long; what does has failed."""

_ADDRESS = re.compile(r'Server running on (https?://[^\s"]+)')
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.05


class Gateway:
    """Start, question, kill, start again, stop. Usable as a context manager, plain or async.

    `accounts` are entries of the setting, or names: the simulated account `NAME` has the key
    `sk-ant-sim-NAME` and lives at `provider`. `settings` are merged over the defaults below, section by
    section. Calls block for a moment only; a gateway never needs the caller's event loop.
    """

    def __init__(
        self,
        folder: Path,
        *,
        provider: str = "",
        accounts: Iterable[str | Mapping[str, Any]] = ("one",),
        settings: Mapping[str, Any] | None = None,
        database: str | None = None,
        clock: Path | None = None,
        is_faulty: bool = False,
        environment: Mapping[str, str] | None = None,
        open_files: int | None = None,
    ) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.data = folder / "data"
        self.log_file = folder / "headgate.log"
        self.url = ""
        self.trust: ssl.SSLContext | None = None
        """Where it speaks HTTPS: whose certificates are believed."""
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "COLUMNS": "200",
            "HEADGATE_DATA_DIR": str(self.data),
            **(environment or {}),
        }
        self._clock = clock
        self._is_faulty = is_faulty
        self._open_files = open_files
        self._port = 0
        self._process: Running | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._write_settings(provider, accounts, settings or {}, database)

    def _write_settings(
        self,
        provider: str,
        accounts: Iterable[str | Mapping[str, Any]],
        settings: Mapping[str, Any],
        database: str | None,
    ) -> None:
        wanted: dict[str, Any] = {
            "server": {"port": 0, "shutdown_grace_seconds": 5},
            "access": {"api_keys": [CLIENT_KEY]},
            "retry": {"delay_ms": 10},
            "pricing": {"refresh_hours": 0},  # nothing of a test goes out into the world
            "log": {"file": str(self.log_file), "color": "never"},
            "accounts": [_declared(account, provider) for account in accounts],
        }
        if database is not None:
            wanted["storage"] = {"url": database}
        for section, values in settings.items():
            is_group = isinstance(values, Mapping) and isinstance(wanted.get(section), dict)
            wanted[section] = {**wanted[section], **values} if is_group else values
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(wanted, indent=1), encoding="utf-8")  # JSON is YAML as well

    def listen_on(self, port: int) -> None:
        """Before the start, for a test that has to know the port beforehand."""
        self._port = port

    # ---- its life --------------------------------------------------------------------------------

    def start(self) -> str:
        """Start it, or start it again on the same port; returns its base URL once it listens."""
        assert self._process is None, "The gateway runs already."
        reading, writing = os.pipe()
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(reading, said), daemon=True)
        self._reader.start()
        with Path(os.devnull).open() as nothing, os.fdopen(writing, "wb") as output:
            self._process = self._begin((nothing.fileno(), output.fileno(), output.fileno()))
        try:
            url = said.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            url = None
        if url is None:
            self.stop()
            raise RuntimeError(f"The gateway did not start:\n{self.output_text()}")
        self.url = url
        self._port = urlsplit(url).port or 0
        return url

    @property
    def served(self) -> list[str]:
        """What every launcher takes at the end of its command line."""
        return [str(self.config), str(self._port)]

    def program(self) -> tuple[str, list[str]]:
        """The module that is started, "" for `headgate` itself, and its command line."""
        if self._is_faulty:
            return "tests.serve_with_faults", self.served
        if self._clock is not None:
            return "tests.serve_with_clock", [str(self._clock), *self.served]
        return "", ["serve", "--config", str(self.config), "--port", str(self._port)]

    def _begin(self, streams: tuple[int, int, int]) -> Running:
        module, command = self.program()
        return starts.start(
            command,
            module=module,
            folder=self.folder,  # a relative path among the settings ends there
            environment=self.environment,
            streams=streams,
            open_files=self._open_files,
        )

    def _read(self, output: int, said: "queue.SimpleQueue[str | None]") -> None:
        """Ends with the last process that writes there: a killed gateway's recorder outlives it."""
        with os.fdopen(output, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._lines.append(line)
                if found := _ADDRESS.search(line):
                    said.put(found[1])
        said.put(None)

    def stop(self, *, expect_code: int | None = None) -> int | None:
        """SIGTERM and wait; its exit code. Safe to call twice, and on one that is dead."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            code = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        if self._reader is not None:
            self._reader.join(PATIENCE_SECONDS)
        assert expect_code is None or code == expect_code, self.output_text()
        return code

    def kill(self) -> None:
        """SIGKILL to the gateway. Its recorder reads the journal to the end by itself, then ends."""
        process, self._process = self._process, None
        assert process is not None, "The gateway does not run."
        process.kill()
        process.wait()

    def kill_recorder(self) -> int:
        """SIGKILL to the recorder, which the gateway starts again; returns the pid that died."""
        pid = self.recorder_pid()
        assert pid is not None, "The recorder does not run."
        os.kill(pid, signal.SIGKILL)
        return pid

    @property
    def address(self) -> tuple[str, int]:
        """For a plain socket."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    @property
    def pid(self) -> int:
        assert self._process is not None, "The gateway does not run."
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def recorder_pid(self) -> int | None:
        """The process whose parent the gateway is and whose program is the recorder."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                program = (entry / "cmdline").read_bytes() + (entry / "comm").read_bytes()
            except OSError:
                continue  # it ended between the two looks
            state, parent = stat.rpartition(")")[2].split()[:2]
            if int(parent) == self.pid and state != "Z" and re.search(rb"headgate.record", program):
                return int(entry.name)
        return None

    # ---- what it says ----------------------------------------------------------------------------

    def admin(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """The JSON answer of an owner's route, open on loopback. Raises ValueError for an error."""
        status, answer = self.ask(method, path, body=json.dumps(body).encode() if body is not None else None)
        if status >= 400:
            raise ValueError(f"{method} {path} was answered {status}: {answer[:500]!r}")
        return json.loads(answer)

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of any request."""
        address = urlsplit(self.url)
        host, port = address.hostname or "", address.port
        connection = HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
        if address.scheme == "https":
            connection = HTTPSConnection(host, port, timeout=PATIENCE_SECONDS, context=self.trust)
        try:
            sent = {"content-type": "application/json", **(headers or {})} if body is not None else headers
            connection.request(method, path, body, dict(sent or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def account(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.admin(f"/api/accounts/{name}")
        return found

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """Every stored request, newest first, over all pages."""
        rows: list[dict[str, Any]] = []
        query = "&".join(f"{name}={value}" for name, value in {"limit": 500, **filters}.items())
        cursor = ""
        while True:
            page = self.admin(f"/api/requests?{query}{cursor}")
            rows += page["requests"]
            if not page["next_cursor"]:
                return rows
            cursor = f"&cursor={page['next_cursor']}"

    def record_of(self, request_id: str) -> dict[str, Any]:
        """The stored record of one request; waits until the recorder has written it."""
        path = f"/api/requests/{request_id}"
        wait_until(lambda: self.ask("GET", path)[0] == 200, what=f"a record of {request_id}")
        found: dict[str, Any] = self.admin(path)
        return found

    def log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def output_text(self) -> str:
        """Standard output and error, of all its lives."""
        return "".join(self._lines)

    def command(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `headgate …` on the same settings and data."""
        ended = starts.run(
            [*arguments, "--config", str(self.config)],
            folder=Path.cwd(),
            environment={**self.environment, **environment},
            stdin=stdin.encode(),
        )
        out, err = ended.stdout.decode(), ended.stderr.decode()
        return subprocess.CompletedProcess(ended.args, ended.returncode, out, err)

    # ---- with ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()


def _declared(account: str | Mapping[str, Any], provider: str) -> dict[str, Any]:
    if not isinstance(account, str):
        return {**({"base_url": provider} if provider else {}), **account}
    return {"name": account, "api_key": f"sk-ant-sim-{account}", "base_url": provider}


def wait_until(
    condition: Callable[[], object], *, what: str = "It", seconds: float = PATIENCE_SECONDS
) -> None:
    """Ask until the answer is true: for what another process does and nobody tells us."""
    began = time.monotonic()
    while not condition():
        time.sleep(_pause(began, seconds, what))


async def until(condition: Callable[[], Any], *, what: str = "It", seconds: float = PATIENCE_SECONDS) -> None:
    """The same beside tasks of this event loop. The condition may be a coroutine function."""
    began = time.monotonic()
    while True:
        answer = condition()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        await asyncio.sleep(_pause(began, seconds, what))


def _pause(began: float, seconds: float, what: str) -> float:
    """Before the next look, in seconds: a tenth of the wait so far. A look costs both sides time that others
    could use."""
    waited = time.monotonic() - began
    assert waited < seconds, f"{what} did not come to pass."
    return min(_SHORTEST_PAUSE_SECONDS + waited / 10, _LONGEST_PAUSE_SECONDS)
