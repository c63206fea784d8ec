"""Records for tests, and what the database made of them."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from headgate.dialects.usage import Usage
from headgate.record.events import Attempt, Record, RequestRecord
from headgate.record.recorder import Wishes
from headgate.record.rows import to_rows
from headgate.record.tally import Counter
from headgate.storage.database import Database
from headgate.storage.requests import RequestStore


def request(request_id: str, **changes: Any) -> RequestRecord:
    fields: dict[str, Any] = {
        "at_ms": 1_700_000_000_000,
        "dialect": "anthropic",
        "provider": "anthropic",
        "method": "POST",
        "path": "/v1/messages",
        "caller": "anonymous",
        "client_address": "127.0.0.1",
        "user_agent": "test",
        "session": "s-1",
        "model": "claude-sonnet-4-5",
        "stream": True,
        "account_id": 1,
        "account": "work",
        "attempts": (attempt("work"),),
        "status": 200,
        "error": None,
        "first_byte_ms": 12.5,
        "duration_ms": 99.6,
        "overhead_ms": 0.25,
        "request_bytes": 10,
        "response_bytes": 20,
        "usage": Usage(1, 2, 3, 4, 5),
    }
    return RequestRecord(id=request_id, **(fields | changes))


def attempt(account: str, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {"account_id": 1, "started_ms": 0.5, "duration_ms": 9.0, "status": 200}
    return Attempt(account=account, **(fields | changes))


async def recorded(database: Database) -> list[str]:
    """Ids of the requests in the database, in the order of recording."""
    return [row["id"] for row in await RequestStore(database).after(0, limit=1_000_000)]


def logs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.log"))


def wishes(file: Path, *, level: str = "info", retention_days: int = 0) -> Wishes:
    """What the settings ask, with a log file of the test's own."""
    fields = {"level": level, "format": "pretty", "color": "never", "max_bytes": 1 << 20, "backups": 1}
    return Wishes({"file": str(file), **fields}, retention_days)


async def until(is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for what another process does; fail when it does not."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.005)


def count(counter: Counter, records: Iterable[Record]) -> None:
    """As the recorder does it, once their rows are stored."""
    records = list(records)
    counter.add(records, to_rows(records).requests)
