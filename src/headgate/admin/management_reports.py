"""The log and what was used, in the forms of another gateway: `/v0/management/logs` and `/usage`."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate import log
from headgate.admin.logs import last
from headgate.admin.management_forms import PREFIX
from headgate.admin.owner import ItsOwner
from headgate.errors import InvalidRequest, NotOffered
from headgate.log_reading import Entry
from headgate.storage.request_filter import RequestFilter
from headgate.storage.usage import usage

router = APIRouter(prefix=PREFIX, tags=["management"])

_MOST_ENTRIES = 10_000
_CURSOR = re.compile(r"(\d{1,15})\.(\d{1,15})")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_UNKNOWN = "unknown"

Limit = Annotated[int, Query(ge=1, le=_MOST_ENTRIES, description="How many lines at most, the newest.")]
After = Annotated[int, Query(ge=0, le=10**12, description="Unix seconds: later ones only.")]
Cursor = Annotated[str, Query(max_length=64, description="`next-cursor` of the answer before.")]


class LogLines(BaseModel):
    lines: list[str] = Field(description="Oldest first, secrets blanked.")
    line_count: int = Field(serialization_alias="line-count")
    latest_timestamp: int = Field(serialization_alias="latest-timestamp", description="Unix seconds.")
    next_cursor: str = Field(serialization_alias="next-cursor", description="Goes on where this one ends.")


@router.get("/logs", operation_id="management_logs")
async def get_logs(owner: ItsOwner, limit: Limit = 1000, after: After = 0, cursor: Cursor = "") -> LogLines:
    """Lines of the log file and of rotated ones."""
    path = log.file_of(owner.settings.log.file)
    if path is None:
        raise InvalidRequest(
            "logging to file disabled: the setting log.file is empty",
            hint="PUT /v0/management/logging-to-file with a value of true turns it on.",
        )
    since_ms, seen = _read_cursor(cursor) if cursor else ((after + 1) * 1000 if after else 0, 0)
    found = await asyncio.to_thread(_entries, path, since_ms, seen)
    lines = [line for one in found for line in one.text.split("\n")]
    moments = [one.at_ms for one in found if one.at_ms is not None]
    latest = max(moments, default=since_ms)
    seen_then = moments.count(latest) + (seen if latest == since_ms else 0)
    return LogLines(
        lines=lines[-limit:],
        line_count=len(lines[-limit:]),
        latest_timestamp=max(latest // 1000, after),
        next_cursor=f"{latest}.{seen_then}",
    )


def _entries(path: Path, since_ms: int, seen: int) -> list[Entry]:
    """Without the first `seen` of those of that very millisecond."""
    found = last(path, _MOST_ENTRIES, None, since_ms or None)
    kept = []
    for one in found:
        if seen and one.at_ms == since_ms:
            seen -= 1
        else:
            kept.append(one)
    return kept


def _read_cursor(cursor: str) -> tuple[int, int]:
    if (found := _CURSOR.fullmatch(cursor)) is None:
        raise InvalidRequest("The cursor is none of ours", hint="Leave it out to begin anew.")
    return int(found[1]), int(found[2])


@router.delete("/logs", operation_id="delete_management_logs")
async def delete_logs() -> None:
    """Not offered: the log is the owner's evidence, and looks after its size itself."""
    raise NotOffered(
        "The log is not deleted from afar",
        hint="log.max_bytes and log.backups say how much of it is kept.",
    )


# ---- usage -----------------------------------------------------------------------------------------


class ModelUsage(BaseModel):
    total_requests: int = 0
    total_tokens: int = 0


class KeyUsage(ModelUsage):
    models: dict[str, ModelUsage] = Field(default_factory=dict)


class UsageSnapshot(ModelUsage):
    """Over the whole history. Days and hours are those of UTC; an hour is one of the day's 24."""

    success_count: int = 0
    failure_count: int = 0
    apis: dict[str, KeyUsage] = Field(default_factory=dict, description="By client key.")
    requests_by_day: dict[str, int] = Field(default_factory=dict)
    requests_by_hour: dict[str, int] = Field(default_factory=dict)
    tokens_by_day: dict[str, int] = Field(default_factory=dict)
    tokens_by_hour: dict[str, int] = Field(default_factory=dict)


class UsageAnswer(BaseModel):
    usage: UsageSnapshot
    failed_requests: int


@router.get("/usage", operation_id="management_usage")
async def get_usage(owner: ItsOwner) -> UsageAnswer:
    """Sums of the history; single requests are at `GET /api/requests`."""
    every = RequestFilter()
    snapshot = UsageSnapshot()
    for row in await usage(owner.database, every, "key", within="model"):
        key = snapshot.apis.setdefault(str(row["key"]), KeyUsage())
        model = key.models.setdefault(str(row["within"] or _UNKNOWN), ModelUsage())
        for sums in (snapshot, key, model):
            sums.total_requests += row["requests"]
            sums.total_tokens += _tokens(row)
        snapshot.failure_count += row["errors"]
    snapshot.success_count = snapshot.total_requests - snapshot.failure_count
    for row in sorted(await usage(owner.database, every, "hour"), key=lambda row: int(row["key"])):
        moment = datetime.fromtimestamp(row["key"] / 1000, UTC)
        for name, requests, tokens in (
            (f"{moment:%Y-%m-%d}", snapshot.requests_by_day, snapshot.tokens_by_day),
            (f"{moment:%H}", snapshot.requests_by_hour, snapshot.tokens_by_hour),
        ):
            requests[name] = requests.get(name, 0) + row["requests"]
            tokens[name] = tokens.get(name, 0) + _tokens(row)
    return UsageAnswer(usage=snapshot, failed_requests=snapshot.failure_count)


def _tokens(row: dict[str, Any]) -> int:
    return sum(row[name] for name in _TOKENS)
