"""Records as rows of the database."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from headgate.dialects.batch_results import batch_of
from headgate.dialects.usage import Usage
from headgate.log import redact
from headgate.pricing.prices import PriceTable, shipped_table
from headgate.record.events import Attempt, HealthRecord, ObjectRecord, Record, RequestRecord, Skipped
from headgate.storage.batch import Rows
from headgate.storage.batch_usage import Fetched
from headgate.storage.sums import usage_columns
from headgate.wire.user_agents import client_of

_UNSAID = Usage()
_SAID_BY_CALLERS = ("model", "session", "user_agent", "project")
"""Names, in which nobody looks for a key, and shown wherever requests are."""
_without_secrets = lru_cache(maxsize=4_096)(redact)  # most come again and again


def _texts_of(kind: type[msgspec.Struct]) -> Callable[[dict[str, Any]], Iterable[str | None]]:
    """Picks the fields that may hold text out of a record's columns."""
    fields = msgspec.structs.fields(kind)
    return itemgetter(*(field.name for field in fields if field.type in (str, str | None)))


_TEXTS: dict[type[msgspec.Struct], Callable[[dict[str, Any]], Iterable[str | None]]]
_TEXTS = {kind: _texts_of(kind) for kind in (RequestRecord, Attempt)}


def to_rows(records: Iterable[Record], prices: PriceTable | None = None) -> Rows:
    """`prices`: those that hold now; they are in the rows for ever."""
    rows = Rows(prices=prices or shipped_table())
    for record in records:
        match record:
            case RequestRecord():
                _add_request(record, rows)
            case HealthRecord():
                rows.health.append(
                    {"account_id": record.account_id, "at_ms": record.at_ms, "state": record.state}
                )
            case ObjectRecord():
                rows.objects.append(_columns(record))
    return rows


def _add_request(record: RequestRecord, rows: Rows) -> None:
    row = _columns(record)
    row["timestamp"] = row.pop("at_ms")
    for name in _SAID_BY_CALLERS:
        if (text := row[name]) is not None:
            row[name] = _without_secrets(text)
    del (
        row["attempts"],
        row["usage"],
        row["spans"],
        row["apart"],
        row["domain"],
        row["bodies"],
        row["traceparent"],
    )
    usage = record.usage or _UNSAID
    row["client"] = client_of(record.user_agent)
    if usage.requests is not None and (batch_id := batch_of(record.path)) is not None:
        rows.fetched.append(Fetched(row, batch_id, usage))
        usage = _UNSAID  # until it is known what of it is new
    row |= usage_columns(usage)
    row["nano_usd"] = rows.prices.known_cost_of(record.provider, record.model, usage, record.account)
    if record.skipped is not None:
        row["skipped"] = _skipped(record.skipped)
    rows.requests.append(row)
    left = {record.account_id}
    for position, attempt in enumerate(record.attempts):
        columns = {"request_id": row["id"], "position": position, **_columns(attempt)}
        columns["request_at"] = columns["request_failed"] = None
        if attempt.error is not None and attempt.account_id not in left:
            left.add(attempt.account_id)
            columns["request_at"] = record.at_ms
            columns["request_failed"] = record.status >= 400 or record.error is not None
        rows.attempts.append(columns)


def _skipped(skipped: Skipped) -> dict[str, Any]:
    accounts = [{"account": account, "reason": reason} for account, reason in skipped.accounts]
    return {"accounts": accounts, "more": skipped.more}


def _columns(struct: msgspec.Struct) -> dict[str, Any]:
    """By field name. PostgreSQL takes no NUL in a text, and a client may send one in any name."""
    columns = msgspec.structs.asdict(struct)
    if (texts := _TEXTS.get(type(struct))) and "\0" not in "".join(filter(None, texts(columns))):
        return columns
    for name, value in columns.items():
        if isinstance(value, str) and "\0" in value:
            columns[name] = value.replace("\0", "\ufffd")
    return columns
