"""What was asked and how it ended: `/api/requests`, one of them, and all of them live."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from headgate.admin.bodies import Search, bodies_of, searching
from headgate.admin.live import Event, Live, View
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import Chosen, matches
from headgate.admin.views import RequestDetail, RequestView, request_detail, request_view
from headgate.errors import NotFound
from headgate.storage.request_filter import RequestFilter

POLL_SECONDS = 0.25
"""How soon a live view sees a request after the recorder has written it."""

KEEPALIVE_SECONDS = 15.0
"""A comment this often, so that no proxy in between takes a quiet stream for a dead one."""

router = APIRouter(prefix="/api/requests", tags=["requests"])


class RequestPage(BaseModel):
    requests: list[RequestView]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last one.")


def _live_of(request: Request) -> Live:
    live: Live = request.app.state.live
    return live


ItsLive = Annotated[Live, Depends(_live_of)]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=256)]
Backlog = Annotated[int, Query(ge=0, le=1000, description="How many past ones to begin with.")]
Phases = Annotated[
    bool,
    Query(
        description="Also `start` and `first_byte`; with a filter by status or account there are none, for "
        "only the end of a request tells these."
    ),
]
LastSeen = Annotated[int | None, Header(alias="last-event-id", ge=-(2**53), le=2**53)]


@router.get("", operation_id="list_requests")
async def list_requests(
    owner: ItsOwner,
    wanted: Chosen,
    limit: Limit = 50,
    cursor: Cursor = None,
    search: Search = None,
) -> RequestPage:
    """Newest first."""
    wanted = await searching(owner, wanted, search)
    rows, next_cursor = await owner.requests.page(wanted, limit=limit, cursor=cursor)
    return RequestPage(requests=[request_view(row) for row in rows], next_cursor=next_cursor)


@router.get("/stream", operation_id="stream_requests", response_class=StreamingResponse)
async def stream_requests(
    owner: ItsOwner,
    live: ItsLive,
    wanted: Chosen,
    backlog: Backlog = 0,
    phases: Phases = True,
    last_event_id: LastSeen = None,
) -> StreamingResponse:
    """Server-sent events of each request: `start` and `first_byte` while it runs, `finish` when it is
    recorded, in the form of `/api/requests`.

    The id of a `finish` is the place in the order of recording: a client that reconnects with
    `Last-Event-ID` misses none.
    """
    place = await owner.requests.last_seq() if last_event_id is None else last_event_id
    # Read before the stream begins, so that a wrong filter is still an answer with a status.
    rows, _ = await owner.requests.page(wanted, limit=max(backlog, 1))
    past = [row for row in reversed(rows[:backlog]) if last_event_id is None and row["seq"] <= place]
    return StreamingResponse(
        _events(owner, live if phases else None, wanted, past, place),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(
    owner: Owner, live: Live | None, wanted: RequestFilter, past: list[dict[str, Any]], place: int
) -> AsyncIterator[bytes]:
    """Ends when the gateway drains; a client that leaves cancels it at the next wait."""
    yield b": open\n\n"
    for row in past:
        yield _event(row)
    with live.view(wanted) if live is not None else nullcontext() as view:
        async for told in _news(owner, live, view, wanted, place):
            yield told


async def _news(
    owner: Owner, live: Live | None, view: View | None, wanted: RequestFilter, place: int
) -> AsyncIterator[bytes]:
    silent_since = owner.clock.monotonic()
    while not (owner.process and owner.process.is_draining):
        # Before the records: what they tell of has begun by then.
        if live is not None and view is not None:
            live.look()
            for event in view.take():
                silent_since = owner.clock.monotonic()
                yield _phase(event)
        rows = await owner.requests.after(place, marking=wanted)
        for row in rows:
            place = row["seq"]
            if matches(row, wanted):
                silent_since = owner.clock.monotonic()
                earlier = [] if view is None else map(_phase, view.before(row))
                yield b"".join([*earlier, _event(row)])
        if owner.clock.monotonic() - silent_since >= KEEPALIVE_SECONDS:
            silent_since = owner.clock.monotonic()
            yield b": still here\n\n"
        if rows:
            continue
        if (last := await owner.requests.last_seq()) < place:
            # The history was cleared, and its numbers begin anew; what was imported lies below them.
            place = min(last, 0)
        else:
            await asyncio.sleep(POLL_SECONDS)


def _phase(event: Event) -> bytes:
    name, said = event
    return f"event: {name}\ndata: {json.dumps(said, separators=(',', ':'))}\n\n".encode()


def _event(row: dict[str, Any]) -> bytes:
    data = json.dumps(request_view(row).model_dump(mode="json"), separators=(",", ":"))
    return f"id: {row['seq']}\nevent: finish\ndata: {data}\n\n".encode()


@router.get("/{request_id}", operation_id="get_request")
async def get_request(owner: ItsOwner, request_id: str) -> RequestDetail:
    """By the `x-headgate-request-id` that the caller saw; with every attempt that was made."""
    row = await owner.requests.get(request_id)
    if row is None:
        raise NotFound(
            f"No request has the id {request_id}",
            hint="A request appears some 100 ms after its end.",
        )
    return request_detail(row, await bodies_of(owner, row["seq"]))
