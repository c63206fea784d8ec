"""A provider that dies, in every way and at every stage.

Before the first byte the next account serves, and nobody notices. When there is none, the caller hears
502 or 504 with a code. After the first byte the dialect's own error event ends a stream, and a body of
stated length is cut off, so that nothing broken looks whole. The record has every attempt.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.journeys.wire import Answer, ask, connect, fetch, request

ONE, TWO = "sk-ant-sim-one", "sk-ant-sim-two"
STREAM = request(body=ask("say 40 words", stream=True))
PLAIN = request(body=ask("say 40 words"))
BODIES = {"stream": STREAM, "plain": PLAIN}
PACED = {"event_ms": 2}
"""Each event is read on its own: a fault in the middle finds an answer that has begun."""
_HOUR = 3600.0

BEFORE_THE_FIRST_BYTE: dict[str, tuple[dict[str, Any], str]] = {
    "refused": ({"fault": "refuse"}, "answer_cut"),
    "hang": ({"fault": "hang"}, "upstream_timed_out"),
    "hang-after-head": ({"fault": "hang", "stage": "body"}, "upstream_timed_out"),
    "cut-in-head": ({"fault": "cut", "stage": "head"}, "answer_cut"),
    "reset-in-head": ({"fault": "cut", "stage": "head", "ending": "reset"}, "answer_cut"),
    "cut-after-head": ({"fault": "cut", "stage": "body"}, "answer_cut"),
    "reset-after-head": ({"fault": "cut", "stage": "body", "ending": "reset"}, "answer_cut"),
    "garbage": ({"fault": "garbage"}, "bad_answer"),
    "endless-headers": ({"fault": "big_headers", "bytes": 2_000_000}, "bad_answer"),
    "500": ({"fault": "status", "status": 500}, "api_error"),
    "502": ({"fault": "status", "status": 502}, "api_error"),
    "503": ({"fault": "status", "status": 503}, "api_error"),
    "529": ({"fault": "status", "status": 529}, "overloaded_error"),
    "early-503": ({"fault": "early_answer", "status": 503}, "api_error"),
}
"""The fault, and the word that the attempt's record has for it."""
IN_A_STREAM: dict[str, tuple[dict[str, Any], str]] = {
    "closed between two events": ({"fault": "cut", "stage": "mid_body"}, "answer_cut"),
    "closed within an event": ({"fault": "cut", "stage": "mid_event"}, "answer_cut"),
    "closed within a chunk": ({"fault": "cut", "stage": "mid_chunk"}, "answer_cut"),
    "closed within a character": ({"fault": "cut", "stage": "mid_utf8"}, "answer_cut"),
    "closed before the last event": ({"fault": "cut", "stage": "before_message_stop"}, "answer_cut"),
    "reset between two events": ({"fault": "cut", "stage": "mid_body", "ending": "reset"}, "answer_cut"),
    "reset within an event": ({"fault": "cut", "stage": "mid_event", "ending": "reset"}, "answer_cut"),
    "reset within a chunk": ({"fault": "cut", "stage": "mid_chunk", "ending": "reset"}, "answer_cut"),
    "reset within a character": ({"fault": "cut", "stage": "mid_utf8", "ending": "reset"}, "answer_cut"),
    "reset before the last event": (
        {"fault": "cut", "stage": "before_message_stop", "ending": "reset"},
        "answer_cut",
    ),
    "garbage": ({"fault": "garbage", "stage": "body"}, "bad_answer"),
    "silence": ({"fault": "hang", "stage": "mid_body"}, "request_timed_out"),
}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedClock]:
    clock = SharedClock(tmp_path_factory.mktemp("clock") / "clock")
    yield clock
    clock.close()


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def running_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("dying")
    accounts = [
        {"name": "one", "api_key": ONE, "priority": 0},
        {"name": "two", "api_key": TWO, "priority": 1},
    ]
    settings = {
        "upstream": {"first_byte_timeout_ms": 300, "idle_timeout_ms": 300},
        "retry": {"attempts": 2, "delay_ms": 1},
    }
    with Gateway(
        folder, provider=running_provider.url, accounts=accounts, settings=settings, clock=folder / "clock"
    ) as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    running_provider.reset()
    return running_provider


@pytest.fixture
def gateway(running_gateway: Gateway, provider: SimulatedProvider) -> Iterator[Gateway]:
    """Both accounts rested: what the test before did to them is an hour ago."""
    clock = SharedClock(running_gateway.folder / "clock")
    clock.advance(_HOUR)
    clock.close()
    yield running_gateway
    assert running_gateway.is_alive
    status = running_gateway.admin("/status")
    assert (status["in_flight"], status["open_streams"]) == (0, 0)
    assert "Unexpected error" not in running_gateway.log_text()


def _code(answer: Answer) -> str:
    code = answer.json()["error"]["code"]
    assert answer.headers["x-headgate-error"] == code
    return str(code)


