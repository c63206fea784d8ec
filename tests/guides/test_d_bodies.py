"""Guide rows D6 and D14: what is said is kept where the owner wants it, and no client notices."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import logged, message, record_of
from tests.journeys.wire import connect, request
from tests.serve_with_faults import SPOIL
from tests.testing.wire import ask
from tests.upstream.scripted import ScriptedServer, Talk

KEEP = {"storage": {"bodies": {"keep": True}}}
MEBIBYTE = 1 << 20


def _body(gateway: Gateway, record: dict[str, Any], kind: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}/api/requests/{record['id']}/bodies/{kind}")


def _sent(provider: SimulatedProvider) -> dict[str, Any]:
    """What the provider sent last."""
    books = provider.books()["requests"]
    return list(books.values())[-1] if isinstance(books, dict) else books[-1]


def test_d6_a_long_stream_reaches_the_client_whole(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An answer beyond 1 MB reaches the client whole; its record says "Buffer truncated at 1MB"."""
    provider.script(reply={"text": "many words of no weight " * 5_000})
    with Gateway(tmp_path, provider=provider.url, settings=KEEP) as gateway:
        answer = message(gateway, stream=True, max_tokens=64_000)
        assert len(answer.content) > MEBIBYTE
        assert hashlib.sha256(answer.content).hexdigest() == _sent(provider)["sent_sha256"]
        told = record_of(gateway, answer)["bodies"]["response"]
        assert (told["truncated"], told["note"]) == (True, "Buffer truncated at 1MB")
        assert (told["size"], told["kept"], told["error"]) == (len(answer.content), MEBIBYTE, None)
        kept = _body(gateway, record_of(gateway, answer), "response")
        assert kept.content == answer.content[:MEBIBYTE]


def test_d6_without_the_setting_nothing_is_kept(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Off unless its owner wants it; then nothing is there, and whoever asks is told so."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record = record_of(gateway, message(gateway))
        assert record["bodies"] == {"request": None, "response": None}
        missing = _body(gateway, record, "request")
        assert missing.status_code == 404
        assert "storage.bodies.keep" in missing.json()["hint"]
        refused = httpx.get(f"{gateway.url}/api/requests?search=hello")
        assert refused.status_code == 400
        assert "not kept" in refused.json()["detail"]


@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd"])
def test_d6_what_is_kept_can_be_read(tmp_path: Path, provider: SimulatedProvider, coding: str) -> None:
    """Both bodies, without content coding and without secrets, as files that no browser shows as pages."""
    provider.script(coding=coding)
    secret = "sk-ant-api03-" + "secret" * 8
    with Gateway(tmp_path, provider=provider.url, settings=KEEP) as gateway:
        answer = message(gateway, f"my key is {secret}, guard it", stream=True)
        record = record_of(gateway, answer)
        asked = _body(gateway, record, "request")
        assert asked.status_code == 200
        assert "my key is [redacted], guard it" in asked.text
        assert record["bodies"]["request"]["redacted"] == 1
        assert asked.headers["content-type"].startswith("application/json")
        assert asked.headers["x-content-type-options"] == "nosniff"
        assert asked.headers["content-disposition"].startswith("attachment")
        said = _body(gateway, record, "response")
        assert said.text.replace("[redacted]", secret) == answer.text
        command = gateway.command("requests", record["id"], "--body", "request")
        assert (command.returncode, command.stdout) == (0, asked.text)


def test_d14_a_tape_that_fails(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A fault in the copy of a stream: "Stream tee error" in the log, a mark in the record, no byte lost."""
    provider.script(reply={"text": f"before {SPOIL} and after " * 50, "write_bytes": 4_000})
    with Gateway(tmp_path, provider=provider.url, settings=KEEP, is_faulty=True) as gateway:
        answer = message(gateway, stream=True, max_tokens=2_000)
        assert hashlib.sha256(answer.content).hexdigest() == _sent(provider)["sent_sha256"]
        record = record_of(gateway, answer)
        assert (record["status"], record["error"]) == (200, None)
        assert record["bodies"]["response"]["error"] == "stream_tee"
        assert "Stream tee error" in record["bodies"]["response"]["note"]
        assert record["id"] in logged(gateway, "Stream tee error")


async def test_d14_an_answer_that_is_not_what_it_says(tmp_path: Path) -> None:
    """An answer that is no gzip though it says so: "Failed to capture streaming response", a mark, all bytes.

    The client gets them as they came."""
    body = b'data: {"type":"message_start"}\n\n' * 100

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
                b"content-length: %d\r\n\r\n" % len(body) + body
            )

    async with ScriptedServer(script) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with Gateway(tmp_path, provider=url, settings=KEEP) as gateway:
            async with connect(gateway.url) as connection:
                answer = await connection.ask(request(body=ask("hello", stream=True)))
            assert answer.body == body
            record = await asyncio.to_thread(gateway.record_of, answer.id)
            assert record["bodies"]["response"]["error"] == "coding"
            failure = logged(gateway, "Failed to capture streaming response")
            assert record["id"] in failure
