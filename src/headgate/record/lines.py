"""The request log: what happened, as lines. Written by the recorder once the records are stored."""

import logging
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from headgate.log import gathered, record_of
from headgate.record.events import Attempt, Record, RequestRecord
from headgate.storage.rollups import kind_of

_log = logging.getLogger("headgate.proxy")

_MAX_REASON = 500
"""A provider's error body may be long; the whole of it is in the caller's answer."""


class RequestLog:
    """Remembers each account's last stated rest, so that a limit met by many requests is one line."""

    def __init__(self) -> None:
        self._resting: dict[str, float] = {}

    def write(self, records: Iterable[Record]) -> None:
        with gathered():
            for record in records:
                if isinstance(record, RequestRecord):
                    self._write_request(record)

    def _write_request(self, record: RequestRecord) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            _write_details(record)
        before: Attempt | None = None
        for attempt in record.attempts:
            if before is not None and before.account_id != attempt.account_id:
                _log_at(
                    logging.INFO,
                    _began_at(record, attempt),
                    "Switched account: %s -> %s: %s",
                    *(before.account, attempt.account, _reason(before)),
                    request_id=record.id,
                )
            if attempt.error is not None:
                self._write_failure(record, attempt)
            before = attempt
        if _lacks_usage(record):
            _log_at(
                logging.WARNING,
                (record.at_ms + record.duration_ms) / 1000,
                "extractUsageInfo: no usage found in the answer of %s",
                record.account,
                request_id=record.id,
                model=record.model,
            )
        _write_completion(record)

    def _write_failure(self, record: RequestRecord, attempt: Attempt) -> None:
        failed_at = _began_at(record, attempt) + attempt.duration_ms / 1000
        _log_at(
            logging.WARNING,
            failed_at,
            "Failed to proxy request with account %s: %s",
            *(attempt.account, _reason(attempt)),
            request_id=record.id,
            provider=record.provider,
            status_code=attempt.status,
        )
        until = attempt.until_at
        if until is None or self._resting.get(attempt.account) == until:
            return
        self._resting[attempt.account] = until
        _log_at(
            logging.WARNING,
            failed_at,
            "Account %s %s until %s",
            *(attempt.account, "rate limited" if attempt.status == 429 else "out", _moment(until)),
            request_id=record.id,
        )


def _lacks_usage(record: RequestRecord) -> bool:
    """A whole good answer of a model in which no tokens were found."""
    is_good = record.status == 200 and record.error is None and record.account is not None
    return (
        is_good and record.usage is None and record.method == "POST" and kind_of(record.path) == "inference"
    )


def _write_details(record: RequestRecord) -> None:
    """What only somebody who looks for a fault wants to read."""
    _log.debug(
        "%s %s from %s with %s",
        record.method,
        record.path,
        record.client_address,
        record.user_agent or "no user agent",
        extra={"request_id": record.id, "session": record.session, "bytes": record.request_bytes},
    )
    for attempt in record.attempts:
        _log.debug(
            "Attempt on %s after %dms took %dms until %s",
            attempt.account,
            round(attempt.started_ms),
            round(attempt.duration_ms),
            attempt.status or attempt.error or "nothing",
            extra={"request_id": record.id},
        )


def _write_completion(record: RequestRecord) -> None:
    usage = record.usage
    was_cut = record.error is not None and record.status < 400  # its head was out when it went wrong
    _log_at(
        logging.WARNING if was_cut else logging.INFO,
        (record.at_ms + record.duration_ms) / 1000,
        "Request completed for %s: %d in %dms%s",
        *(record.account or "no account", record.status, round(record.duration_ms)),
        f", cut off: {record.error}" if was_cut else "",
        request_id=record.id,
        caller=record.caller,
        provider=record.provider,
        model=record.model,
        status_code=record.status,
        error_code=record.error,
        answer="Streaming response" if record.stream and record.status < 400 else None,
        input_tokens=usage and usage.input_tokens,
        output_tokens=usage and usage.output_tokens,
    )


def _log_at(level: int, seconds: float, message: str, *words: object, **extra: object) -> None:
    """A line with the time at which it happened (Unix seconds), which is not the one of writing it down."""
    if _log.isEnabledFor(level):
        _log.handle(record_of(_log.name, level, seconds, message, words, extra))


def _began_at(record: RequestRecord, attempt: Attempt) -> float:
    return (record.at_ms + attempt.started_ms) / 1000


def _reason(attempt: Attempt) -> str:
    """One line: a provider's words may hold line ends, and a log line must not."""
    return " ".join((attempt.reason or attempt.error or "no answer").split())[:_MAX_REASON]


def _moment(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "its owner acts: headgate status says how"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f}"
