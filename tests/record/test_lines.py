import logging

import pytest

from headgate.record.events import HealthRecord
from headgate.record.lines import RequestLog
from tests.record.samples import attempt, request


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="headgate.proxy")
    return caplog


def texts(lines: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(entry.levelname, entry.getMessage()) for entry in lines.records]


def test_s5_a_finished_request_is_one_line(lines: pytest.LogCaptureFixture) -> None:
    """With what one greps for beside it."""
    RequestLog().write([request("a"), HealthRecord(1, "work", 5, {})])
    assert texts(lines) == [("INFO", "Request completed for work: 200 in 100ms")]
    extra = lines.records[0].__dict__
    assert (extra["request_id"], extra["status_code"], extra["input_tokens"]) == ("a", 200, 1)


def test_r15_r19_failures_and_switches_are_told_in_order(lines: pytest.LogCaptureFixture) -> None:
    tries = (
        attempt("a", account_id=1, status=429, error="rate_limit_error", until_at=1_700_000_000.0),
        attempt("b", account_id=2, status=None, error="connect_failed", reason="ECONNREFUSED\nnobody there"),
        attempt("c", account_id=3),
    )
    RequestLog().write([request("r", account="c", attempts=tries)])
    assert texts(lines) == [
        ("WARNING", "Failed to proxy request with account a: rate_limit_error"),
        ("WARNING", "Account a rate limited until 2023-11-14T22:13:20Z"),
        ("INFO", "Switched account: a -> b: rate_limit_error"),
        ("WARNING", "Failed to proxy request with account b: ECONNREFUSED nobody there"),
        ("INFO", "Switched account: b -> c: ECONNREFUSED nobody there"),
        ("INFO", "Request completed for c: 200 in 100ms"),
    ]


def test_s12_an_answer_without_usage_is_told(lines: pytest.LogCaptureFixture) -> None:
    """`extractUsageInfo` on a failed extraction alone; `Streaming response` beside a streamed answer."""
    good, whole = request("a", usage=None), request("b", stream=False)
    others = [request("c", usage=None, path=path) for path in ("/v1/messages/count_tokens", "/v1/files")]
    refused = request("d", usage=None, status=400, error="invalid_request_error")
    elsewhere = request("e", usage=None, path="/v1/chat/completions")
    RequestLog().write([good, whole, *others, refused, elsewhere])
    told = [entry for entry in lines.records if "extractUsageInfo" in entry.getMessage()]
    assert [(one.levelname, one.__dict__["request_id"]) for one in told] == [
        ("WARNING", "a"),
        ("WARNING", "e"),
    ]
    answers = {one.__dict__["request_id"]: one.__dict__["answer"] for one in lines.records if one not in told}
    assert (answers["a"], answers["b"], answers["d"]) == ("Streaming response", None, None)


def test_each_line_has_the_time_at_which_it_happened(lines: pytest.LogCaptureFixture) -> None:
    """All are written when the request is over; its attempts were earlier."""
    tries = (
        attempt("a", account_id=1, status=500, error="api_error", started_ms=10.0, duration_ms=200.0),
        attempt("b", account_id=2, started_ms=1000.0, duration_ms=50.0),
    )
    RequestLog().write([request("r", account="b", attempts=tries, duration_ms=3000.0)])
    began = 1_700_000_000
    assert [entry.created - began for entry in lines.records] == pytest.approx([0.21, 1.0, 3.0])


def test_another_try_on_the_same_account_is_no_switch(lines: pytest.LogCaptureFixture) -> None:
    tries = (attempt("a", status=500, error="api_error"), attempt("a"))
    RequestLog().write([request("r", attempts=tries)])
    assert not any("Switched" in text for _, text in texts(lines))


def test_a_limit_met_by_many_requests_is_said_once(lines: pytest.LogCaptureFixture) -> None:
    """And again when it moves."""
    log = RequestLog()
    for until in (100.0, 100.0, 200.0):
        log.write([request("r", attempts=(attempt("a", status=429, error="x", until_at=until),))])
    assert sum("rate limited until" in text for _, text in texts(lines)) == 2


def test_an_account_that_waits_for_its_owner_leads_on(lines: pytest.LogCaptureFixture) -> None:
    RequestLog().write([request("r", attempts=(attempt("a", status=401, error="x", until_at=float("inf")),))])
    assert ("WARNING", "Account a out until its owner acts: headgate status says how") in texts(lines)


@pytest.mark.parametrize("until", [float("inf"), 1e18, float("nan")])
def test_a_rest_without_a_sensible_end_is_still_a_line(lines: pytest.LogCaptureFixture, until: float) -> None:
    RequestLog().write([request("r", attempts=(attempt("a", status=402, error="x", until_at=until),))])
    assert any(text.startswith("Account a out until ") for _, text in texts(lines))


def test_a_request_that_no_account_served_is_a_line_too(lines: pytest.LogCaptureFixture) -> None:
    RequestLog().write([request("r", account=None, account_id=None, attempts=(), status=503, usage=None)])
    assert texts(lines) == [("INFO", "Request completed for no account: 503 in 100ms")]


def test_an_answer_that_was_cut_off_is_a_warning(lines: pytest.LogCaptureFixture) -> None:
    """Its status was out when it went wrong, and says nothing of that."""
    RequestLog().write([request("r", error="shutting_down")])
    assert texts(lines) == [("WARNING", "Request completed for work: 200 in 100ms, cut off: shutting_down")]
