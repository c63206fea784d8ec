"""What a file says of one account, whatever its form, and the way back into the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from headgate.config.fields import LAST_MOMENT, BaseUrl
from headgate.config.proxies import DIRECT, read_proxy
from headgate.pool.accounts import Credential, Kind
from headgate.sources.json_text import JsonText, Malformed, Path
from headgate.wire.headers import is_visible_ascii

_MILLISECONDS = 100_000_000_000
"""From here on a moment is in milliseconds: in seconds it would be the year 5138."""
_BEYOND = 10**18
"""More than any moment, and still no number that is too large for a float."""
_BASE_URL: TypeAdapter[str] = TypeAdapter(BaseUrl)
_NUMBER = re.compile(r"\d{1,16}(\.\d+)?")


@dataclass(frozen=True, slots=True)
class TokenFields:
    """Where the tokens stand in the file."""

    access_token: Path
    refresh_token: Path
    expires_at: Path
    usual_moment: Any
    """A moment as this form has it, by which one is written where there is none yet."""


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    kind: Kind
    credential: Credential
    provider: str = "anthropic"
    email: str | None = None
    domain: str | None = None
    priority: int = 0
    weight: int = 1
    tier: int = 1
    concurrency: int | None = None
    proxy: str | None = field(default=None, repr=False)
    base_url: str | None = None
    models: tuple[str, ...] = ()
    is_off: bool = False
    tokens: TokenFields | None = None
    """None for an API key."""
    passed_over: tuple[str, ...] = ()
    """Fields that would change how the account is used, and are not obeyed."""


@dataclass(slots=True)
class Contents:
    """Of one file."""

    found: list[Found] = field(default_factory=list)
    wrong: list[tuple[str | None, Malformed]] = field(default_factory=list)
    """Entries that cannot be taken, with the name where it is known: what they were before stays."""
    client_key: bytes | None = None
    """Digest of the key that clients of the file's domain have to show."""


def tokens_of(
    text: JsonText, at: Path, names: tuple[str, str, str], usual_moment: Any
) -> tuple[Credential, TokenFields]:
    """`names`: how this form calls access token, refresh token and end. Raises Malformed."""
    access_name, refresh_name, end_name = names
    fields = TokenFields((*at, access_name), (*at, refresh_name), (*at, end_name), usual_moment)
    held = value_at(text, at)
    scopes = held.get("scopes")
    credential = Credential(
        secret_at(text, fields.access_token),
        secret_at(text, fields.refresh_token) if held.get(refresh_name) else None,
        moment_at(text, fields.expires_at),
        tuple(one for one in scopes if _is_word(one)) if isinstance(scopes, list) else (),
    )
    return credential, fields


def value_at(text: JsonText, path: Path) -> Any:
    value = text.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else value[step]
    return value


def secret_at(text: JsonText, path: Path) -> str:
    """A key or token: what can travel in a header."""
    value = value_at(text, path)
    name = path[-1]
    if value is None or value == "":
        raise text.malformed(path, f"{name} is missing or empty")
    if not isinstance(value, str):
        raise text.malformed(path, f"{name} must be a text")
    stripped = value.strip()
    if not is_visible_ascii(stripped):
        raise text.malformed(path, f"{name} must be printable ASCII without white space")
    return stripped


def text_at(text: JsonText, path: Path, *, most: int = 256) -> str | None:
    """None where it is missing, null or empty."""
    value = value_at(text, path)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise text.malformed(path, f"{path[-1]} must be a text of at most {most} printable characters")
    return value


def texts_at(text: JsonText, path: Path) -> tuple[str, ...]:
    value = value_at(text, path)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(_is_word(one) for one in value):
        raise text.malformed(path, f"{path[-1]} must be a list of texts of at most 256 printable characters")
    return tuple(value)


def _is_word(value: object) -> bool:
    """Half of a surrogate pair can neither be stored nor answered; it is not printable."""
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()


def address_at(text: JsonText, path: Path) -> str | None:
    if (value := text_at(text, path, most=2048)) is None:
        return None
    try:
        return _BASE_URL.validate_python(value)
    except ValidationError:
        raise text.malformed(path, f"{path[-1]} must be an address with http:// or https://") from None


def proxy_at(text: JsonText, path: Path) -> str | None:
    """As settings have it; their `none` is our `direct`."""
    if (value := text_at(text, path, most=2048)) is None:
        return None
    if value.strip().lower() == "none":
        return DIRECT
    try:
        read_proxy(value)
    except ValueError as error:
        raise text.malformed(path, f"{path[-1]} {error}") from None
    return value.strip()


def number_at(text: JsonText, path: Path, default: int, *, least: int, most: int = 1_000_000) -> int:
    value = value_at(text, path)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise text.malformed(path, f"{path[-1]} must be a whole number from {least} to {most}")
    return value


def moment_at(text: JsonText, path: Path) -> float | None:
    """Unix seconds, from seconds, milliseconds or a date with its time; None where there is none."""
    value = value_at(text, path)
    if value is None or value == "" or value == 0:
        return None
    seconds = _seconds(value)
    if seconds is None or not 0 < seconds <= LAST_MOMENT:
        raise text.malformed(path, f"{path[-1]} must be a moment: Unix seconds or milliseconds, or a date")
    return seconds


def _seconds(value: Any) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = max(-_BEYOND, min(value, _BEYOND))
        return value / 1000 if value >= _MILLISECONDS else float(value)
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def written_tokens(text: JsonText, fields: TokenFields, credential: Credential) -> Mapping[Path, Any]:
    """For `JsonText.changed`: the tokens in the form in which the file has them."""
    changes: dict[Path, Any] = {fields.access_token: credential.secret}
    if credential.refresh_token is not None:
        changes[fields.refresh_token] = credential.refresh_token
    like = value_at(text, fields.expires_at)
    if credential.expires_at is not None:
        changes[fields.expires_at] = _moment_like(like or fields.usual_moment, credential.expires_at)
    elif like is not None:
        changes[fields.expires_at] = None
    return changes


def _moment_like(like: Any, seconds: float) -> Any:
    if isinstance(like, str) and not _NUMBER.fullmatch(like):
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    number = float(like)
    moment = round(seconds * 1000) if number >= _MILLISECONDS else round(seconds)
    return str(moment) if isinstance(like, str) else moment
