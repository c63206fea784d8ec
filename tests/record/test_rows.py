from typing import Any

import pytest

from headgate.admin.views import request_view
from headgate.dialects.usage import Part, Usage
from headgate.pricing.rates import NANO
from headgate.record.events import HealthRecord, ObjectRecord, RequestRecord, Skipped
from headgate.record.rows import to_rows
from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database
from headgate.storage.requests import RequestStore
from headgate.storage.schema import account_health, attempts, objects, requests
from headgate.storage.sums import usage_of
from tests.record.samples import attempt, request


def test_every_column_is_filled_and_no_other() -> None:
    """A field added to a record needs its column, a column its field."""
    record = request("a", attempts=(attempt("work"),))
    rows = to_rows([record, HealthRecord(1, "a", 5, {}), ObjectRecord("file_1", 1, 5)])
    assert set(rows.requests[0]) == set(requests.c.keys()) - {"seq"}
    assert set(rows.attempts[0]) == set(attempts.c.keys())
    assert set(rows.health[0]) == set(account_health.c.keys())
    assert set(rows.objects[0]) == set(objects.c.keys()) - {"counted"}


async def test_a_record_comes_back_from_the_database_as_it_was(database: Database) -> None:
    tries = (attempt("a", status=429, error="rate_limit_error", until_at=1.5), attempt("b", account_id=2))
    record = request("r", attempts=tries, usage=Usage(1, 0, None, 4, 5), stream=True)
    await write_batch(database, Step("j", "s", 0, 1), to_rows([record]))
    row = await RequestStore(database).get("r")
    assert row is not None
    assert [found["account"] for found in row["attempts"]] == ["a", "b"]
    assert (row["attempts"][0]["status"], row["attempts"][0]["until_at"]) == (429, 1.5)
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"]) == (1, 0, None)
    assert (row["timestamp"], row["stream"], row["duration_ms"]) == (record.at_ms, True, 99.6)


async def test_what_a_client_may_send_does_not_cost_its_record(database: Database) -> None:
    """NUL in a name, which PostgreSQL refuses, and counts beyond 64 bits."""
    record = request("r", model="a\0b", usage=Usage(input_tokens=2**64 - 1, output_tokens=7))
    await write_batch(database, Step("j", "s", 0, 1), to_rows([record]))
    row = await RequestStore(database).get("r")
    assert row is not None
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == ("a\ufffdb", None, 7)


@pytest.mark.parametrize("name", ["model", "session", "user_agent", "project"])
def test_a_key_that_a_caller_wrote_into_a_name_is_not_kept(name: str) -> None:
    """Whoever swaps two settings of a client sends one so."""
    (row,) = to_rows([request("r", **{name: "sk-ant-api03-0123456789abcdef"})]).requests
    assert row[name] == "sk-ant-…"


def test_a_request_without_usage_says_nothing_about_tokens() -> None:
    row = to_rows([request("r", usage=None)]).requests[0]
    assert {row[name] for name in row if name.endswith("_tokens")} == {None}


def marks(record: RequestRecord) -> list[tuple[Any, ...]]:
    rows = to_rows([record]).attempts
    return [(row["account"], row["request_at"], row["request_failed"]) for row in rows]


def test_an_attempt_in_vain_bears_its_requests_time_and_outcome() -> None:
    """Once for each account that did not serve; those that did are found by the request itself."""
    bad = {"status": 429, "error": "rate_limit_error"}
    served = request(
        "a",
        at_ms=7,
        account="b",
        account_id=2,
        attempts=(
            *(attempt("a", **bad), attempt("a", **bad), attempt("b", account_id=2, **bad)),
            attempt("b", account_id=2),
        ),
    )
    assert marks(served) == [("a", 7, False), ("a", None, None), ("b", None, None), ("b", None, None)]
    nobody = request(
        "b", at_ms=8, account=None, account_id=None, status=429, error="x", attempts=(attempt("a", **bad),)
    )
    assert marks(nobody) == [("a", 8, True)]
    cut = request("c", at_ms=9, account="b", account_id=2, error="answer_cut", attempts=served.attempts[1:])
    assert marks(cut)[0] == ("a", 9, True)
    alone = request("d", attempts=(attempt("work"),))
    assert marks(alone) == [("work", None, None)]


async def test_the_reasons_why_nobody_served_come_back(database: Database) -> None:
    skipped = Skipped((("work", "paused"), ("team\0", "rate limited")), more=3)
    record = request("r", account=None, account_id=None, attempts=(), status=503, skipped=skipped)
    await write_batch(database, Step("j", "s", 0, 1), to_rows([record, request("other")]))
    row = await RequestStore(database).get("r")
    assert row is not None
    assert row["skipped"] == {
        "accounts": [
            {"account": "work", "reason": "paused"},
            {"account": "team\0", "reason": "rate limited"},
        ],
        "more": 3,
    }
    other = await RequestStore(database).get("other")
    assert other is not None
    assert other["skipped"] is None


def test_d8_a_record_bears_its_cost_or_says_that_nobody_knows() -> None:
    """D8: by the prices of the moment of writing; an unknown model's is null, never 0."""
    known = request("a", model="claude-sonnet-4-5", usage=Usage(1_000_000, 100_000, 1_000_000, 0, 0))
    unknown = request("b", model="gpt-unheard-of", usage=Usage(10, 10))
    silent = request("c", model="claude-sonnet-4-5", usage=None)
    rows = to_rows([known, unknown, silent]).requests
    assert [row["nano_usd"] for row in rows] == [4_800_000_000, None, None]


async def test_the_rest_of_usage_comes_back(database: Database) -> None:
    """What few answers say stands together, under its names; nonsense is not said."""
    usage = Usage(
        *(1, 20),
        reasoning_tokens=15,
        service_tier="batch",
        inference_geo="us",
        web_search_requests=2,
        audio_input_tokens=2**64 - 1,
    )
    await write_batch(database, Step("j", "s", 0, 1), to_rows([request("r", usage=usage), request("s")]))
    row, plain = await RequestStore(database).get("r"), await RequestStore(database).get("s")
    assert row is not None
    assert plain is not None
    assert (row["reasoning_tokens"], row["service_tier"]) == (15, "batch")
    assert row["other_usage"] == {"inference_geo": "us", "web_search_requests": 2}
    assert plain["other_usage"] is None


async def test_the_parts_of_a_usage_come_back_from_the_database(database: Database) -> None:
    """By model, with what each of them used; the cost is theirs."""
    advice = Part("claude-opus-5", Usage(1_000_000, 0, service_tier="standard", requests=2))
    usage = Usage(3_000_000, 0, service_tier="standard", parts=(advice,))
    record = request("r", model="claude-sonnet-5", usage=usage)
    await write_batch(database, Step("j", "s", 0, 1), to_rows([record]))
    row = await RequestStore(database).get("r")
    assert row is not None
    assert usage_of(row) == usage
    assert row["nano_usd"] == (5 + 2 * 2) * NANO
    shown = request_view(row).usage
    assert shown is not None and shown.parts is not None and shown.other == {}
    assert shown.parts[0].model_dump(exclude_defaults=True) == {
        "model": "claude-opus-5",
        "requests": 2,
        "input_tokens": 1_000_000,
    }
