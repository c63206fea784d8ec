"""What the owner sends about an account, and what is right in it. Wrong values are named by their field."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from headgate.config.fields import ACCOUNT_NAME_PATTERN, refuse_odd_address
from headgate.config.proxies import read_proxy
from headgate.pool.accounts import Credential, Kind
from headgate.wire.headers import is_visible_ascii

_NO_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._@+-]+")
_MOST_NAME_CHARACTERS = 128


def _check_name(value: str) -> str:
    if re.fullmatch(ACCOUNT_NAME_PATTERN, value):
        return value
    raise PydanticCustomError(
        "account_name",
        "must begin with a letter or digit, then hold at most 127 letters, digits and . _ @ + -{near}",
        {"near": f"; {near} would do" if (near := _near_name(value)) else ""},
    )


def _near_name(value: str) -> str:
    """What is left when everything is taken out that no name may hold; empty when that is nothing."""
    return _NO_NAME_CHARACTERS.sub("-", value).strip("._@+-")[:_MOST_NAME_CHARACTERS]


def _check_key(value: SecretStr) -> SecretStr:
    """A key with a line break in it would break the header it travels in."""
    key = value.get_secret_value().strip()
    if not key:
        raise ValueError("must not be empty")
    if key.startswith(("file:", "${")):
        raise ValueError("must be the key itself, not where it is found")
    if not is_visible_ascii(key):
        raise ValueError("must be printable ASCII without white space")
    return SecretStr(key)


def _check_base_url(value: str) -> str:
    value = value.strip()
    refuse_odd_address(value)
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError for a port that is none
    if "@" in parts.netloc:
        raise ValueError("must hold no credentials")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address beginning with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("must hold no query and no fragment")
    return value.rstrip("/")


def _check_proxy(value: str) -> str:
    read_proxy(value)
    return value.strip()


Name = Annotated[str, AfterValidator(_check_name), Field(json_schema_extra={"pattern": ACCOUNT_NAME_PATTERN})]
ApiKey = Annotated[SecretStr, AfterValidator(_check_key)]
BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
ProxyUrl = Annotated[
    str,
    AfterValidator(_check_proxy),
    Field(
        max_length=2048,
        description="http://, https:// or socks5h://…; `direct`: none; null: the general one.",
    ),
]
Share = Annotated[int, Field(ge=1, le=1_000_000)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Model = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(max_length=256)]


class Form(BaseModel):
    """Unknown fields are refused, and so is what only looks like a value: 0 for false, "5" for 5.
    No value is said back: it may be a secret."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Options(Form):
    """What may be said of an account besides who it is."""

    base_url: BaseUrl | None = None
    proxy: ProxyUrl | None = None
    priority: Priority = 0
    weight: Share = 1
    tier: Share = 1
    concurrency: Share | None = Field(
        default=None, description="Requests at one time; null: as many as come."
    )
    models: list[Model] = Field(default_factory=list, max_length=1000)
    email: Label | None = None
    domain: Label | None = None


class WholeAccount(Options):
    """All that the owner says of an account."""

    name: Name
    provider: str = "anthropic"
    api_key: ApiKey | None = Field(default=None, description="Left out where secrets were not asked for.")


class NewAccount(WholeAccount):
    """An account to be put in."""

    api_key: ApiKey


class SignInOptions(Options):
    """What an account that signs in is to have besides its tokens."""

    provider: str = "anthropic"


class AccountChange(Options):
    """Only the fields that are sent change; `null` empties one that may be empty."""

    name: Name = ""
    api_key: ApiKey = SecretStr("")


class NewSecret(Form):
    """A new secret for an account that is there."""

    api_key: ApiKey


class NewName(Form):
    name: Name


class CarriedTokens(Form):
    """The tokens of an account that signed in."""

    access_token: ApiKey
    refresh_token: ApiKey | None = None
    expires_at: Annotated[float, Field(ge=0, le=100_000_000_000, allow_inf_nan=False)] | None = Field(
        default=None, description="Unix seconds; null: not stated."
    )
    scopes: list[Label] = Field(default_factory=list, max_length=100)


class CarriedAccount(WholeAccount):
    """One account of an export: the names of the setting `accounts`, and whether it is paused."""

    oauth: CarriedTokens | None = Field(default=None, description="In place of `api_key`: it signed in.")
    paused: bool = False

    @model_validator(mode="after")
    def _has_one_credential(self) -> "CarriedAccount":
        if self.api_key is not None and self.oauth is not None:
            raise ValueError("must hold api_key or oauth, not both")
        return self

    @property
    def kind(self) -> Kind:
        return Kind.API_KEY if self.oauth is None else Kind.OAUTH

    @property
    def credential(self) -> Credential | None:
        """None where it was left out."""
        if self.oauth is not None:
            refresh = self.oauth.refresh_token
            return Credential(
                self.oauth.access_token.get_secret_value(),
                None if refresh is None else refresh.get_secret_value(),
                self.oauth.expires_at,
                tuple(self.oauth.scopes),
            )
        return None if self.api_key is None else Credential(self.api_key.get_secret_value())
