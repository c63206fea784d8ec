"""What was said, where it is kept: of one request what there is, and the bodies themselves.

A body is somebody's words: it is handed out as a file, and no browser shows it as a page of ours.
"""

from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import InvalidRequest, NotFound, StorageError
from headgate.record.words import words_in
from headgate.storage.request_filter import RequestFilter

router = APIRouter(prefix="/api/requests", tags=["requests"])

_SHOWN_AS_THEY_ARE = ("application/json", "text/event-stream", "text/plain")
"""Types; anything else is plain text, or bytes."""
_MOST_WORDS = 16

Search = Annotated[
    str | None,
    Query(
        max_length=1_024,
        description="Words that the request or its answer has, all of them, whatever their case; only where "
        "bodies are kept (`storage.bodies.keep`).",
    ),
]


class Kind(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


class BodyView(BaseModel):
    """What is kept of one body."""

    size: int = Field(description="Bytes that passed.")
    kept: int = Field(description="Bytes that are kept, without content coding and without secrets.")
    stored: int = Field(description="Bytes that it takes in the database, its words counted in.")
    content_type: str
    redacted: int = Field(description="Secrets that were blacked out.")
    truncated: bool
    note: str | None = Field(description="In words: `Buffer truncated at 1MB`, or why nothing is kept.")
    error: str | None = Field(
        description="Why it could not be captured, or not all: a stable word; null: it was."
    )
    is_searchable: bool = Field(description="Whether every word of it is found; else the newest are.")


class BodiesView(BaseModel):
    """null: nothing is kept."""

    request: BodyView | None = None
    response: BodyView | None = None


class KeptView(BaseModel):
    """How much of what was said is kept."""

    keeping: bool = Field(description="Whether what is said now is kept: `storage.bodies.keep`.")
    refusal: str | None = Field(description="Why it is not, though it should be.")
    bodies: int | None = Field(description="null: the database does not say.")
    bytes: int | None
    max_bytes: int = Field(description="More than this is not kept: the oldest go; 0: no limit.")
    dropped: int = Field(description="Bodies that the journal had no room for, since the start.")


async def bodies_of(owner: Owner, seq: int) -> BodiesView:
    found = await owner.bodies.told_of(seq)
    return BodiesView(**{kind: _view(row) for kind, row in found.items()})


async def kept_view(owner: Owner, *, asks_database: bool) -> KeptView:
    wanted, keeping, sums = owner.settings.storage.bodies, owner.keeping, None
    if asks_database:
        with suppress(StorageError):
            sums = await owner.bodies.sums()
    refusal = keeping.refusal if keeping is not None else None
    return KeptView(
        keeping=wanted.keep and refusal is None,
        refusal=refusal,
        bodies=sums.bodies if sums is not None else None,
        bytes=sums.bytes if sums is not None else None,
        max_bytes=wanted.max_total_mb << 20,
        dropped=keeping.dropped if keeping is not None else 0,
    )


def _view(row: dict[str, Any]) -> BodyView:
    fields = {name: row[name] for name in BodyView.model_fields if name in row}
    return BodyView(**fields, is_searchable=row["kept"] > 0 and not row["has_more_words"])


@router.get("/{request_id}/bodies/{kind}", operation_id="get_body", response_class=Response)
async def get_body(owner: ItsOwner, request_id: str, kind: Kind) -> Response:
    """What the client sent, or what it got, as far as it is kept."""
    found = await owner.bodies.read(request_id, kind)
    if found is None:
        raise NotFound(f"No {kind} body is kept of {request_id}", hint=await _why_none(owner, request_id))
    told, body = found
    if body is None:
        raise NotFound(
            f"The {kind} body of {request_id} cannot be shown: {told['note'] or 'its key is missing'}",
            hint="`GET /api/requests/{id}` says what is kept of a request, and why not more.",
        )
    name = f"{request_id}-{kind}{_ending(told['content_type'])}"
    return Response(
        body,
        media_type=_type_of(told["content_type"], body),
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
            "cache-control": "no-store",
        },
    )


async def _why_none(owner: Owner, request_id: str) -> str:
    if await owner.requests.get(request_id) is None:
        return "No request has this id; one appears some 100 ms after its end."
    if not owner.settings.storage.bodies.keep:
        return "Bodies are not kept: `headgate config set storage.bodies.keep true` keeps those to come."
    return "It was empty, came before bodies were kept, or was deleted: see `storage.bodies`."


def _type_of(content_type: str, body: bytes) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _SHOWN_AS_THEY_ARE:
        return kind
    try:
        body.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


def _ending(content_type: str) -> str:
    return ".json" if content_type.startswith("application/json") else ".txt"


async def searching(owner: Owner, wanted: RequestFilter, search: str | None) -> RequestFilter:
    """With the words that the bodies of a request must have."""
    if search is None:
        return wanted
    words = set(words_in(search))
    if not words or len(words) > _MOST_WORDS:
        raise InvalidRequest(
            f"Invalid search: {search[:64]!r} has {len(words)} words",
            hint=f"Name 1 to {_MOST_WORDS} words, of letters and digits, of two characters or more.",
        )
    if not owner.settings.storage.bodies.keep and not (await owner.bodies.sums()).bodies:
        raise InvalidRequest(
            "There is nothing to search: requests and answers are not kept",
            hint="`headgate config set storage.bodies.keep true` keeps those to come, sealed.",
        )
    return replace(wanted, tokens=tuple(map(tuple, await owner.bodies.tokens(words))))
