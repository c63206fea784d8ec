"""A stream of the owner's that a header key opened ends with that key."""

import json
from http.client import HTTPConnection
from pathlib import Path

from tests.gateway import Gateway

OLD, NEW = "the-first-admin-key", "the-second-admin-key"


def test_a_stream_ends_with_the_key_that_opened_it(tmp_path: Path) -> None:
    settings = {"admin": {"key": OLD}}
    with Gateway(tmp_path, provider="http://127.0.0.1:9", settings=settings) as gateway:
        stream = HTTPConnection(*gateway.address, timeout=10)
        try:
            stream.request("GET", "/api/logs/stream", headers={"x-dashboard-key": OLD})
            answer = stream.getresponse()
            assert answer.readline() == b": open\n"
            body = json.dumps({"admin.key": NEW}).encode()
            headers = {"x-dashboard-key": OLD}
            status, said = gateway.ask("PUT", "/api/config", headers=headers, body=body)
            assert status == 200, said
            # The change itself is logged: the stream of a key that still opened would show it.
            assert answer.read().strip() == b""
        finally:
            stream.close()
