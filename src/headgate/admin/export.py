"""The history taken along: `GET /api/requests/export`, as CSV for a spreadsheet or as JSON lines.

A page at a time, while it is being sent: how long the history is makes no difference to the memory.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from headgate.admin.bodies import Search, searching
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import Chosen
from headgate.admin.views import RequestView, UsageView, request_view
from headgate.storage.request_filter import RequestFilter

PAGE = 100
"""What is read at once holds all other requests up for some 4 ms."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection"); model names, user agents
and sessions are strangers' words."""

Format = Annotated[Literal["csv", "jsonl"], Query(description="CSV, or JSON lines in the form of a list.")]
Most = Annotated[
    int | None, Query(ge=1, le=10**12, description="How many at most, the newest; left out: all.")
]

router = APIRouter(prefix="/api/requests", tags=["requests"])

_OF_REQUEST = [name for name in RequestView.model_fields if name not in ("usage", "failed_account")]
_HEADINGS = ["time", *_OF_REQUEST, *UsageView.model_fields]


@router.get("/export", operation_id="export_requests", response_class=StreamingResponse)
async def export_requests(
    owner: ItsOwner, wanted: Chosen, format: Format = "csv", limit: Most = None, search: Search = None
) -> StreamingResponse:
    """Newest first, with the parameters of the list. What comes in meanwhile is not in it."""
    wanted = await searching(owner, wanted, search)
    # Read before the answer begins, so that a wrong parameter is still an answer with a status.
    first = await owner.requests.page(wanted, limit=min(limit or PAGE, PAGE))
    media_type = "text/csv" if format == "csv" else "application/jsonl"
    return StreamingResponse(
        _lines(owner, wanted, first, limit, format),
        media_type=media_type,
        headers={
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="headgate-requests.{format}"',
        },
    )


async def _lines(
    owner: Owner,
    wanted: RequestFilter,
    page: tuple[list[dict[str, Any]], str | None],
    limit: int | None,
    format: str,
) -> AsyncIterator[bytes]:
    if format == "csv":
        yield _csv([_HEADINGS])
    sent = 0
    while True:
        rows, cursor = page
        sent += len(rows)
        if rows:
            # In a thread: it takes longer than the reading, and nobody's stream is to stand still meanwhile.
            yield await asyncio.to_thread(_written, rows, format)
        if cursor is None or (limit is not None and sent >= limit):
            return
        left = PAGE if limit is None else min(PAGE, limit - sent)
        page = await owner.requests.page(wanted, limit=left, cursor=cursor)


def _written(rows: list[dict[str, Any]], format: str) -> bytes:
    views = [request_view(row) for row in rows]
    return _csv([_cells(view) for view in views]) if format == "csv" else _json_lines(views)


def _json_lines(views: Sequence[RequestView]) -> bytes:
    lines = (json.dumps(view.model_dump(mode="json"), separators=(",", ":")) for view in views)
    return "".join(f"{line}\n" for line in lines).encode()


def _cells(view: RequestView) -> list[Any]:
    try:
        time = datetime.fromtimestamp(view.created_at / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        time = ""  # of a clock that was wrong by millennia; `created_at` has it
    used = dict.fromkeys(UsageView.model_fields) if view.usage is None else view.usage.model_dump()
    return [time, *(_cell(getattr(view, name)) for name in _OF_REQUEST), *map(_cell, used.values())]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    """RFC 4180: lines end in CRLF, what needs quotes has them."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
