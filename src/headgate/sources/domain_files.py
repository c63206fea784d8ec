"""`<domain>.credentials.json`: one account for each domain that clients call the gateway by."""

import re
from pathlib import Path as File

from headgate.pool.accounts import Credential, Kind
from headgate.sources.found import Contents, Found, secret_at, text_at, tokens_of
from headgate.sources.json_text import JsonText
from headgate.sources.names import near_name

SUFFIX = ".credentials.json"
_FIELDS = ("accessToken", "refreshToken", "expiresAt")
_USUAL_MOMENT = 1_700_000_000_000
_DOMAIN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f.]*:[0-9a-f:.]*|\*")


def domain_of(file: File) -> str | None:
    """The pattern of hosts that a file is for, as `host_of` writes them; None for one that names none."""
    name = file.name.removesuffix(SUFFIX).lower().removesuffix(".")
    return without_port(name) if _DOMAIN.fullmatch(without_port(name)) else None


def without_port(host: str) -> str:
    """`example.com:3000` and `example.com` are one; an IPv6 address has colons of its own."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and ":" not in name and port.isdigit() else host


def read(text: JsonText, file: File) -> Contents:
    """Raises Malformed: a file with one account in it is right or it is not."""
    if not isinstance(text.value, dict):
        raise text.malformed((), 'expected {"type": "api_key" or "oauth", …}')
    domain = domain_of(file)
    kind = text.value.get("type")
    if kind not in ("api_key", "oauth"):
        raise text.malformed(("type",), 'type must be "api_key" or "oauth"')
    for field in ("accountId", "client_api_key"):
        text_at(text, (field,), most=1024)
    name = near_name(file.name.removesuffix(SUFFIX).replace("*", "any")) or "domain"
    if kind == "api_key":
        key = Credential(secret_at(text, ("api_key",)))
        return Contents([Found(name, Kind.API_KEY, key, domain=domain)])
    if not isinstance(text.value.get("oauth"), dict):
        raise text.malformed(("oauth",), "oauth is missing, or no object")
    credential, tokens = tokens_of(text, ("oauth",), _FIELDS, _USUAL_MOMENT)
    return Contents([Found(name, Kind.OAUTH, credential, domain=domain, tokens=tokens)])
