"""An auth folder as cliproxyapi keeps it: one sign-in in each `*.json`, of the provider that `type` names."""

from pathlib import Path as File
from typing import Any

from headgate.pool.accounts import Kind
from headgate.sources.found import Contents, Found, number_at, proxy_at, text_at, tokens_of
from headgate.sources.json_text import JsonText
from headgate.sources.names import near_name

_FIELDS = ("access_token", "refresh_token", "expired")
_USUAL_MOMENT = "2026-01-01T00:00:00Z"
_PROVIDERS = {"claude": "anthropic"}
_PASSED_OVER = ("prefix", "headers", "excluded_models", "model_aliases")


def read(text: JsonText, file: File) -> Contents:
    """Nothing for the file of another provider. Raises Malformed."""
    whole: Any = text.value
    if not isinstance(whole, dict):
        raise text.malformed((), 'expected {"type": "claude", "access_token": …}')
    provider = _PROVIDERS.get(str(whole.get("type")))
    if provider is None:
        return Contents()
    credential, tokens = tokens_of(text, (), _FIELDS, _USUAL_MOMENT)
    found = Found(
        near_name(file.stem) or "account",
        Kind.OAUTH,
        credential,
        provider=provider,
        email=text_at(text, ("email",)),
        # There the higher number goes first.
        priority=-number_at(text, ("priority",), 0, least=-1_000_000),
        weight=max(1, number_at(text, ("weight",), 1, least=0)),
        proxy=proxy_at(text, ("proxy_url",)),
        is_off=whole.get("disabled") is True,
        tokens=tokens,
        passed_over=tuple(name for name in _PASSED_OVER if whole.get(name)),
    )
    return Contents([found])
