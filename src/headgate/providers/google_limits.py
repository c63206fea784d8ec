"""What a Google error body says about limits: `google.rpc.RetryInfo` and `google.rpc.QuotaFailure`.

Sources: Google AI for Developers, "Rate limits"; google/rpc/error_details.proto (RetryInfo, QuotaFailure);
durations in JSON as in google/protobuf/duration.proto: seconds with a fraction and `s`. Gemini has no limit
headers. No account is served over this yet: there is one provider so far (`anthropic.py`).
"""

from typing import Any

import msgspec

from headgate.providers.header_values import LONGEST_REST_SECONDS, count, number
from headgate.providers.limits import Limits, Source, Window

_RETRY_INFO = "google.rpc.RetryInfo"
_QUOTA_FAILURE = "google.rpc.QuotaFailure"
_MOST_VIOLATIONS = 32


def read_limits(body: bytes, now: float) -> Limits:
    """Never raises: what cannot be read counts as not stated."""
    error = _error(body)
    details = [one for one in _list(error.get("details")) if isinstance(one, dict)]
    wait = next((found for one in details if (found := _retry_delay(one)) is not None), None)
    windows = [window for one in details for window in _violated(one, now)][:_MOST_VIOLATIONS]
    return Limits(
        windows=tuple(windows),
        status=_text(error.get("status"), lower=True),
        is_hard=bool(windows) or error.get("status") == "RESOURCE_EXHAUSTED",
        is_model_limit=bool(windows) and all(window.models is not None for window in windows),
        reset_at=now + wait if wait else None,
        retry_after=wait,
    )


def _error(body: bytes) -> dict[str, Any]:
    """A stream that is no SSE answers with a list of one."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    first = document[0] if isinstance(document, list) and document else document
    error = first.get("error") if isinstance(first, dict) else None
    return error if isinstance(error, dict) else {}


def _retry_delay(detail: dict[str, Any]) -> float | None:
    """Seconds from `34.07s`."""
    delay = detail.get("retryDelay")
    if not _is_a(detail, _RETRY_INFO) or not isinstance(delay, str) or not delay.endswith("s"):
        return None
    seconds = number(delay[:-1])
    return seconds if seconds is not None and seconds < LONGEST_REST_SECONDS else None


def _violated(detail: dict[str, Any], now: float) -> list[Window]:
    if not _is_a(detail, _QUOTA_FAILURE):
        return []
    found = []
    for one in _list(detail.get("violations")):
        name = (_text(one.get("quotaId")) or _text(one.get("quotaMetric"))) if isinstance(one, dict) else None
        if name is None:
            continue
        dimensions = one.get("quotaDimensions")
        model = _text(dimensions.get("model")) if isinstance(dimensions, dict) else None
        found.append(
            Window(
                name,
                now,
                utilization=1.0,
                remaining=0,
                limit=count(_text(one.get("quotaValue"))),
                models=model,
                source=Source.BODY,
            )
        )
    return found


def _is_a(detail: dict[str, Any], kind: str) -> bool:
    return str(detail.get("@type", "")).rpartition("/")[2] == kind


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object, *, lower: bool = False) -> str | None:
    """Not empty, and not endless."""
    if not isinstance(value, str) or not value:
        return None
    return (value.lower() if lower else value)[:200]
