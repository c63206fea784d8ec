"""The owner changes an account while requests run on it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.gateway import PATIENCE_SECONDS, Gateway, wait_until
from tests.guides.asking import message

OLD_KEY, NEW_KEY = "sk-ant-old", "sk-ant-new"
REFUSAL = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'


class SlowToRefuse(ThreadingHTTPServer):
    """Accepts the new key at once and refuses the old one when it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.was_asked = threading.Event()
        self.may_refuse = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SlowToRefuse

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        is_old = self.headers["x-api-key"] == OLD_KEY
        if is_old:
            self.server.was_asked.set()
            self.server.may_refuse.wait(PATIENCE_SECONDS)
        body = REFUSAL if is_old else b'{"type":"message"}'
        self.send_response(401 if is_old else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def refusing() -> Iterator[SlowToRefuse]:
    with SlowToRefuse() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.may_refuse.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed meanwhile", "not changed"])
def test_a_late_refusal_is_about_the_key_that_was_sent(
    tmp_path: Path, refusing: SlowToRefuse, is_changed: bool
) -> None:
    """A 401 that comes after the owner gave a new key says nothing about the new one."""
    account = {"name": "one", "api_key": OLD_KEY, "base_url": refusing.url}
    with Gateway(tmp_path, accounts=()) as gateway, ThreadPoolExecutor(1) as client:
        gateway.admin("/api/accounts", method="POST", body=account)
        asked = client.submit(message, gateway)
        wait_until(refusing.was_asked.is_set, what="the first attempt")
        if is_changed:
            gateway.admin("/api/accounts/one/reauth", method="POST", body={"api_key": NEW_KEY})
        refusing.may_refuse.set()
        assert asked.result(PATIENCE_SECONDS).status_code == 401
        assert gateway.account("one")["status"] == ("active" if is_changed else "needs_reauth")
        if is_changed:
            assert message(gateway).status_code == 200
