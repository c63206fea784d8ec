"""Records as rows of the database."""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import msgspec

from headgate.dialects.parts import parts_to_json
from headgate.dialects.usage import OTHERS, USUAL, Usage
from headgate.pricing.prices import PriceTable, shipped_table
from headgate.record.events import Attempt, HealthRecord, ObjectRecord, Record, RequestRecord, Skipped
from headgate.storage.batch import Rows

_MAX_INTEGER = 2**63 - 1
_NOT_TOLD = (None,) * len(OTHERS)

_UNSAID = Usage()


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
    row |= _usage_columns(usage)
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


def _usage_columns(usage: Usage) -> dict[str, Any]:
    """A count beyond 64 bits is a provider's nonsense: not said, rather than a record refused."""
    told = msgspec.structs.astuple(usage)
    usual, others = told[: len(USUAL)], told[len(USUAL) :]
    if others == _NOT_TOLD and max(filter(None, usual[:-1]), default=0) <= _MAX_INTEGER:
        return {**dict(zip(USUAL, usual, strict=True)), "other_usage": None}
    told = tuple(None if isinstance(one, int) and one > _MAX_INTEGER else one for one in told)
    by_name = dict(zip(Usage.__struct_fields__, told, strict=True))
    found = {name: one for name in OTHERS if (one := by_name.pop(name)) is not None}
    if usage.parts is not None:
        found["parts"] = parts_to_json(usage.parts)
    return {**by_name, "other_usage": found or None}
