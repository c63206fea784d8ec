"""The log file's last entries, and those to come: `/api/logs`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from headgate import log
from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import NotFound, StorageError
from headgate.log_reading import Entry, Follower, last_entries, read_entries

LOOK_EVERY_SECONDS = 0.25
KEEPALIVE_SECONDS = 15.0
"""A comment this often, so that no proxy in between takes a quiet stream for a dead one."""

router = APIRouter(prefix="/api/logs", tags=["logs"])


class LogEntry(BaseModel):
    """A line, with the stack trace below it if there is one."""

    logged_at: int | None = Field(description="Unix milliseconds; null for a line that is not ours.")
    level: Literal["debug", "info", "warn", "error"] | None
    component: str | None
    message: str | None
    request_id: str | None = Field(description="Of the request that the line belongs to.")
    text: str = Field(description="The whole of it as it stands in the file.")


class LogPage(BaseModel):
    path: str
    logs: list[LogEntry]


Limit = Annotated[int, Query(ge=1, le=10_000, description="How many at most.")]
Backlog = Annotated[int, Query(ge=0, le=10_000, description="How many past ones to begin with.")]
Level = Annotated[
    Literal["debug", "info", "warn", "error"] | None, Query(description="This level and worse.")
]
Since = Annotated[int | None, Query(ge=0, le=10**15, description="Unix milliseconds.")]


@router.get("", operation_id="list_logs")
async def list_logs(owner: ItsOwner, limit: Limit = 200, level: Level = None, since: Since = None) -> LogPage:
    """The newest entries of the log file, oldest first; rotated files are read as well."""
    path = _path(owner)
    found = await asyncio.to_thread(last, path, limit, level, since)
    return LogPage(path=str(path), logs=[_view(entry) for entry in found])


@router.get("/stream", operation_id="stream_logs", response_class=StreamingResponse)
async def stream_logs(owner: ItsOwner, backlog: Backlog = 0, level: Level = None) -> StreamingResponse:
    """Server-sent events, one entry each, oldest first: first so many past ones, then those to come."""
    path = _path(owner)
    try:
        follower = await asyncio.to_thread(Follower, path)
    except OSError as error:
        raise _unreadable(path, error) from error
    past = await asyncio.to_thread(last, path, backlog, level, end=follower.start) if backlog else []
    return StreamingResponse(
        _events(owner, follower, past, level),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(
    owner: Owner, follower: Follower, past: list[Entry], level: str | None
) -> AsyncIterator[bytes]:
    """Ends when the gateway drains; a client that leaves cancels it at the next wait."""
    try:
        yield b": open\n\n" + b"".join(map(_event, past))
        silent_since = owner.clock.monotonic()
        while not (owner.process and owner.process.is_draining):
            lines = await asyncio.to_thread(follower.new_lines)
            found = [entry for entry in read_entries(lines) if entry.is_at_least(level)]
            if found:
                yield b"".join(map(_event, found))
            elif owner.clock.monotonic() - silent_since < KEEPALIVE_SECONDS:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                continue
            else:
                yield b": still here\n\n"
            silent_since = owner.clock.monotonic()
    finally:
        follower.close()


def last(
    path: Path, limit: int, level: str | None, since: int | None = None, *, end: int | None = None
) -> list[Entry]:
    """The newest entries, oldest first. Raises StorageError."""
    try:
        return last_entries(path, limit, level=level, since_ms=since, end=end)
    except FileNotFoundError:
        return []  # nothing has been logged yet
    except OSError as error:
        raise _unreadable(path, error) from error


def _path(owner: Owner) -> Path:
    path = log.file_of(owner.settings.log.file)
    if path is None:
        raise NotFound(
            "There is no log file: the setting log.file is null",
            hint="Set log.file to a path, or to default; lines go to the gateway's standard output alone.",
        )
    return path


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The log file cannot be read: {path}: {error.strerror}",
        hint="See that the user who runs the gateway may read it.",
    )


def _view(entry: Entry) -> LogEntry:
    return LogEntry.model_validate(
        {
            "logged_at": entry.at_ms,
            "level": entry.level,
            "component": entry.component,
            "message": entry.message,
            "request_id": entry.request_id,
            "text": entry.text,
        }
    )


def _event(entry: Entry) -> bytes:
    return b"data: " + _view(entry).model_dump_json().encode() + b"\n\n"
