"""An account gets another name while it works."""

import json
from pathlib import Path

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.testing.wire import ask

FILES = {"anthropic-beta": "files-api-2025-04-14", "x-api-key": CLIENT_KEY}


def test_nothing_that_belongs_to_a_renamed_account_is_lost(tmp_path: Path) -> None:
    """The stream that runs on it, its conversations, its files, its history; after a restart too."""
    with SimulatedProvider() as provider:
        provider.script("*", rules=[{"fault": "drip", "bytes": 100, "delay_ms": 10, "path": "/v1/messages"}])
        settings = {"routing": {"expose_account": True}}
        with Gateway(tmp_path, accounts=(), settings=settings) as gateway:
            for name in ("work", "spare"):
                body = {"name": name, "api_key": f"sk-ant-sim-{name}", "base_url": provider.url}
                gateway.admin("/api/accounts", method="POST", body=body)
            with httpx.Client(base_url=gateway.url, headers=FILES, timeout=30) as client:
                uploaded = client.post("/v1/files", files={"file": ("a.txt", b"text", "text/plain")})
                assert uploaded.status_code == 200, uploaded.text
                file_id, holder = uploaded.json()["id"], uploaded.headers["x-headgate-account"]
                served, lines = _rename_amid_a_stream(client, gateway)
                assert lines[-1] == 'data: {"type":"message_stop"}'
                wait_until(lambda: len(gateway.requests()) == 2, what="the record of the stream")
                names = {"work": "work-2", "spare": "spare-2"}
                assert _conversation(client) == names[served]
                for _ in range(2):
                    kept = client.get(f"/v1/files/{file_id}")
                    assert (kept.status_code, kept.headers["x-headgate-account"]) == (200, names[holder])
            wait_until(lambda: len(gateway.requests()) == 5, what="the last record")
            gateway.stop(expect_code=0)
            gateway.start()
            groups = gateway.admin("/api/usage")["groups"]
            assert {group["group"] for group in groups} <= {"work-2", "spare-2"}
            assert sum(group["requests"] for group in groups) == 5
            of_each = [gateway.requests(account=name) for name in ("work-2", "spare-2")]
            assert sum(map(len, of_each)) == 5


def _rename_amid_a_stream(client: httpx.Client, gateway: Gateway) -> tuple[str, list[str]]:
    """The account that served, and the lines of the stream; both accounts were renamed in its midst."""
    with client.stream("POST", "/v1/messages", json=_said("say 20 words", stream=True)) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        for name in ("work", "spare"):
            body = {"name": f"{name}-2"}
            gateway.admin(f"/api/accounts/{name}/rename", method="POST", body=body)
        read = [first, *lines]
        return answer.headers["x-headgate-account"], [line for line in read if line]


def _conversation(client: httpx.Client) -> str:
    """The account that goes on with the conversation of the stream."""
    answer = client.post("/v1/messages", json=_said("say 20 words"))
    assert answer.status_code == 200, answer.text
    name: str = answer.headers["x-headgate-account"]
    return name


def _said(text: str, *, stream: bool = False) -> dict[str, object]:
    body = ask(text, stream=stream)
    return {**json.loads(json.dumps(body)), "metadata": {"user_id": "user_a_account_b_session_c"}}