# ---- before the first byte -----------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_BYTE)
async def test_the_next_account_serves(
    gateway: Gateway, provider: SimulatedProvider, fault: str, body: str
) -> None:
    """One account fails before its first byte → the next one serves, whole; the record has both attempts"""
    rule, word = BEFORE_THE_FIRST_BYTE[fault]
    provider.script(ONE, rules=[rule])
    provider.script("*", rules=[rule | {"times": 1}] if fault.startswith("early") else [])
    answer = await fetch(gateway.url, BODIES[body])
    assert (answer.status, answer.is_whole) == (200, True)
    _is_what_the_provider_sent(answer, provider)
    record = gateway.record_of(answer.id)
    first, *_, last = record["attempts"]
    assert (first["account"], first["error"]) == ("one", word)
    assert (last["account"], last["status"], last["error"]) == ("two", 200, None)
    assert (record["status"], record["account"], record["error"]) == (200, "two", None)


def _is_what_the_provider_sent(answer: Answer, provider: SimulatedProvider) -> None:
    sent = [row["sent_body"] for row in provider.received() if row["status"] == 200]
    assert answer.body == sent[-1]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_BYTE)
async def test_when_all_fail_the_caller_hears_why(
    gateway: Gateway, provider: SimulatedProvider, fault: str, body: str
) -> None:
    """All accounts fail before the first byte → 502, 504 after a timeout, or the provider's last words"""
    rule, word = BEFORE_THE_FIRST_BYTE[fault]
    provider.script("*", rules=[rule])
    answer = await fetch(gateway.url, BODIES[body])
    assert answer.is_whole
    record = gateway.record_of(answer.id)
    assert {attempt["account"] for attempt in record["attempts"]} == {"one", "two"}
    assert {attempt["error"] for attempt in record["attempts"]} == {word}
    assert record["status"] == answer.status
    if word.endswith("_error"):
        assert answer.status == int(fault.removeprefix("early-"))
        assert answer.json()["error"]["type"] == word
        assert answer.headers["x-headgate-error"] == record["error"] == "all_accounts_failed"
        assert answer.headers["x-headgate-attempts"] == str(len(record["attempts"]))
        return
    expected = (504, "request_timed_out") if word == "upstream_timed_out" else (502, "all_accounts_failed")
    assert (answer.status, _code(answer)) == expected
    error = answer.json()["error"]
    assert error["attempts"] == len(record["attempts"]) == 4
    assert error["lastError"] == record["attempts"][-1]["reason"]


async def test_a_connection_refused_at_once_is_tried_again(
    gateway: Gateway, provider: SimulatedProvider
) -> None:
    """A connection reset before a byte was read → tried again, served"""
    provider.script("*", rules=[{"fault": "refuse", "stage": "accept", "times": 1}])
    answer = await fetch(gateway.url, PLAIN)
    assert (answer.status, answer.is_whole) == (200, True)


async def test_an_overload_in_the_first_event_is_one_like_a_529(
    gateway: Gateway, provider: SimulatedProvider
) -> None:
    """A stream whose first event is an overload, under 200 → not begun yet: the next account serves"""
    provider.script(ONE, rules=[{"fault": "error_first", "error": "overloaded_error"}])
    answer = await fetch(gateway.url, STREAM)
    assert answer.events()[-1][0] == "message_stop"
    assert "error" not in [name for name, _ in answer.events()]
    record = gateway.record_of(answer.id)
    assert record["attempts"][0]["error"] == "overloaded_error"
    assert record["account"] == "two"


# ---- after the first byte ------------------------------------------------------------------------


@pytest.mark.parametrize("fault", IN_A_STREAM)
async def test_a_broken_stream_ends_with_an_error_event(
    gateway: Gateway, provider: SimulatedProvider, fault: str
) -> None:
    """A stream broken after its first event → what came, one `error` event, the end; nobody else is asked"""
    rule, code = IN_A_STREAM[fault]
    provider.script(ONE, rules=[rule], pacing=PACED)
    answer = await fetch(gateway.url, STREAM)
    assert answer.status == 200
    names = [name for name, _ in answer.events()]
    assert names[0] == "message_start"
    assert (names[-1], names.count("error")) == ("error", 1)
    data = answer.events()[-1][1]
    error = json.loads(data[data.index('{"type":"error"') :])
    assert error["error"]["code"] == code
    assert error["request_id"] == answer.id
    answer.body.decode()  # a character that the cut went through does not spoil the event
    record = gateway.record_of(answer.id)
    entry = next(iter(provider.books()["requests"].values()))
    assert (record["status"], record["error"], record["account"]) == (200, code, "one")
    assert record["usage"]["input_tokens"] == entry["usage"]["input_tokens"]
    assert record["response_bytes"] == len(answer.body)
    assert TWO not in provider.books()["keys"]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_broken_body_of_stated_length_is_cut_off(
    gateway: Gateway, provider: SimulatedProvider, ending: str
) -> None:
    """A body of stated length, broken off → the client's connection ends too soon; no words fit in it"""
    provider.script(ONE, rules=[{"fault": "cut", "stage": "mid_body", "ending": ending}])
    answer = await fetch(gateway.url, PLAIN)
    assert (answer.status, answer.is_whole) == (200, False)
    record = gateway.record_of(answer.id)
    assert (record["status"], record["error"]) == (200, "answer_cut")


