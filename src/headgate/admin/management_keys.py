"""The client keys of `access.api_keys` in the forms of another gateway: `/v0/management/api-keys`.

They are kept as digests: what is shown of one is how its digest begins, and by that it can be named, as by
the key itself. Keys that are kept in the database have routes of their own.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StrictInt, StrictStr, StringConstraints, TypeAdapter, ValidationError

from headgate.admin.key_import import SETTING, entries
from headgate.admin.management_forms import PREFIX, AnyContentType, Done, done
from headgate.admin.owner import ItsOwner, Owner
from headgate.config.fields import ClientKeyDigest
from headgate.config.loading import Loaded
from headgate.config.masking import is_shown_key, looks_shown, shown_key
from headgate.errors import InvalidRequest, NotFound, SettingsError

router = APIRouter(prefix=PREFIX + "/api-keys", tags=["management"], route_class=AnyContentType)

_MOST_KEYS = 10_000
_MOST_CHARACTERS = 4096
_NONE_LEFT = "no client key is left: with access.client_auth on auto none is asked for on this machine"
_DIGEST: TypeAdapter[str] = TypeAdapter(ClientKeyDigest)

Key = Annotated[StrictStr, StringConstraints(max_length=_MOST_CHARACTERS)]
Index = Annotated[StrictInt, Field(ge=0, le=_MOST_KEYS)]
Keys = Annotated[list[Key], Field(max_length=_MOST_KEYS)]
AtIndex = Annotated[int | None, Query(ge=0, le=_MOST_KEYS, description="Counted from 0, as in the list.")]
OfValue = Annotated[str | None, Query(max_length=_MOST_CHARACTERS, description="A key, or as it is shown.")]


class ApiKeys(BaseModel):
    api_keys: list[str] = Field(serialization_alias="api-keys")


class Items(BaseModel):
    items: Keys


class ReplacedKey(BaseModel):
    """`index` and `value`, or `old` and `new`."""

    index: Index | None = None
    value: Key | None = None
    old: Key | None = None
    new: Key | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: str
    written: Any
    """As it stands in the file, where it may name another file."""


@router.get("", operation_id="management_api_keys")
async def get_keys(owner: ItsOwner) -> ApiKeys:
    """How their digests begin: a key itself is never shown."""
    return ApiKeys(api_keys=[shown_key(digest) for digest in owner.settings.access.api_keys])


@router.put("", operation_id="set_management_api_keys")
async def put_keys(owner: ItsOwner, wanted: Keys | Items) -> Done:
    """These and no others; one that is named as it is shown stays as it is."""
    sent = wanted.items if isinstance(wanted, Items) else wanted
    async with owner.editing:
        known = await _known(owner)
        return await _save(owner, known, [_meant(known, key) for key in sent if key.strip()])


@router.patch("", operation_id="patch_management_api_keys")
async def patch_keys(owner: ItsOwner, wanted: ReplacedKey) -> Done:
    """One in another's place. A new one joins the list where the old one is not in it."""
    async with owner.editing:
        known = await _known(owner)
        if wanted.index is not None and wanted.value is not None:
            place, key = _checked(known, wanted.index), wanted.value
        elif wanted.old is not None and wanted.new is not None:
            place, key = _place_of(known, wanted.old), wanted.new
        else:
            raise InvalidRequest(
                "The body names no change", hint='Send {"index", "value"}, or {"old", "new"}.'
            )
        return await _save(owner, known, [*known[:place], _meant(known, key), *known[place + 1 :]])


@router.delete("", operation_id="delete_management_api_keys")
async def delete_key(owner: ItsOwner, index: AtIndex = None, value: OfValue = None) -> Done:
    if (index is None) is (value is None):
        raise InvalidRequest("The address names no key", hint="Send ?index= or ?value=, one of them.")
    async with owner.editing:
        known = await _known(owner)
        place = _checked(known, index if index is not None else _place_of(known, value or ""))
        return await _save(owner, known, [*known[:place], *known[place + 1 :]])


async def _known(owner: Owner) -> list[_Entry]:
    return await asyncio.to_thread(_read, owner.configuration.loaded)


def _read(loaded: Loaded) -> list[_Entry]:
    try:
        return [_Entry(_DIGEST.validate_python(written), written) for written in entries(loaded)]
    except ValidationError:
        raise SettingsError(
            f"{SETTING} in {loaded.path} is not what is in force any more, and something in it is wrong",
            hint="`headgate config check` says what.",
        ) from None


async def _save(owner: Owner, known: list[_Entry], wanted: list[_Entry]) -> Done:
    unique = list({one.digest: one for one in wanted}.values())
    if unique == known:
        return Done()
    answer = done(await owner.change_settings({SETTING: [one.written for one in unique]}))
    if not unique:
        answer.warnings.append(_NONE_LEFT)
    return answer


def _meant(known: list[_Entry], text: str) -> _Entry:
    """One of those that are there, or a new one: its digest is all that is written."""
    if (place := _place_of(known, text)) < len(known):
        return known[place]
    key = text.strip()
    if looks_shown(key):
        raise InvalidRequest(f"{key} stands for a key that is not here", hint="Send the key itself.")
    if not key or not key.isprintable() or key.startswith(("file:", "${")):
        raise InvalidRequest(
            "A client key must be a text of printable characters, and not where it is found",
            hint=f"{SETTING} in the settings file takes file: and a path.",
        )
    try:
        digest = _DIGEST.validate_python(key)
    except ValidationError as error:
        raise InvalidRequest(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return _Entry(digest, digest)


def _place_of(known: list[_Entry], text: str) -> int:
    """Behind the last one where it is not there."""
    key = text.strip()
    digest = None
    if not key.startswith("file:"):  # which would be read
        with suppress(ValidationError):
            digest = _DIGEST.validate_python(key)
    places = (n for n, one in enumerate(known) if one.digest == digest or is_shown_key(key, one.digest))
    return next(places, len(known))


def _checked(known: list[_Entry], place: int) -> int:
    if place >= len(known):
        raise NotFound("There is no such client key", hint=f"{SETTING} has {len(known)}.")
    return place
