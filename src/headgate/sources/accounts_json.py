"""`accounts.json`, in the forms that are about.

By name: `{"version": 1, "accounts": {"work": {"accessToken", "refreshToken", "expiresAt": ms}}}`.
A list: `{"accounts": [{"id", "email", "access_token", "refresh_token", "expires_at": s, "is_active"}]}`.
A list with nested tokens: `{"accounts": [{"id", "email", "oauth_token": {"access_token", …}}]}`.
An entry of any of them may have an `api_key` instead of tokens, as `headgate account export` writes it.
"""

from typing import Any

from headgate.config.accounts import PROVIDERS
from headgate.pool.accounts import Credential, Kind
from headgate.sources.found import (
    Contents,
    Found,
    address_at,
    number_at,
    proxy_at,
    secret_at,
    text_at,
    texts_at,
    tokens_of,
)
from headgate.sources.json_text import JsonText, Malformed, Path
from headgate.sources.names import Names

EMPTY = b'{\n  "version": 1,\n  "accounts": {}\n}\n'
_MOST_ACCOUNTS = 10_000
_CAMEL, _SNAKE = ("accessToken", "refreshToken", "expiresAt"), ("access_token", "refresh_token", "expires_at")
_NESTED = ("oauth_token", "oauth", "claudeAiOauth")
_USUAL = {_CAMEL: 1_700_000_000_000, _SNAKE: 1_700_000_000}


def read(text: JsonText) -> Contents:
    """Raises Malformed for what is no file of accounts."""
    whole = text.value
    path: Path = ("accounts",) if isinstance(whole, dict) else ()
    entries = whole.get("accounts") if isinstance(whole, dict) else whole
    if not isinstance(entries, dict | list):
        raise text.malformed(path, 'expected {"accounts": …} with the accounts by name, or as a list')
    if len(entries) > _MOST_ACCOUNTS:
        raise text.malformed(path, f"more than {_MOST_ACCOUNTS} accounts")
    contents, names = Contents(), Names()
    steps = list(entries) if isinstance(entries, dict) else range(len(entries))
    for step in steps:
        _read_entry(text, (*path, step), entries[step], names, contents)
    return contents


def _read_entry(text: JsonText, at: Path, entry: Any, names: Names, contents: Contents) -> None:
    name = None
    try:
        if not isinstance(entry, dict):
            raise text.malformed(at, "an account must be an object")
        name = names.name_for(_called(text, at, entry))
        contents.found.append(_found(text, at, entry, name))
    except Malformed as wrong:
        contents.wrong.append((name, wrong))


def _called(text: JsonText, at: Path, entry: dict[str, Any]) -> str:
    if isinstance(at[-1], str):
        return at[-1]
    for field in ("name", "email", "id"):
        if (found := text_at(text, (*at, field))) is not None:
            return found
    return "account"


def _found(text: JsonText, at: Path, entry: dict[str, Any], name: str) -> Found:
    common: dict[str, Any] = {
        "provider": _provider(text, at),
        "email": text_at(text, (*at, "email")),
        "domain": text_at(text, (*at, "domain")),
        "priority": number_at(text, (*at, "priority"), 0, least=-1_000_000),
        "weight": number_at(text, (*at, "weight"), 1, least=1),
        "tier": number_at(text, (*at, "tier"), 1, least=1),
        "concurrency": number_at(text, (*at, "concurrency"), 0, least=0) or None,
        "proxy": proxy_at(text, (*at, "proxy")),
        "base_url": address_at(text, (*at, "base_url")),
        "models": texts_at(text, (*at, "models")),
        "is_off": entry.get("is_active") is False or entry.get("paused") is True,
    }
    for key in ("api_key", "apiKey"):
        if entry.get(key):
            return Found(name, Kind.API_KEY, Credential(secret_at(text, (*at, key))), **common)
    for group in _NESTED:
        if isinstance(entry.get(group), dict):
            at, entry = (*at, group), entry[group]
            break
    fields = _CAMEL if "accessToken" in entry else _SNAKE
    if fields is _SNAKE and "access_token" not in entry:
        raise text.malformed(at, "there is neither accessToken, access_token nor api_key")
    credential, tokens = tokens_of(text, at, fields, _USUAL[fields])
    return Found(name, Kind.OAUTH, credential, tokens=tokens, **common)


def _provider(text: JsonText, at: Path) -> str:
    provider = text_at(text, (*at, "provider")) or PROVIDERS[0]
    if provider not in PROVIDERS:
        raise text.malformed((*at, "provider"), f"unknown provider; there are {', '.join(PROVIDERS)}")
    return provider
