import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.google_limits import read_limits
from headgate.providers.limits import Source

NOW = 1_800_000_000.0
TYPE = "type.googleapis.com/google.rpc."


def body(*details: dict[str, Any], wrapped: bool = False) -> bytes:
    error = {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": list(details)}
    document = {"error": error}
    return json.dumps([document] if wrapped else document).encode()


RETRY = {"@type": TYPE + "RetryInfo", "retryDelay": "34.07s"}
DAILY = {
    "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
    "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    "quotaDimensions": {"location": "global", "model": "gemini-2.5-pro"},
    "quotaValue": "50",
}
FAILURE = {"@type": TYPE + "QuotaFailure", "violations": [DAILY]}


@pytest.mark.parametrize("wrapped", [False, True])
def test_retry_info_says_when_to_come_back(wrapped: bool) -> None:
    limits = read_limits(body(FAILURE, RETRY, wrapped=wrapped), NOW)
    assert (limits.reset_at, limits.retry_after) == (pytest.approx(NOW + 34.07), 34.07)
    assert (limits.is_hard, limits.status) == (True, "resource_exhausted")


def test_a_violated_quota_is_a_full_window_of_its_model() -> None:
    limits = read_limits(body(FAILURE), NOW)
    (window,) = limits.windows
    assert (window.name, window.limit, window.remaining, window.utilization) == (DAILY["quotaId"], 50, 0, 1.0)
    assert (window.models, window.source, window.seen_at) == ("gemini-2.5-pro", Source.BODY, NOW)
    assert limits.is_model_limit
    assert limits.reset_at is None


def test_a_quota_of_the_whole_project_is_no_models() -> None:
    shared = {**FAILURE, "violations": [DAILY, {"quotaMetric": "requests"}]}
    limits = read_limits(body(shared), NOW)
    assert [window.name for window in limits.windows] == [DAILY["quotaId"], "requests"]
    assert not limits.is_model_limit


@pytest.mark.parametrize("delay", ["", "s", "soon", "-4s", "34", 34, None, "1e999s"])
def test_a_delay_that_cannot_be_read_is_not_stated(delay: object) -> None:
    assert read_limits(body({**RETRY, "retryDelay": delay}), NOW).reset_at is None


@pytest.mark.parametrize("garbage", [b"", b"<html>", b"[]", b"[1]", b'{"error":"no"}', b"\xff", b"[" * 5000])
def test_what_is_no_such_body_says_nothing(garbage: bytes) -> None:
    limits = read_limits(garbage, NOW)
    assert (limits.windows, limits.is_hard, limits.reset_at) == ((), False, None)


KEYS = ("@type", "retryDelay", "violations", "quotaId", "quotaDimensions", "model")
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4), st.sampled_from(["RetryInfo", "QuotaFailure"]))
def test_no_shape_of_details_raises(details: list[Any], kind: str) -> None:
    typed = [{**one, "@type": TYPE + kind} if isinstance(one, dict) else one for one in details]
    read_limits(json.dumps({"error": {"details": typed}}).encode(), NOW)
