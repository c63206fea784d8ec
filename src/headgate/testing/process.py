"""The simulated provider as its own process, held by a handle: for tests, the demo and the benchmark."""

import json
import subprocess
import sys
from base64 import b64decode
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_CONTROL_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 10.0
_BYTE_FIELDS = ("head", "body", "sent_head", "sent_body")


class SimulatedProvider:
    """Start, script, ask for the books, stop. Usable as a context manager, plain or async.

    The process ends with its starter: its standard input is a pipe of ours. Calls block for a moment only, so
    they may stand in async tests; the provider never needs the caller's event loop.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Path | None = None,
        books: Path | None = None,
    ) -> None:
        self._arguments = ["--host", host, "--port", str(port), "--attached"]
        if clock is not None:
            self._arguments += ["--clock", str(clock)]
        if books is not None:
            self._arguments += ["--books", str(books)]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> str:
        """Start the process; returns its base URL once it answers."""
        command = [sys.executable, "-m", "headgate.testing.provider", *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("The simulated provider did not start; its error is on standard error.")
        self.url = str(json.loads(line)["url"])
        return self.url

    def stop(self) -> None:
        """End the process and wait for it. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "The provider is not running."
        return self._process.pid

    # ---- control ----

    def script(self, key: str = "*", **parts: Any) -> None:
        """Tell one account, or all (`*`), what to do; the parts are those of `provider.script.Script`."""
        self._control("POST", "script", {"key": key, **parts})

    def reset(self) -> None:
        """Forget scripts, accounts, objects and books."""
        self._control("POST", "reset")

    def keep_bytes(self, wanted: bool) -> None:
        """Whether received and sent bytes are kept beside their digests; a load run turns it off."""
        self._control("POST", "record", {"bytes": wanted})

    def books(self, *, with_requests: bool = True) -> dict[str, Any]:
        """`count`, `keys` (requests, statuses, usage of each) and `requests` by request id."""
        books: dict[str, Any] = self._control("GET", f"books?requests={'yes' if with_requests else 'no'}")
        return books

    def received(self, after: int = 0) -> list[dict[str, Any]]:
        """Requests numbered above `after`; `head`, `body`, `sent_head` and `sent_body` are bytes."""
        rows: list[dict[str, Any]] = self._control("GET", f"received?after={after}")
        return [row | {name: b64decode(row[name]) for name in _BYTE_FIELDS} for row in rows]

    def open_connections(self) -> int:
        """Connections that clients hold open now, this question's own left out."""
        return int(self._control("GET", "connections")["open"]) - 1

    # ---- people who sign in ----

    def sign_in(self, **script: Any) -> None:
        """Tell the sign-in server what to do: the fields of `provider.sign_in_script.SignInScript`."""
        self._control("POST", "sign_in", script)

    def grant(self, login: str, **fields: Any) -> dict[str, Any]:
        """`access_token`, `refresh_token`, `expires_at`; with `lifetime_seconds=-1` expired already."""
        granted: dict[str, Any] = self._control("POST", "grants", {"login": login, **fields})
        return granted

    def revoke(self, login: str) -> int:
        """End every grant of this person; says how many there were."""
        return int(self._control("POST", "revoke", {"login": login})["revoked"])

    def sign_ins(self) -> dict[str, Any]:
        """Counts and live tokens by login; under "" what came with a token that is nobody's."""
        people: dict[str, Any] = self._control("GET", "sign_ins")
        return people

    def approve(self, user_code: str, login: str | None = None) -> None:
        """Say yes on the page that a device sent its person to."""
        self._control("POST", "device", {"user_code": user_code, "approved": True, "login": login})

    def deny(self, user_code: str) -> None:
        self._control("POST", "device", {"user_code": user_code, "approved": False})

    def _control(self, method: str, route: str, body: Any = None) -> Any:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_CONTROL_TIMEOUT_SECONDS)
        try:
            connection.request(
                method, f"/_sim/{route}", json.dumps(body).encode() if body is not None else None
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"The simulated provider refused {route}: {answer['error']}")
        return answer

    # ---- with ----

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
