"""What the recorder counts: by few names, whatever clients send."""

import os
from pathlib import Path

import msgspec
import pytest

from headgate.clock import SystemClock
from headgate.dialects.usage import Part, Usage
from headgate.record.events import HealthRecord
from headgate.record.rows import to_rows
from headgate.record.tally import (
    DURATION_BOUNDS,
    MOST_CODES,
    MOST_KEYS,
    MOST_MODELS,
    MOST_PAIRS,
    OTHER,
    Counter,
    Stage,
    TallyFile,
    read_tally,
    stages_of,
)
from tests.record.samples import attempt, count, request

PAIR = ("anthropic", "claude-sonnet-4-5")


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_request_is_counted_once_everywhere(counter: Counter) -> None:
    count(counter, [request("a", caller="laptop"), HealthRecord(1, "work", 5, {})])
    tally = counter.tally
    assert tally.requests == {(*PAIR, "200"): 1}
    assert tally.errors == {}
    assert {kind: tokens for (_, _, kind), tokens in tally.tokens.items()} == {
        "input": 1,
        "output": 2,
        "cache_read": 3,
        "cache_write": 9,
    }
    assert tally.key_tokens == {"laptop": 15}
    assert tally.nano_usd[PAIR] == tally.key_nano_usd["laptop"] > 0
    assert (sum(tally.durations[PAIR].counts), tally.durations[PAIR].sum) == (1, pytest.approx(0.0996))
    assert tally.first_bytes[PAIR].sum == pytest.approx(0.0125)
    assert (tally.request_bytes, tally.response_bytes, tally.batches) == (10, 20, 1)


def test_a_bound_belongs_to_its_bucket(counter: Counter) -> None:
    """As `le` says: less or equal."""
    for duration_ms in (1.0, 1.1, 10_000_000.0):
        count(counter, [request("a", duration_ms=duration_ms)])
    counts = counter.tally.durations[PAIR].counts
    assert DURATION_BOUNDS[:2] == (0.001, 0.0025)
    assert (counts[0], counts[1], counts[-1]) == (1, 1, 1)


def test_failures_rests_and_rotations(counter: Counter) -> None:
    tries = (
        attempt("a", account_id=1, status=429, error="rate_limit_error", until_at=2e9),
        attempt("b", account_id=2, status=500, error="api_error"),
        attempt("b", account_id=2),
    )
    count(counter, [request("r", account="b", attempts=tries)])
    tally = counter.tally
    assert tally.attempts == {("a", "rate_limit_error"): 1, ("b", "api_error"): 1, ("b", "served"): 1}
    assert tally.rests == {("a", "rate_limit_error"): 1}
    assert tally.rotations == {("a", "rate_limit_error"): 1}
    count(counter, [request("s", status=499, error="client_left"), request("t", status=400)])
    assert tally.errors == {("anthropic", "client_left"): 1, ("anthropic", "status_400"): 1}


def test_what_clients_make_up_is_no_name(counter: Counter) -> None:
    """Models count by name once a provider answered for them, and no more than a hundred of them."""
    refused = {"status": 404, "error": "not_found_error", "account_id": None, "usage": None}
    count(counter, (request(str(n), model=f"made-up-{n}", **refused) for n in range(1000)))
    assert {model for _, model, _ in counter.tally.requests} == {OTHER}
    count(counter, (request(str(n), model=f"model-{n}") for n in range(1000)))
    models = {model for _, model, _ in counter.tally.requests}
    assert len(models) == MOST_MODELS + 1
    count(counter, [request("again", model="model-7", **refused), request("none", model=None)])
    assert counter.tally.requests["anthropic", "model-7", "404"] == 1
    assert counter.tally.requests["anthropic", "", "200"] == 1


def test_keys_codes_and_accounts_are_bounded(counter: Counter) -> None:
    many = [
        request(
            str(n),
            caller=f"key-{n}",
            status=500,
            error=f"code-{n}",
            attempts=(attempt(f"account-{n}", error=f"code-{n}"),),
        )
        for n in range(MOST_PAIRS + 500)
    ]
    count(counter, many)
    tally = counter.tally
    assert len(tally.key_requests) == MOST_KEYS + 1
    assert len(tally.errors) == MOST_CODES + 1
    assert MOST_PAIRS < len(tally.attempts) <= MOST_PAIRS + MOST_CODES + 1
    for counts in (tally.key_requests, tally.errors, tally.attempts):
        assert sum(counts.values()) == MOST_PAIRS + 500


def test_used_without_a_price(counter: Counter) -> None:
    unknown = {"model": "nobody-sells-it"}
    count(counter, [request("a", **unknown), request("b", **unknown, usage=Usage())])
    assert counter.tally.unpriced == {("anthropic", "nobody-sells-it"): 1}
    assert counter.tally.nano_usd == {}


def test_the_stages_add_up_to_the_whole() -> None:
    tries = (attempt("a", duration_ms=100.0, error="x"), attempt("b", duration_ms=300.0))
    record = request("a", attempts=tries, first_byte_ms=500.0, overhead_ms=20.0, duration_ms=900.0)
    stages = stages_of(record)
    assert stages == pytest.approx(Stage(own=0.02, waiting=0.08, provider=0.4, body=0.4))
    assert sum(stages) == pytest.approx(0.9)


def test_a_tally_is_read_by_the_pid_that_wrote_it(tmp_path: Path, counter: Counter) -> None:
    """Another recorder's figures are none of this one; a file that is no tally is none."""
    assert read_tally(tmp_path, os.getpid()) is None
    file = TallyFile(tmp_path, SystemClock())
    count(counter, [request("a")])
    file.save(counter.tally)
    assert read_tally(tmp_path, os.getpid()) == counter.tally
    assert read_tally(tmp_path, os.getpid() + 1) is None
    count(counter, [request("b")])
    file.save(counter.tally)  # too soon
    assert read_tally(tmp_path, os.getpid()) != counter.tally
    file.save(counter.tally, at_once=True)
    assert read_tally(tmp_path, os.getpid()) == counter.tally
    for rest in (b"", b"\xc1", msgspec.msgpack.encode([1])):
        (tmp_path / "tally.msgpack").write_bytes(rest)
        assert read_tally(tmp_path, os.getpid()) is None


def test_the_results_of_a_batch_count_as_their_rows_do(counter: Counter) -> None:
    """What was counted before is in no row; further models have rows of their own; no prompt is so long."""
    parts = tuple(Part(model, Usage(100, 50, requests=2)) for model in ("claude-opus-5", "claude-haiku-4-5"))
    usage = Usage(200, 100, requests=4, service_tier="batch", parts=parts)
    results = request("a", method="GET", path="/v1/messages/batches/b/results", model=None, usage=usage)
    rows = to_rows([results]).requests
    told = {"input_tokens": 100, "output_tokens": 50, "service_tier": "batch", "nano_usd": 7}
    counter.add([results], [row | told | {"model": part.model} for row in rows for part in parts])
    counter.add([results], [rows[0] | {"service_tier": "batch"}])
    tally = counter.tally
    assert tally.requests == {("anthropic", "", "200"): 1, ("anthropic", "claude-opus-5", "200"): 1}
    assert tally.tokens["anthropic", "claude-haiku-4-5", "input"] == 100
    assert sum(tally.nano_usd.values()) == 14
    assert tally.request_tokens == {} == tally.unpriced
