"""The address of a batch's results leads back to the gateway; nothing else in an answer is touched."""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.journeys.wire import Answer, fetch, request
from tests.upstream.scripted import ScriptedServer, Talk

ELSEWHERE = "https://api.anthropic.example/base"
RESULTS = "/v1/messages/batches/msgbatch_013Zva2CMHLNnXjNJJKqJ2EF/results"
BATCH = RESULTS.removesuffix("/results")
FINISHED = json.dumps(
    {"id": "msgbatch_1", "results_url": ELSEWHERE + RESULTS, "note": "naïve \u2028"}
).encode()


@asynccontextmanager
async def answering(folder: Path, body: bytes, *, coding: str = "") -> AsyncIterator[Gateway]:
    """A gateway before a provider that says this, as JSON, to everything."""

    async def script(talk: Talk) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: x\r\nContent-Length: %d\r\n"
            % len(body)
        )
        if coding:
            head += b"Content-Encoding: %b\r\n" % coding.encode()
        while await talk.request():
            # In two pieces, as a long list comes.
            await talk.send(head + b"\r\n" + body[:40])
            await talk.send(body[40:])

    async with ScriptedServer(script) as provider:
        with Gateway(folder, provider=f"http://127.0.0.1:{provider.port}") as gateway:
            yield gateway


async def look(gateway: Gateway, path: str = BATCH, **headers: str) -> Answer:
    return await fetch(gateway.url, request(path, method="GET", headers={"host": "gw.test:81", **headers}))


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_only_the_address_changes(tmp_path: Path, coding: str) -> None:
    """Whatever coding was negotiated; length and coding are those of what is sent, and it is said."""
    body = gzip.compress(FINISHED) if coding else FINISHED
    async with answering(tmp_path, body, coding=coding) as gateway:
        answer = await look(gateway)
        expected = FINISHED.replace(ELSEWHERE.encode(), b"http://gw.test:81")
        assert (answer.status, answer.body) == (200, expected)
        assert answer.headers["content-length"] == str(len(expected))
        assert answer.headers["x-headgate-rewritten"] == "results_url"
        assert answer.headers.keys().isdisjoint({"content-encoding", "etag"})
        assert gateway.record_of(answer.id)["response_bytes"] == len(expected)
        behind_tls = await look(gateway, **{"x-forwarded-proto": "https"})
        assert behind_tls.json()["results_url"] == "https://gw.test:81" + RESULTS


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"id": "msgbatch_1", "results_url": None}).encode(),
        json.dumps({"text": f'"results_url": "{ELSEWHERE}{RESULTS}"'}).encode(),
        json.dumps({"results_url": ELSEWHERE + "/v1/other"}).encode(),
        b"no json, results_url",
    ],
)
async def test_what_names_no_results_passes_as_it_came(tmp_path: Path, body: bytes) -> None:
    """Unfinished batches, texts that only speak of it, other places."""
    async with answering(tmp_path, body) as gateway:
        answer = await look(gateway)
        assert (answer.body, answer.headers["etag"]) == (body, "x")
        assert "x-headgate-rewritten" not in answer.headers


async def test_other_routes_are_left_alone(tmp_path: Path) -> None:
    """Whatever they say of results."""
    async with answering(tmp_path, FINISHED) as gateway:
        assert (await look(gateway, "/v1/files/file_1")).body == FINISHED
