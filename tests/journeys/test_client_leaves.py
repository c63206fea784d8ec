"""The client goes away, at every stage: the provider is told at once, the record says 499."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import Connection, ask, connect, request

KEY = "sk-ant-sim-one"
STREAM = request(body=ask("say 40 words", stream=True))
PLAIN = request(body=ask("say 40 words"))

Leaving = Callable[[Connection], None]


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    running_provider.reset()
    return running_provider


@pytest.fixture(scope="module")
def gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("leaving")
    with Gateway(folder, provider=running_provider.url) as running:
        yield running
    assert "ERROR" not in running.log_text()


@pytest.fixture(params=["close", "reset"])
def leave(request: pytest.FixtureRequest) -> Leaving:
    """In order, or as a killed program does."""
    return Connection.close if request.param == "close" else Connection.reset


def _newest(gateway: Gateway) -> dict[str, Any]:
    rows = gateway.requests()
    return rows[0] if rows else {"id": None}


async def _recorded_as_left(gateway: Gateway, before: dict[str, Any]) -> dict[str, Any]:
    await until(lambda: _newest(gateway)["id"] != before["id"], what="the record of who left")
    row = _newest(gateway)
    assert (row["status"], row["error"]) == (499, "client_left")
    await _nothing_is_left(gateway)
    return row


async def _nothing_is_left(gateway: Gateway) -> None:
    await until(lambda: gateway.admin("/status")["in_flight"] == 0, what="in_flight 0")
    assert gateway.account("one")["in_flight"] == 0


def _only_row(provider: SimulatedProvider) -> dict[str, Any]:
    rows = list(provider.books()["requests"].values())
    assert len(rows) == 1
    found: dict[str, Any] = rows[0]
    return found


async def test_leaving_within_the_head_leaves_no_trace(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """No request was made: nothing reaches the provider or the records."""
    before = _newest(gateway)
    async with connect(gateway.url) as connection:
        connection.send(STREAM[:60])
        leave(connection)
    await _nothing_is_left(gateway)
    assert provider.books()["count"] == 0
    assert _newest(gateway) == before


async def test_leaving_within_the_body_reaches_no_provider(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """A body that has to be read is forwarded when it is whole; the record counts what had come."""
    before = _newest(gateway)
    head, _, body = STREAM.partition(b"\r\n\r\n")
    async with connect(gateway.url) as connection:
        connection.send(head + b"\r\n\r\n" + body[:50])
        await until(lambda: gateway.admin("/status")["in_flight"] == 1, what="an open exchange")
        leave(connection)
        row = await _recorded_as_left(gateway, before)
    assert (row["request_bytes"], row["account"], row["usage"]) == (50, None, None)
    assert provider.books()["count"] == 0


async def test_leaving_within_an_upload_cancels_it(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """A streamed body is on its way to the provider already: that request is broken off."""
    before = _newest(gateway)
    async with connect(gateway.url) as connection:
        upload = request("/v1/files", b"x" * 3_000_000, headers={"content-type": "text/plain"})
        connection.send(upload[:2_000_000])
        await until(lambda: provider.open_connections() == 1, what="the upload")
        leave(connection)
        await _recorded_as_left(gateway, before)
    await until(lambda: provider.open_connections() == 0, what="the cancelled upload")
    assert _only_row(provider)["status"] == 0


async def test_leaving_before_the_first_byte_cancels_the_request(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """The provider's connection is cut; no usage was told, so none is recorded."""
    before = _newest(gateway)
    provider.script(KEY, pacing={"first_byte_ms": 60_000})
    async with connect(gateway.url) as connection:
        connection.send(STREAM)
        await until(lambda: provider.books()["count"] == 1, what="the provider's request")
        leave(connection)
        row = await _recorded_as_left(gateway, before)
    await until(lambda: provider.open_connections() == 0, what="the cancelled request")
    assert row["usage"] is None
    assert row["request_bytes"] == len(STREAM.partition(b"\r\n\r\n")[2])
    assert _only_row(provider)["fully_written"] is False


async def test_leaving_within_the_stream_keeps_the_usage_seen(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """What `message_start` told of the cost is in the record, as it is in the provider's books."""
    before = _newest(gateway)
    provider.script(KEY, rules=[{"fault": "hang", "stage": "mid_body", "event": 6}])
    async with connect(gateway.url) as connection:
        connection.send(STREAM)
        await connection.until(b"content_block_delta")
        leave(connection)
        row = await _recorded_as_left(gateway, before)
    await until(lambda: provider.open_connections() == 0, what="the cancelled stream")
    entry = _only_row(provider)
    assert entry["fully_written"] is False
    assert row["account"] == "one"
    assert row["usage"]["input_tokens"] == entry["usage"]["input_tokens"] > 0
    assert row["usage"]["output_tokens"] == entry["usage"]["output_tokens"]
    assert row["response_bytes"] > 0


async def test_a_client_that_does_not_read_may_leave_too(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """The relay waits for the client's socket to drain; leaving ends that wait."""
    before = _newest(gateway)
    body = ask("say 120000 words", stream=True, max_tokens=128_000)
    async with connect(gateway.url) as connection:
        connection.pause()
        connection.send(request(body=body))
        await until(lambda: gateway.admin("/status")["open_streams"] == 1, what="the stream")
        leave(connection)
        row = await _recorded_as_left(gateway, before)
    await until(lambda: provider.open_connections() == 0, what="the cancelled stream")
    assert row["usage"]["input_tokens"] > 0
    assert 0 < row["response_bytes"] < _only_row(provider)["sent_bytes"]


async def test_leaving_while_the_bytes_rush_by(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """Whatever moment the end is noticed at, it is no error of the gateway or of the provider."""
    before = len(gateway.requests())
    wire = request(body=ask("say 20000 words", stream=True, max_tokens=128_000))
    for _ in range(20):
        async with connect(gateway.url) as connection:
            connection.send(wire)
            await connection.until(b"content_block_delta")
            leave(connection)
    await _nothing_is_left(gateway)
    await until(lambda: len(gateway.requests()) >= before + 20, what="the records")
    assert {row["status"] for row in gateway.requests()[:20]} <= {200, 499}


async def test_leaving_between_two_requests_is_no_event(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """The request before has its 200; nothing is added."""
    async with connect(gateway.url) as connection:
        answer = await connection.ask(PLAIN)
        leave(connection)
    assert gateway.record_of(answer.id)["status"] == 200
    await _nothing_is_left(gateway)
    assert _newest(gateway)["id"] == answer.id


async def test_leaving_with_requests_outstanding_cancels_the_first_only(
    gateway: Gateway, provider: SimulatedProvider, leave: Leaving
) -> None:
    """Pipelined requests whose turn had not come are recorded as left and were never sent."""
    before = {row["id"] for row in gateway.requests()}
    provider.script(KEY, rules=[{"fault": "hang", "stage": "mid_body", "event": 6}])
    async with connect(gateway.url) as connection:
        connection.send(STREAM + PLAIN + PLAIN)
        await connection.until(b"content_block_delta")
        leave(connection)
        await until(lambda: len(gateway.requests()) >= len(before) + 2, what="the records")
        await _nothing_is_left(gateway)
    await until(lambda: provider.open_connections() == 0, what="the cancelled stream")
    new = [row for row in gateway.requests() if row["id"] not in before]
    assert {(row["status"], row["error"]) for row in new} == {(499, "client_left")}
    assert [row["account"] for row in new].count("one") == 1
    assert _only_row(provider)["fully_written"] is False
