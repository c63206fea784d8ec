"""How a setting is declared, and the few value types that settings share.

A validator here raises `ValueError` with words for the owner; `loading.py` adds where the value came from.
"""

import hashlib
import ipaddress
import re
from types import NoneType
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from headgate.config import texts
from headgate.config.places import path_of
from headgate.config.proxies import read_proxy
from headgate.config.reading import SECRET_BYTES, read_bytes

ACCOUNT_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$"
"""Fit for a path, a header value and a log line, wherever the account comes from."""

# Upper bounds, far beyond what anybody wants and far below what a clock, a socket or a float can take.
MOST_MS = 366 * 24 * 3_600_000
MOST_SECONDS = MOST_MS // 1000
MOST_DAYS = 36_500
MOST_BYTES = 1 << 40
MOST_BODY_BYTES = 16 << 20
"""Of one body that is kept: a recorder holds a whole one."""
MOST_THINGS = 1_000_000
LAST_MOMENT = 253_402_300_799
"""The end of the year 9999 in Unix seconds."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARGON2_HASH = re.compile(
    r"\$argon2(?:id|i|d)(?:\$v=\d+)?\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{6,128}"
)
"""The form that argon2 itself writes and reads: at least 8 bytes of salt and 4 of hash."""
_MOST_ARGON2 = (262_144, 20, 16)
"""KiB of memory, rounds, lanes. A wrong key costs us that much, and nothing ends it half-way."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_JSON_LIST: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
_JSON_MAP: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_NUMBERS = ({int}, {float}, {int, NoneType}, {float, NoneType})


class Section(BaseModel):
    """A group of settings: frozen, because a reload builds a new one and swaps the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_is_a_number(cls, value: object, info: ValidationInfo) -> object:
        """Python takes `true` for 1: a gateway would listen on port 1."""
        if isinstance(value, bool):
            annotation = cls.model_fields[info.field_name or ""].annotation
            if set(get_args(annotation) or (annotation,)) in _NUMBERS:
                raise ValueError("must be a number, not true or false")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _is_whole_text(cls, value: object, info: ValidationInfo) -> object:
        annotation = cls.model_fields[info.field_name or ""].annotation
        is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return value if is_section else _refuse_broken_text(value)


def _refuse_broken_text(value: Any) -> Any:
    """Texts, and those in lists and maps of them; what a section holds it looks at itself."""
    if isinstance(value, str) and texts.is_broken(value):
        raise ValueError(texts.WORDS)
    if isinstance(value, list | tuple):
        for item in value:
            if not isinstance(item, dict):
                _refuse_broken_text(item)
    if isinstance(value, dict):
        _refuse_broken_text(list(value))
        _refuse_broken_text([item for item in value.values() if isinstance(item, list | tuple)])
    return value


def setting(
    default: Any, description: str, *, unit: str, later: bool = False, restart: bool = False, **limits: Any
) -> Any:
    """Declare one setting. `unit` names what its value is; `limits` are pydantic's (`ge`, `le` …).

    `later`: nothing obeys it yet. `restart`: a running gateway keeps the value that it began with.
    """
    return Field(default, description=description, json_schema_extra=_extra(unit, later, restart), **limits)


def milliseconds(default: int, description: str, *, later: bool = False) -> Any:
    return setting(default, description, unit="ms", later=later, ge=0, le=MOST_MS)


def required(description: str, *, unit: str, later: bool = False, **limits: Any) -> Any:
    """Declare a setting that has no default."""
    return Field(description=description, json_schema_extra=_extra(unit, later, False), **limits)


def _extra(unit: str, later: bool, restart: bool) -> dict[str, Any]:
    return {"unit": unit, "later": later, "restart": restart}


def _read_secret(value: object) -> object:
    """`file:/path` stands for the file's content, so that a secret need not stand in the settings."""
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a text (put it in quotes)")
    text = value.strip()
    if not text.startswith("file:"):
        return text
    path = path_of(text.removeprefix("file:"))
    try:
        content = read_bytes(path, SECRET_BYTES).decode().strip()
    except OSError as error:
        raise ValueError(f"cannot read the secret file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the secret file {path} is not UTF-8 text") from error
    if not content:
        raise ValueError(f"the secret file {path} is empty")
    if texts.is_broken(content):
        raise ValueError(f"the secret file {path} holds a NUL: a secret is one line of text")
    return content


def _split_list(value: object) -> object:
    """One text, as the environment has it, stands for a list: JSON, or items split by comma."""
    if value is None:
        return ()
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return _refuse_broken_text(_JSON_LIST.validate_json(text))
    return [item for part in text.split(",") if (item := part.strip())]


