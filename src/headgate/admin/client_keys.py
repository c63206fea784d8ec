"""The client keys: `/api/keys`. A key is said once, when it is made; what is kept of it is a digest.

A change is in the database and in force, on this gateway, before it is answered; other gateways on the same
database hear of it at once.
"""

import asyncio
import logging
import re
from bisect import bisect_right
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel

from headgate.access.client_keys import ClientKey, new_secret
from headgate.access.limits import Limits
from headgate.admin.accounts import check_provider, named_in_vain
from headgate.admin.client_key_forms import (
    CreatedKey,
    KeyChange,
    KeyView,
    NewKey,
    RotationForm,
    key_view,
)
from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import Conflict, InvalidRequest, NotFound
from headgate.pool.rests import utc
from headgate.storage.changes import Change

log = logging.getLogger("headgate.keys")

router = APIRouter(prefix="/api/keys", tags=["keys"])

_PATTERN = re.compile(r"[*?\\[]")
_BEHIND_ALL = 2**63 - 1
"""Ids end before; those without one come last."""
_SHOWN_AT_ONCE = 50
"""Keys of a page, which take a tenth of a millisecond each: clients are served in between."""
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')


class KeyList(BaseModel):
    keys: list[KeyView]
    next_cursor: str | None


ItsName = Annotated[str, Path(description="Name of the key.", examples=["laptop"])]
Seen = Annotated[
    str | None, Header(alias="If-Match", description="The ETag of what was seen; another version is 412.")
]


@router.get("", operation_id="list_client_keys")
async def list_keys(
    owner: ItsOwner,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(pattern=r"^(\d{1,18}|d[0-9a-f]{64})$")] = None,
    revoked: Annotated[bool, Query(description="Revoked ones instead.")] = False,
) -> KeyList:
    """In the order in which they were made; those of settings and files that have no row yet last."""
    if revoked:
        after = _place_behind(cursor or "0")[0]
        keys = [*await owner.client_keys.revoked(after=after, limit=limit + 1)]
    else:
        keys = sorted(owner.ring.keys, key=_place)
        start = bisect_right(keys, _place_behind(cursor or "0"), key=_place)
        keys = keys[start : start + limit + 1]
    page = keys[:limit]
    views: list[KeyView] = []
    for key in page:
        if len(views) % _SHOWN_AT_ONCE == 0:
            await asyncio.sleep(0)
        views.append(_view(owner, key))
    return KeyList(keys=views, next_cursor=_cursor_of(page[-1]) if len(keys) > limit else None)


# A cursor names the last key of a page: whoever revokes while he reads on passes over none.


def _place(key: ClientKey) -> tuple[int, bytes]:
    return (key.id, b"") if key.id else (_BEHIND_ALL, key.digest)


def _cursor_of(key: ClientKey) -> str:
    return str(key.id) if key.id else f"d{key.digest.hex()}"


def _place_behind(cursor: str) -> tuple[int, bytes]:
    return (int(cursor), b"") if cursor.isdecimal() else (_BEHIND_ALL, bytes.fromhex(cursor[1:]))


@router.post("", operation_id="create_client_key", status_code=201)
async def create_key(owner: ItsOwner, wanted: NewKey, response: Response) -> CreatedKey:
    """409 when the name, or the same key under another name, is there."""
    fields = wanted.model_dump(exclude={"name", "key"})
    fields["limits"] = Limits(**fields["limits"])
    secret = new_secret() if wanted.key is None else wanted.key.get_secret_value()
    async with owner.changing:
        _check(owner, fields)
        _refuse_past(owner, fields)
        _refuse_taken(owner, wanted.name)
        stored = _stored(fields)
        kept = _kept(owner, "key.create", wanted.name, after=stored, line=f"Client key {wanted.name} created")
        key = await owner.client_keys.create(wanted.name, secret, stored, change=kept)
        _put_in_force(owner, key)
    response.headers["etag"] = f'"{key.version}"'
    return _created(owner, key, secret)


