"""Many requests on one connection: none without a record, none answered for a client that does not read."""

import asyncio
import random
from pathlib import Path

import psutil
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.http.samples import MEGABYTE, PLAIN
from tests.journeys.wire import Connection, ask, connect, request
from tests.upstream.scripted import ScriptedServer, Talk

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_ROUNDS = 150


async def test_who_leaves_between_two_answers_is_on_record_with_both(tmp_path: Path) -> None:
    """The second request's turn comes in the moment in which the client goes: it is recorded all the same."""
    leaving: list[Connection] = []
    chance = random.Random(7)

    async def script(talk: Talk) -> None:
        while await talk.request():
            await talk.send(_ANSWER)
            for _ in range(chance.randrange(8)):
                await asyncio.sleep(0)
            if leaving:
                leaving.pop().reset()

    async with ScriptedServer(script) as provider:
        with Gateway(tmp_path, provider=f"http://127.0.0.1:{provider.port}") as gateway:
            for _ in range(_ROUNDS):
                async with connect(gateway.url) as connection:
                    leaving.append(connection)
                    connection.send(PLAIN * 2)
                    await asyncio.wait_for(connection.is_closed.wait(), 10)
                    leaving.clear()
            await until(lambda: gateway.admin("/status")["in_flight"] == 0, what="in_flight 0")
            await until(lambda: len(gateway.requests()) == 2 * _ROUNDS, what="a record of each request")
            assert {row["status"] for row in gateway.requests()} <= {200, 499}


async def test_a_client_that_does_not_read_is_not_answered_on(
    provider: SimulatedProvider, gateway: Gateway
) -> None:
    """Its next request waits until what was answered before has left: the provider is not asked for it."""
    provider.keep_bytes(False)
    # 30 kB each, which come in one piece; the requests are long, so that one read brings few of them.
    wire = request(body=ask("say 5000 words", max_tokens=64_000, system="x" * 8_000))
    count = 600
    before = psutil.Process(gateway.pid).memory_info().rss
    async with connect(gateway.url) as connection:
        connection.pause()
        connection.send(wire * count)
        served = -1
        while served != (served := provider.books()["count"]) or served == 0:
            for _ in range(30):  # round trips: what can go on does
                gateway.admin("/status")
        assert served < count * 2 // 3
        assert psutil.Process(gateway.pid).memory_info().rss - before < 40 * MEGABYTE
        connection.resume()
        answers = [await connection.answer() for _ in range(count)]
    assert all((answer.status, answer.is_whole) == (200, True) for answer in answers)
    assert provider.books()["count"] == count


async def test_a_flood_of_requests_is_bounded(gateway: Gateway) -> None:
    """What one read brings is parsed at once, so it is counted; those before the bound keep their answers."""
    async with connect(gateway.url) as connection:
        connection.send(request("/health", method="GET") * 2_000)
        await asyncio.wait_for(connection.is_closed.wait(), 20)
        answered = connection.received.count(b"HTTP/1.1 200")
    assert 16 < answered < 1_000
    assert gateway.admin("/health")["status"] == "ok"


async def test_a_body_that_breaks_behind_a_running_request_leaves_its_answer(gateway: Gateway) -> None:
    """The owner's request behind it is never whole; the one before it is answered, then the end."""
    broken = b"POST /api/accounts HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    async with connect(gateway.url) as connection:
        answer = await connection.ask(PLAIN + broken)
        assert (answer.status, answer.is_whole) == (200, True)
        await asyncio.wait_for(connection.is_closed.wait(), 5)
        assert connection.received.count(b"HTTP/1.1 ") == 1


async def test_an_old_client_is_neither_told_to_continue_nor_given_chunks(gateway: Gateway) -> None:
    """HTTP/1.0 knows neither (RFC 9110, section 10.1.1; RFC 9112, section 7)."""
    headers = {"expect": "100-continue"}
    wire = request(body=ask("say 5 words", stream=True), headers=headers).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with connect(gateway.url) as connection:
        answer = await connection.ask(wire)
        await asyncio.wait_for(connection.is_closed.wait(), 5)
    assert (answer.status, answer.is_whole) == (200, True)
    assert "transfer-encoding" not in answer.headers
    assert b"100 Continue" not in connection.received
    assert answer.events()[-1][0] == "message_stop"


@pytest.mark.parametrize("cut", [None, 9, 120], ids=["whole", "within the line", "within the head"])
@pytest.mark.parametrize("begins", ["before", "after"])
async def test_who_asks_while_a_long_answer_runs_is_answered_behind_it(
    provider: SimulatedProvider, gateway: Gateway, cut: int | None, begins: str
) -> None:
    """A connection that only listens has no parser, one with half a request keeps it: the next request comes
    through, whether it `begins` before or after the first event, and wherever it is cut."""
    provider.script(pacing={"event_ms": 5})
    long, short = request(body=ask("say 40 words", stream=True)), request(body=ask("say 3 words"))
    async with connect(gateway.url) as connection:
        for _ in range(2):
            connection.received.clear()
            connection.send(long + short[:cut] if begins == "before" else long)
            await connection.until(b"content_block_delta")
            if begins == "after":
                connection.send(short[:cut])
            if cut is not None:
                await connection.until(b"message_stop")
                connection.send(short[cut:])
            first, second = [await connection.answer() for _ in range(2)]
            assert first.is_whole
            assert first.events()[-1][0] == "message_stop"
            assert second.is_whole
            assert second.json()["type"] == "message"
