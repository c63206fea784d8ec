"""Accounts out of the files that other programs keep, by the readers of `sources/`: taken once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headgate.errors import ForeignDataUnreadable
from headgate.moving.found import ACCOUNT, Found, FoundAccount
from headgate.moving.reading import MEND, bytes_of
from headgate.pool.accounts import Kind
from headgate.sources import accounts_json
from headgate.sources.found import Contents
from headgate.sources.found import Found as InFile
from headgate.sources.json_text import JsonText, Malformed

MOST_BYTES = 4 << 20


def contents_of(path: Path, reader: Callable[[JsonText], Contents]) -> tuple[Contents, dict[str, Any]]:
    """What the reader makes of a file, and the object that stands in it. Raises ForeignDataUnreadable."""
    try:
        text = JsonText(bytes_of(path, MOST_BYTES))
        return reader(text), text.value if isinstance(text.value, dict) else {}
    except Malformed as wrong:
        raise ForeignDataUnreadable(f"Failed to parse {path}: {wrong}", hint=MEND) from wrong


def account_of(one: InFile, *, key: str) -> FoundAccount:
    signs_in = one.kind is Kind.OAUTH
    return FoundAccount(
        name=one.name,
        key=key,
        provider=one.provider,
        api_key=None if signs_in else one.credential.secret,
        access_token=one.credential.secret if signs_in else None,
        refresh_token=one.credential.refresh_token,
        expires_at=one.credential.expires_at,
        scopes=one.credential.scopes,
        priority=one.priority,
        weight=one.weight,
        tier=one.tier,
        concurrency=one.concurrency,
        base_url=one.base_url,
        proxy=one.proxy,
        models=one.models,
        email=one.email,
        domain=one.domain,
        paused=one.is_off,
    )


def take_accounts(found: Found, contents: Contents) -> None:
    """Puts the accounts of one `accounts.json` into `found`; an entry that is none is told of."""
    found.accounts += [account_of(one, key=one.name) for one in contents.found]
    for name, wrong in contents.wrong:
        found.could_not_read(ACCOUNT, name or "?", str(wrong))


def is_accounts_file(content: object) -> bool:
    """Whether it is an `accounts.json` of theirs in one of its shapes; an export of ours is another file."""
    accounts = content.get("accounts") if isinstance(content, dict) else None
    if isinstance(accounts, dict):
        return True
    theirs = {"access_token", "accessToken", "oauth_token"}
    return isinstance(accounts, list) and any(isinstance(one, dict) and theirs & set(one) for one in accounts)


def carried_accounts(content: bytes) -> list[dict[str, Any]]:
    """The accounts of such a file as the owner's API takes them. Raises ForeignDataUnreadable for the first
    thing that is wrong with it: an import is whole or not at all."""
    try:
        contents = accounts_json.read(JsonText(content))
    except Malformed as wrong:
        raise ForeignDataUnreadable(f"Failed to parse it: {wrong}", hint=MEND) from wrong
    for name, complaint in contents.wrong:
        raise ForeignDataUnreadable(f"Failed to parse it: {name or 'an account'}: {complaint}", hint=MEND)
    return [account_of(one, key=one.name).carried() for one in contents.found]