@router.get("/{name}", operation_id="get_client_key")
async def get_key(owner: ItsOwner, name: ItsName, response: Response) -> KeyView:
    return _answer(owner, await _find(owner, name), response)


@router.patch("/{name}", operation_id="change_client_key")
async def change_key(
    owner: ItsOwner, name: ItsName, change: KeyChange, response: Response, seen: Seen = None
) -> KeyView:
    """In force for the next request, also on connections that are open."""
    version = _version(seen)
    async with owner.changing:
        key = await _find(owner, name)
        line = f"Client key {name} changed: {', '.join(sorted(change.model_fields_set)) or 'nothing'}"
        kept = _kept(owner, "key.change", name, line=line)

        def wanted(key: ClientKey) -> dict[str, Any]:
            return _wanted(owner, key, change, kept)

        if key.id == 0:
            changed = await owner.client_keys.adopt(key, wanted(key), change=kept)
        else:
            changed = await owner.client_keys.change(name, wanted, version=version, change=kept)
        _put_in_force(owner, changed)
    return _answer(owner, changed, response)


def _wanted(owner: Owner, key: ClientKey, change: KeyChange, kept: Change) -> dict[str, Any]:
    """What becomes of the key as it is now. What was not sent stays, whoever has set it."""
    fields = change.model_dump(exclude_unset=True)
    if "limits" in fields:
        fields["limits"] = replace(key.limits, **fields["limits"])
    _check(owner, fields)
    _refuse_past(owner, fields, key)
    if fields.get("name", key.name) != key.name:
        _refuse_taken(owner, fields["name"])
    stored = _stored(fields)
    kept.before, kept.after = _plain({field: getattr(key, field) for field in stored}), _plain(stored)
    return stored


@router.post("/{name}/rotate", operation_id="rotate_client_key")
async def rotate_key(
    owner: ItsOwner, name: ItsName, wanted: RotationForm, response: Response, seen: Seen = None
) -> CreatedKey:
    """A new key under the same name, with all that was said of the old one."""
    secret = new_secret() if wanted.key is None else wanted.key.get_secret_value()
    async with owner.changing:
        _refuse_declared(owner, await _find(owner, name))
        overlap = wanted.overlap_seconds
        line = f"Client key {name} rotated; the old one opens for {overlap} s more"
        kept = _kept(owner, "key.rotate", name, after={"overlap_seconds": overlap}, line=line)
        key = await owner.client_keys.rotate(
            name, secret, overlap_seconds=overlap, version=_version(seen), change=kept
        )
        _put_in_force(owner, key)
    response.headers["etag"] = f'"{key.version}"'
    return _created(owner, key, secret)


@router.delete("/{name}", operation_id="revoke_client_key")
async def revoke_key(owner: ItsOwner, name: ItsName, seen: Seen = None) -> KeyView:
    """For ever and at once. What runs with it ends in peace, and history keeps its name."""
    async with owner.changing:
        _refuse_declared(owner, await _find(owner, name))
        kept = _kept(owner, "key.revoke", name, line=f"Client key {name} revoked")
        key = await owner.client_keys.revoke(name, version=_version(seen), change=kept)
        _put_in_force(owner, key)
    return _view(owner, key)


def _kept(
    owner: Owner,
    action: str,
    name: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    line: str,
) -> Change:
    """For the audit record; keys themselves are not among the fields."""
    return owner.change(action, name, before=_plain(before), after=_plain(after), line=line, log=log)


def _plain(fields: dict[str, Any] | None) -> dict[str, Any] | None:
    if fields is None:
        return None
    return dict(_as_said(name, value) for name, value in fields.items())


def _as_said(name: str, value: Any) -> tuple[str, Any]:
    """A stored field under the name, and in the unit, that the owner knows it by: see `_stored`."""
    if name == "is_enabled":
        return "enabled", value
    if name == "expires_at" and value is not None:
        return name, round(value * 1000)
    if isinstance(value, Limits):
        return name, value.to_json()
    return name, list(value) if isinstance(value, tuple) else value


def _put_in_force(owner: Owner, key: ClientKey) -> None:
    owner.ring.put({key.id: key})
    owner.forget_heads()