async def test_a_body_shorter_than_stated_is_cut_off(gateway: Gateway, provider: SimulatedProvider) -> None:
    """A length ten bytes too long → cut off, not filled up"""
    provider.script(ONE, rules=[{"fault": "wrong_length", "by": 10}])
    answer = await fetch(gateway.url, PLAIN)
    assert (answer.status, answer.is_whole) == (200, False)
    assert gateway.record_of(answer.id)["error"] == "answer_cut"


async def test_a_body_longer_than_stated_ends_where_it_was_said_to(
    gateway: Gateway, provider: SimulatedProvider
) -> None:
    """A length ten bytes too short → ends where it was said to; the rest is dropped with its connection"""
    provider.script(ONE, rules=[{"fault": "wrong_length", "by": -10, "times": 1}])
    async with connect(gateway.url) as connection:
        short = await connection.ask(PLAIN)
        assert (short.status, short.is_whole) == (200, True)
        assert len(short.body) == int(short.headers["content-length"])
        after = await connection.ask(PLAIN)
    assert (after.status, after.json()["type"]) == (200, "message")


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_coded_stream_that_breaks_is_cut_off(
    gateway: Gateway, provider: SimulatedProvider, version: bytes
) -> None:
    """A coded stream, broken off → cut off (words of ours would be no gzip); to HTTP/1.0 by a reset"""
    provider.script(ONE, coding="gzip", rules=[{"fault": "cut", "stage": "mid_event"}], pacing=PACED)
    stream = request(body=ask("say 40 words", stream=True), headers={"accept-encoding": "gzip"})
    answer = await fetch(gateway.url, stream.replace(b"HTTP/1.1", version, 1))
    assert (answer.status, answer.is_whole) == (200, False)
    record = gateway.record_of(answer.id)
    assert record["error"] == "answer_cut"
    assert record["usage"]["input_tokens"] > 0


async def test_an_error_within_the_stream_is_the_providers_own(
    gateway: Gateway, provider: SimulatedProvider
) -> None:
    """The provider's own `error` event within a stream → passes as it is, and the record has its word"""
    provider.script(ONE, rules=[{"fault": "error_mid", "error": "overloaded_error"}], pacing=PACED)
    answer = await fetch(gateway.url, STREAM)
    assert answer.is_whole
    assert answer.body == provider.received()[-1]["sent_body"]
    assert [name for name, _ in answer.events()].count("error") == 1
    assert gateway.record_of(answer.id)["error"] == "overloaded_error"


@pytest.mark.parametrize("stage", ["mid_event", "before_message_stop"])
async def test_a_stream_that_ends_early_in_good_order_passes_as_it_is(
    gateway: Gateway, provider: SimulatedProvider, stage: str
) -> None:
    """A stream that ends early, in good order → passes as it is, not a byte is added"""
    provider.script(ONE, rules=[{"fault": "cut", "stage": stage, "ending": "clean"}])
    answer = await fetch(gateway.url, STREAM)
    assert (answer.status, answer.is_whole) == (200, True)
    assert answer.body == provider.received()[-1]["sent_body"]


# ---- odd, but no failure -------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "drip", "bytes": 7},
        {"fault": "big_headers", "bytes": 20_000},
        {"fault": "close_after", "requests": 1},
    ],
    ids=lambda rule: str(rule["fault"]),
)
async def test_oddities_do_no_harm(
    gateway: Gateway, provider: SimulatedProvider, rule: dict[str, Any], body: str
) -> None:
    """Bytes in drops, 20 KB of headers, a close between two requests → served as if nothing were"""
    provider.script(ONE, rules=[rule])
    async with connect(gateway.url) as connection:
        for _ in range(3):
            answer = await connection.ask(BODIES[body])
            assert (answer.status, answer.is_whole) == (200, True)
            _is_what_the_provider_sent(answer, provider)


async def test_a_redirect_is_handed_on(gateway: Gateway, provider: SimulatedProvider) -> None:
    """A redirect to another host → handed on, never followed"""
    provider.script(ONE, rules=[{"fault": "redirect", "location": "https://elsewhere.example/v1"}])
    answer = await fetch(gateway.url, PLAIN)
    assert (answer.status, answer.headers["location"]) == (307, "https://elsewhere.example/v1")
    assert gateway.record_of(answer.id)["status"] == 307


@pytest.mark.parametrize("ending", ["close", "clean"])
async def test_an_answer_before_the_body_was_read_reaches_the_client(
    gateway: Gateway, provider: SimulatedProvider, ending: str
) -> None:
    """A refusal before a large body was read → reaches the client like any other answer"""
    provider.script("*", rules=[{"fault": "early_answer", "status": 413, "ending": ending}])
    answer = await fetch(gateway.url, request(body=ask("x" * 2_000_000)))
    assert (answer.status, answer.is_whole) == (413, True)
    assert answer.json()["error"]["type"] == "request_too_large"
    assert gateway.record_of(answer.id)["status"] == 413
