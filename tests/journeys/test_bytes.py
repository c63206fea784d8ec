"""Bytes held against bytes: what one side sent is what the other side received, both ways."""

import asyncio
import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from headgate.testing.generated import Generated, requests
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import Answer, ask, connect, fetch, request

REQUESTS = 10_000
CONNECTIONS = 32
KEY = "sk-ant-sim-one"
CODINGS = ["gzip", "br", "zstd", "deflate"]


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    running_provider.reset()
    running_provider.keep_bytes(True)
    return running_provider


@pytest.fixture(scope="module")
def gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("bytes"), provider=running_provider.url) as running:
        yield running


async def test_ten_thousand_generated_requests_pass_untouched(
    provider: SimulatedProvider, gateway: Gateway
) -> None:
    """Body, path and query reach the provider, and its answer the client, to the last byte."""
    provider.keep_bytes(False)
    dice = random.Random(7)
    asked: dict[str, tuple[Generated, Answer]] = {}
    supply = islice(requests(7), REQUESTS)

    async def client() -> None:
        async with connect(gateway.url) as connection:
            for path, headers, body in supply:
                chunks = dice.choice((0, 0, 1, 3))
                wire = request(path, body, headers=headers, chunks=chunks)
                answer = await connection.ask(wire)
                asked[answer.headers["request-id"]] = (path, headers, body), answer

    async with asyncio.TaskGroup() as clients:
        for _ in range(CONNECTIONS):
            clients.create_task(client())
    books = await asyncio.to_thread(provider.books)
    assert len(asked) == books["count"] == REQUESTS
    for request_id, ((path, _, body), answer) in asked.items():
        row = books["requests"][request_id]
        assert answer.is_whole
        assert (row["path"], row["status"]) == (path.partition("?")[0], answer.status)
        assert row["received_sha256"] == hashlib.sha256(body).hexdigest()
        assert row["sent_sha256"] == hashlib.sha256(answer.body).hexdigest()
    await _usage_is_recorded(gateway, books["requests"])


async def _usage_is_recorded(gateway: Gateway, books: dict[str, Any]) -> None:
    """Every record has the provider's own figures."""

    async def all_are_written() -> bool:
        status = await asyncio.to_thread(gateway.admin, "/status")
        return bool(status["recorder"]["written"] >= len(books))

    await until(all_are_written, what="the last record")
    rows = {row["provider_request_id"]: row for row in await asyncio.to_thread(gateway.requests)}
    for request_id, entry in books.items():
        if entry["path"] == "/v1/messages" and entry["status"] == 200:
            usage, told = rows[request_id]["usage"], entry["usage"]
            assert usage["input_tokens"] == told["input_tokens"]
            assert usage["output_tokens"] == told["output_tokens"]
            assert usage["cache_read_tokens"] == told["cache_read_input_tokens"]


# ---- heads ---------------------------------------------------------------------------------------


def _lines(head: bytes) -> list[tuple[str, str]]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [
        (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)
    ]


async def test_headers_pass_in_order_but_for_ours_and_the_connections(
    provider: SimulatedProvider, gateway: Gateway
) -> None:
    """Credentials, cookies, hop-by-hop fields and the gateway's helpers stay; the account's key joins."""
    sent = {
        "x-first": "1",
        "user-agent": "probe/1.0 (ünïcode)".encode().decode("latin-1"),
        "anthropic-beta": "a,b",
        "authorization": "Bearer foreign",
        "cookie": "session=secret",
        "connection": "keep-alive, x-named",
        "x-named": "dropped with the connection",
        "te": "trailers",
        "proxy-authorization": "Basic c2VjcmV0",
        "x-headgate-session": "conversation-1",
        "x-headgate-project": "website",
        "x-stainless-lang": "python",
        "x-last": "  spaced out  ",
    }
    answer = await fetch(gateway.url, request("/v1/messages?beta=true&x=%2F", ask(), headers=sent))
    assert answer.status == 200
    row = provider.received()[-1]
    assert row["head"].split(b"\r\n")[0] == b"POST /v1/messages?beta=true&x=%2F HTTP/1.1"
    got = _lines(row["head"])
    names = [name for name, _ in got]
    assert dict(got)["x-api-key"] == KEY
    kept = ["x-first", "user-agent", "anthropic-beta", "x-stainless-lang", "x-last"]
    assert [name for name in names if name in sent] == kept
    assert {name: dict(got)[name] for name in kept} == {name: sent[name].strip() for name in kept}
    assert len(set(names)) == len(names)
    assert not {"authorization", "cookie", "te", "proxy-authorization", "x-named"} & set(names)