def _answer(owner: Owner, key: ClientKey, response: Response) -> KeyView:
    response.headers["etag"] = f'"{key.version}"'
    return _view(owner, key)


def _view(owner: Owner, key: ClientKey) -> KeyView:
    limits, meter = owner.gate.limits_of(key), owner.gate.meter_of(key.id)
    return key_view(key, limits, meter, now=owner.clock.now())


def _created(owner: Owner, key: ClientKey, secret: str) -> CreatedKey:
    return CreatedKey(**_view(owner, key).model_dump(), key=secret)


async def _find(owner: Owner, name: str) -> ClientKey:
    """Raises NotFound, naming near matches, or when the key was revoked."""
    if (key := owner.ring.by_name(name)) is not None:
        return key
    if (stored := await owner.client_keys.named(name)) is not None and stored.revoked_at is not None:
        raise NotFound(
            f"The client key {name} was revoked at {utc(stored.revoked_at)} and stays closed",
            hint=f"headgate key list --revoked shows it; headgate key create {name} makes another one.",
        )
    if stored is not None:  # another gateway has made it, and the news of it are on their way
        _put_in_force(owner, stored)
        if (key := owner.ring.by_name(name)) is not None:
            return key
    names = [key.name for key in owner.ring.keys]
    raise NotFound(
        f"There is no {named_in_vain('client key', name, names)}",
        hint="headgate key list shows all." if names else "headgate key create NAME makes the first one.",
    )


def _refuse_taken(owner: Owner, name: str) -> None:
    """Also a name that a key of the settings goes by, which the database does not know."""
    if owner.ring.by_name(name) is not None:
        raise Conflict(f"A client key is already called {name}.", hint="Choose another name.")


def _refuse_declared(owner: Owner, key: ClientKey) -> None:
    if key.hosts is not None:
        raise Conflict(
            f"The client key {key.name} stands in the file of a domain and would come back from there",
            hint=f"Change client_api_key there, or close the key: headgate key set {key.name} --disabled.",
        )
    if key.is_declared:
        raise Conflict(
            f"The client key {key.name} stands in the settings and would come back from there",
            hint=f"Take it out of access.api_keys, or close it: headgate key set {key.name} --disabled.",
        )


def _check(owner: Owner, fields: dict[str, Any]) -> None:
    """Raises InvalidRequest for a provider or an account that is not there."""
    for provider in fields.get("providers") or ():
        check_provider(owner, provider)
    for name in fields.get("accounts") or ():
        if not _PATTERN.search(name) and owner.pool.by_name(name) is None:
            raise InvalidRequest(
                f"accounts: there is no {named_in_vain('account', name, owner.pool.living)}",
                hint="headgate account list shows all; a pattern such as team-* may match none yet.",
            )


def _refuse_past(owner: Owner, fields: dict[str, Any], key: ClientKey | None = None) -> None:
    """Raises InvalidRequest for an end that is over. Who sends back what was read of an expired key may."""
    if (ends_at := fields.get("expires_at")) is None or ends_at > owner.clock.now() * 1000:
        return
    if key is None or ends_at != _view(owner, key).expires_at:
        raise InvalidRequest(
            f"expires_at: {utc(ends_at / 1000)} is over",
            hint="Name a moment to come; `headgate key set NAME --disabled` closes a key at once.",
        )


def _stored(fields: dict[str, Any]) -> dict[str, Any]:
    """As the store has them: times in seconds."""
    stored = {("is_enabled" if name == "enabled" else name): value for name, value in fields.items()}
    if stored.get("expires_at") is not None:
        stored["expires_at"] /= 1000
    return stored


def _version(seen: str | None) -> int | None:
    """Of an If-Match. Raises InvalidRequest for one that is none of ours."""
    if seen is None or seen.strip() == "*":
        return None
    if (found := _ETAG.fullmatch(seen.strip())) is None:
        raise InvalidRequest("If-Match: must be the ETag of an answer", hint='Such as If-Match: "3".')
    return int(found[1])