def _read_map(value: object) -> object:
    """One text, as the environment has it, stands for a map: JSON."""
    if value is None:
        return {}
    return _refuse_broken_text(_JSON_MAP.validate_json(value)) if isinstance(value, str) else value


def _digest_key(value: object) -> str:
    """A client key is kept as its SHA-256 only; the clear text ends here."""
    secret = _read_secret(value)
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)
    if not text:
        raise ValueError("a client key must not be empty")
    if not text.startswith("sha256:"):
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    if not _DIGEST.fullmatch(text.lower()):
        raise ValueError("a client key written as sha256: needs 64 hexadecimal digits")
    return text.lower()


def _check_hash(secret: SecretStr) -> SecretStr:
    """A broken hash is opened by no key at all: that is seen at the start, not at the first visit."""
    text = secret.get_secret_value()
    if not text.startswith("$argon2"):
        return secret
    if (found := _ARGON2_HASH.fullmatch(text)) is None:
        raise ValueError(
            "begins like an argon2 hash and is none; wanted $argon2id$v=19$m=…,t=…,p=…$SALT$HASH, whole"
            " (a shell or compose file takes each $ for a variable: single quotes, or $$)"
        )
    costs = zip(found.groups(), _MOST_ARGON2, strict=True)
    if any(len(cost) > 9 or int(cost) > most for cost, most in costs):
        memory, rounds, lanes = _MOST_ARGON2
        raise ValueError(
            f"costs too much for each visitor; at most m={memory} (KiB), t={rounds}, p={lanes} are taken"
        )
    return secret


def refuse_odd_address(value: str) -> None:
    """ValueError for what would break the request line that an address is built into."""
    if not value.isprintable() or " " in value:
        raise ValueError("must hold no white space and no control characters")
    if not urlsplit(value).path.isascii():
        raise ValueError("must have a path of ASCII: write other characters as %XX")


def _check_url(value: str) -> str:
    """An HTTP origin, with a path if need be; `urlsplit` finds a bad port only when asked for it."""
    value = value.strip()
    refuse_odd_address(value)
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no credentials, query or fragment")
    _ = parts.port
    return value.rstrip("/")


def _check_origin(value: str) -> str:
    """As a browser says it: lower case, without the port that its scheme has anyway."""
    text = value.strip().lower().removesuffix("/")
    if text == "*":
        return text
    parts = urlsplit(text)
    if not _ORIGIN.fullmatch(text) or not parts.hostname:
        raise ValueError(
            "must be origins such as https://app.example.com:8443, without a path; or * for every page"
        )
    is_usual = parts.port is not None and {"http": 80, "https": 443}.get(parts.scheme) == parts.port
    return text.rpartition(":")[0] if is_usual else text


def _check_network(value: str) -> str:
    """One address, or a network with the length of its prefix."""
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.5 or 10.0.0.0/8") from None
    if not network.prefixlen:
        raise ValueError("is everybody: anybody could then call himself whatever he likes")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _check_address(value: str) -> str:
    """A URL that may carry a query, since it is fetched and not built upon."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://example.com/prices.json")
    if parts.username or parts.password:
        raise ValueError("must hold no credentials")
    return value


def _check_proxy(secret: SecretStr) -> SecretStr:
    """The address may hold a password, so it is a secret as a whole."""
    read_proxy(secret.get_secret_value())
    return secret


def _check_account_name(value: str) -> str:
    if not re.fullmatch(ACCOUNT_NAME_PATTERN, value):
        raise ValueError(
            "must begin with a letter or digit, then hold at most 127 letters, digits and . _ @ + -"
        )
    return value


def _as_word(value: object) -> object:
    """Choices are written in any case, with `-` or `_`."""
    return value.strip().lower().replace("_", "-") if isinstance(value, str) else value


AccountName = Annotated[str, AfterValidator(_check_account_name)]
Secret = Annotated[SecretStr, BeforeValidator(_read_secret)]
SecretOrHash = Annotated[Secret, AfterValidator(_check_hash)]
"""A secret to compare with, plain or as an argon2 hash."""
ClientKeyDigest = Annotated[str, BeforeValidator(_digest_key)]
"""`sha256:` and 64 hexadecimal digits."""
BaseUrl = Annotated[
    str, BeforeValidator(lambda value: _check_url(value) if isinstance(value, str) else value)
]
Address = Annotated[str, AfterValidator(_check_address)]
PageOrigin = Annotated[str, AfterValidator(_check_origin)]
"""Scheme, host and port of web pages, or `*`."""
Network = Annotated[str, AfterValidator(_check_network)]
ProxyUrl = Annotated[Secret, AfterValidator(_check_proxy)]
Words = BeforeValidator(_as_word)
Listed = BeforeValidator(_split_list)
Mapped = BeforeValidator(_read_map)
