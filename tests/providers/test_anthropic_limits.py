from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.anthropic_limits import read_limits
from headgate.providers.limits import Limits
from headgate.wire.headers import Headers

NOW = 1_800_000_000.0
U = "anthropic-ratelimit-unified-"
D = "anthropic-ratelimit-"


def limits(**fields: str) -> Limits:
    """Keywords stand for headers: `U_status` is the unified status, `D_tokens_reset` a dated one."""
    headers: Headers = [(b"date", b"x"), (b"request-id", b"req_1")]
    for name, value in fields.items():
        full = name.replace("7d_opus", "7d~opus").replace("_", "-").replace("~", "_")
        full = full.replace("U-", U, 1).replace("D-", D, 1) if full[:2] in ("U-", "D-") else full
        headers.append((full.encode(), value.encode("latin-1")))
    return read_limits(headers, NOW)


def date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(seconds: float) -> str:
    return str(int(NOW + seconds))


def test_unified_windows_are_read_whatever_their_name() -> None:
    read = limits(
        U_status="allowed",
        U_5h_status="allowed",
        U_5h_utilization="0.42",
        U_5h_reset=unix(900),
        U_7d_opus_utilization="1.1",
        U_representative_claim="five_hour",
        U_overage_status="rejected",
        U_fallback_percentage="0.5",
    )
    assert {(one.name, one.utilization, one.resets_at, one.status) for one in read.windows} == {
        ("5h", 0.42, NOW + 900, "allowed"),
        ("7d_opus", 1.0, None, None),
    }
    assert (read.status, read.is_hard, read.is_soft) == ("allowed", False, False)


def test_dated_families_become_windows() -> None:
    read = limits(
        D_requests_limit="50", D_requests_remaining="10", D_requests_reset=date(NOW + 5), D_tokens_limit="0"
    )
    requests, tokens = read.windows
    assert (requests.name, requests.limit, requests.remaining, requests.resets_at) == (
        "requests",
        50,
        10,
        NOW + 5,
    )
    assert requests.utilization == pytest.approx(0.8)
    assert (tokens.name, tokens.limit, tokens.utilization) == ("tokens", 0, None)


@pytest.mark.parametrize(
    ("status", "hard", "soft"),
    [
        ("rejected", True, False),
        ("Rate_Limited", True, False),
        ("blocked", True, False),
        ("queueing_hard", True, False),
        ("payment_required", True, False),
        ("allowed_warning", False, True),
        ("queueing_soft", False, True),
        ("allowed", False, False),
        ("something_new", False, False),
    ],
)
def test_hard_statuses_refuse_soft_ones_warn_unknown_ones_do_neither(
    status: str, hard: bool, soft: bool
) -> None:
    read = limits(U_status=status)
    assert (read.is_hard, read.is_soft) == (hard, soft)
    assert read.needs_payment == (status == "payment_required")


def test_rejected_is_no_refusal_while_paid_overage_serves() -> None:
    assert not limits(U_status="rejected", U_overage_status="allowed").is_hard
    assert limits(U_status="rejected", U_overage_status="rejected").is_hard


def test_only_windows_of_some_models_used_up_is_a_model_limit() -> None:
    assert limits(U_status="rejected", U_5h_status="allowed", U_7d_opus_status="rejected").is_model_limit
    assert not limits(U_status="rejected", U_5h_status="rejected", U_7d_opus_status="rejected").is_model_limit
    assert limits(U_status="rejected", U_representative_claim="seven_day_opus").is_model_limit
    assert not limits(U_status="rejected", U_representative_claim="seven_day").is_model_limit


def test_the_unified_reset_comes_before_retry_after() -> None:
    assert limits(U_status="rejected", U_reset=unix(900), retry_after="5").reset_at == NOW + 900


def test_the_unified_reset_of_a_plan_that_is_not_used_up_does_not_count() -> None:
    """A 429 for a burst carries the plan's reset too: hours away, and beside the point."""
    assert limits(U_status="allowed", U_reset=unix(9000), retry_after="5").reset_at == NOW + 5


def test_without_a_unified_reset_the_used_up_window_says_it() -> None:
    read = limits(U_5h_status="rejected", U_5h_reset=unix(900), U_7d_status="allowed", U_7d_reset=unix(9000))
    assert (read.is_hard, read.reset_at) == (True, NOW + 900)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0.25", 0.25),
        ("0", 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("-5", None),
        ("soon", None),
        ("inf", None),
        ("9" * 400, None),
        ("1e15", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert limits(retry_after=value).retry_after == seconds


def test_the_latest_reset_among_empty_families_is_the_last_word() -> None:
    read = limits(
        D_requests_remaining="0",
        D_requests_reset=date(NOW + 10),
        D_tokens_remaining="0",
        D_tokens_reset=date(NOW + 20),
        D_input_tokens_remaining="1",
        D_input_tokens_reset=date(NOW + 99),
    )
    assert read.reset_at == NOW + 20


def test_a_refusal_that_names_no_time_has_none() -> None:
    assert limits(U_status="rejected", U_reset=unix(-5), retry_after="0").reset_at is None
    assert limits().reset_at is None


def test_garbage_spoils_only_its_own_field() -> None:
    read = limits(
        U_status="rejected",
        U_reset="tomorrow",
        U_5h_reset="99999999999999",
        U_5h_utilization="NaN",
        U_5h_status="rejected",
        D_requests_limit="many",
        D_requests_remaining="3",
        retry_after="7",
        x_should_retry="maybe",
    )
    assert (read.is_hard, read.reset_at, read.should_retry) == (True, NOW + 7, None)
    assert [(one.name, one.utilization, one.remaining) for one in read.windows] == [
        ("5h", None, None),
        ("requests", None, 3),
    ]


def test_the_providers_advice_on_retrying_is_read() -> None:
    assert limits(x_should_retry="true").should_retry is True
    assert limits(x_should_retry="FALSE").should_retry is False


names = st.sampled_from(
    ["retry-after", "x-should-retry", U, U + "-", U + "status", U + "reset", U + "5h-reset", U + "x-y-status"]
    + [
        f"{D}{family}-{field}"
        for family in ("tokens", "requests")
        for field in ("limit", "remaining", "reset")
    ]
).map(str.encode)
values = st.binary(max_size=12) | st.sampled_from(
    [b"0", b"-1", b"1e999", b"2026-13-01T00:00:00Z", b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59+00:00"]
)


@given(st.lists(st.tuples(names, values), max_size=10))
def test_no_header_raises_and_no_reset_lies_in_the_past(headers: Headers) -> None:
    read = read_limits(headers, NOW)
    assert read.reset_at is None or read.reset_at > NOW
    assert all(one.utilization is None or 0 <= one.utilization <= 1 for one in read.windows)