async def test_the_providers_headers_reach_the_client(provider: SimulatedProvider, gateway: Gateway) -> None:
    """Request id, limits and the rest; but not its cookies, which belong to the account."""
    answer = await fetch(gateway.url, request(body=ask()))
    sent = dict(_lines(provider.received()[-1]["sent_head"]))
    assert "set-cookie" in sent
    del sent["set-cookie"]
    assert sent.items() <= answer.headers.items()
    assert answer.headers.keys() - sent.keys() == {"x-headgate-request-id"}


# ---- paths and methods ---------------------------------------------------------------------------

ROUTES = [
    ("POST", "/v1/messages", "/v1/messages"),
    ("POST", "/api/v1/messages", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens"),
    ("POST", "/v1/complete", "/v1/complete"),
    ("GET", "/v1/models?limit=2", "/v1/models"),
    ("GET", "/v1/models/claude-sonnet-5-5", "/v1/models/claude-sonnet-5-5"),
    ("GET", "/v1/files", "/v1/files"),
    ("DELETE", "/v1/files/file_0123456789", "/v1/files/file_0123456789"),
    ("GET", "/v1/messages/batches", "/v1/messages/batches"),
    ("PUT", "/v1/unknown/%2e%20%C3%BC", "/v1/unknown/%2e%20%C3%BC"),
    ("PATCH", "/v1/some;thing=1/,:@", "/v1/some;thing=1/,:@"),
]


@pytest.mark.parametrize(("method", "path", "at_provider"), ROUTES)
async def test_every_route_passes_body_and_answer(
    provider: SimulatedProvider, gateway: Gateway, method: str, path: str, at_provider: str
) -> None:
    """Also what the gateway knows nothing about."""
    body = b'{ "model" :"claude-sonnet-5-5",\t"max_tokens":9,"prompt":"\\n\\nHuman: a\\n\\nAssistant:" }'
    sent = b"" if method == "GET" else body
    answer = await fetch(gateway.url, request(path, sent, method=method))
    row = provider.received()[-1]
    assert row["head"].startswith(method.encode() + b" " + at_provider.encode())
    assert row["body"] == sent
    assert (answer.status, answer.body, answer.is_whole) == (row["status"], row["sent_body"], True)


@pytest.mark.parametrize("chunks", [0, 1, 50])
@pytest.mark.parametrize("size", [1, 65_536, 1_048_576, 5_000_000])
async def test_uploads_pass_untouched(
    provider: SimulatedProvider, gateway: Gateway, size: int, chunks: int
) -> None:
    """Streamed or kept, of stated length or in chunks."""
    content = random.Random(size).randbytes(size)
    body = b'--edge\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--edge--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=edge"}
    upload = body % content
    async with connect(gateway.url) as connection:
        stored = await connection.ask(request("/v1/files", upload, headers=headers, chunks=chunks))
        assert stored.json()["size_bytes"] == size
        row = next(iter(provider.books()["requests"].values()))
        assert row["received_sha256"] == hashlib.sha256(upload).hexdigest()
        path = f"/v1/files/{stored.json()['id']}/content"
        loaded = await connection.ask(request(path, method="GET"))
    assert loaded.body == content
    assert gateway.record_of(stored.id)["request_bytes"] == len(upload)
    assert gateway.record_of(loaded.id)["response_bytes"] == size


# ---- coded answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("write_bytes", [0, 13])
@pytest.mark.parametrize("coding", CODINGS)
async def test_coded_answers_pass_coded_and_are_metered(
    provider: SimulatedProvider, gateway: Gateway, coding: str, write_bytes: int
) -> None:
    """The client gets the provider's coded bytes; the record has the usage that is inside them."""
    provider.script(KEY, coding=coding, reply={"write_bytes": write_bytes})
    accepted = {"accept-encoding": ", ".join(CODINGS)}
    for is_stream in (True, False):
        body = ask("say 300 words", stream=is_stream)
        answer = await fetch(gateway.url, request(body=body, headers=accepted))
        row = provider.received()[-1]
        assert answer.headers["content-encoding"] == coding
        assert answer.body == row["sent_body"]
        assert gateway.record_of(answer.id)["usage"]["output_tokens"] == row["usage"]["output_tokens"] == 300
