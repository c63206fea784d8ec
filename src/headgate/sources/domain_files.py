"""`<domain>.credentials.json`: one account for each domain that clients call the gateway by."""

import re
from pathlib import Path as File

from headgate.access.client_keys import digest_of
from headgate.access.hosts import SUFFIX, without_port
from headgate.pool.accounts import Credential, Kind
from headgate.sources.found import Contents, Found, secret_at, text_at, tokens_of
from headgate.sources.json_text import JsonText
from headgate.sources.names import near_name

_FIELDS = ("accessToken", "refreshToken", "expiresAt")
_USUAL_MOMENT = 1_700_000_000_000
_DOMAIN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f.]*:[0-9a-f:.]*|\*")


def domain_of(file: File) -> str | None:
    """The pattern of hosts that a file is for, as `host_of` writes them; None for one that names none."""
    name = file.name.removesuffix(SUFFIX).lower().removesuffix(".")
    return without_port(name) if _DOMAIN.fullmatch(without_port(name)) else None


def name_of(domain: str) -> str:
    """What account and client key of a file are called."""
    return near_name(domain.replace("*", "any")) or "domain"


def read(text: JsonText, file: File) -> Contents:
    """Raises Malformed: a file with one account in it is right or it is not."""
    if not isinstance(text.value, dict):
        raise text.malformed((), 'expected {"type": "api_key" or "oauth", …}')
    domain = domain_of(file)
    kind = text.value.get("type")
    if kind not in ("api_key", "oauth"):
        raise text.malformed(("type",), 'type must be "api_key" or "oauth"')
    text_at(text, ("accountId",), most=1024)
    client_key = _client_key(text)
    name = name_of(file.name.removesuffix(SUFFIX))
    if kind == "api_key":
        key = Credential(secret_at(text, ("api_key",)))
        return Contents([Found(name, Kind.API_KEY, key, domain=domain)], client_key=client_key)
    if not isinstance(text.value.get("oauth"), dict):
        raise text.malformed(("oauth",), "oauth is missing, or no object")
    credential, tokens = tokens_of(text, ("oauth",), _FIELDS, _USUAL_MOMENT)
    found = Found(name, Kind.OAUTH, credential, domain=domain, tokens=tokens)
    return Contents([found], client_key=client_key)


def _client_key(text: JsonText) -> bytes | None:
    """Its digest; None where the host asks for none. An empty one is a mistake that would open the host."""
    path = ("client_api_key",)
    said = text.value.get(path[0])
    key = (text_at(text, path, most=1024) or "").strip()
    if said is not None and not key:
        raise text.malformed(path, "client_api_key is empty; leave it out where the host needs none")
    return digest_of(key) if key else None
