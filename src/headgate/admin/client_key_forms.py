"""What the owner says of a client key, and what is said of it to the owner. The key itself is said once."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from headgate.access.client_keys import ClientKey
from headgate.access.limits import Limits
from headgate.access.meter import KeyMeter
from headgate.admin.account_forms import ApiKey, Form, Label
from headgate.config.fields import ACCOUNT_NAME_PATTERN, LAST_MOMENT, MOST_THINGS, AccountName
from headgate.config.limits import MOST_QUEUE_WEIGHT, MOST_TOKENS, MOST_USD
from headgate.pricing.rates import NANO

_MOST = 1_000
_LONGEST_OVERLAP_SECONDS = 90 * 86_400


def _without_empty(values: list[str]) -> list[str]:
    """In the order given, each once."""
    stripped = [value.strip() for value in values]
    if not all(stripped):
        raise ValueError("must hold no empty entry")
    return list(dict.fromkeys(stripped))


KeyName = Annotated[AccountName, Field(json_schema_extra={"pattern": ACCOUNT_NAME_PATTERN})]
"""By the rule of accounts' names."""
Labels = Annotated[list[Label], AfterValidator(_without_empty), Field(max_length=_MOST)]
Moment = Annotated[int, Field(ge=0, le=LAST_MOMENT * 1000)]
Count = Annotated[int, Field(ge=1, le=MOST_THINGS)]
Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
Weight = Annotated[int, Field(ge=1, le=MOST_QUEUE_WEIGHT)]
Usd = Annotated[float, Field(ge=0, le=MOST_USD, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=1, le=36_500)]


class LimitForm(Form):
    """Of one key; null: that of the setting `access.limits`."""

    rpm: Count | None = Field(default=None, description="Requests a minute.")
    tpm: Tokens | None = Field(
        default=None, description="Tokens a minute, without those read from the prompt cache."
    )
    concurrency: Count | None = Field(default=None, description="Requests at one time.")
    window_tokens: Tokens | None = Field(default=None, description="Tokens in five hours.")
    daily_usd: Usd | None = Field(default=None, description="Money a day (UTC).")
    weekly_usd: Usd | None = Field(default=None, description="Money a week from Monday (UTC).")
    total_usd: Usd | None = Field(default=None, description="Money in all.")
    queue_weight: Weight | None = Field(
        default=None, description="Waiting requests that go at a time when it is its turn; null: one."
    )


class KeyOptions(Form):
    """What may be said of a key besides its name."""

    note: Label = ""
    owner: Label = Field(default="", description="Who holds it.")
    tags: Labels = Field(default_factory=list)
    enabled: bool = True
    expires_at: Moment | None = Field(default=None, description="Unix milliseconds.")
    days_from_first_use: Days | None = Field(default=None, description="It ends so many days after that.")
    models: Labels = Field(default_factory=list, description="Names or patterns (`claude-*`); empty: all.")
    refused_models: Labels = Field(default_factory=list, description="Names or patterns.")
    providers: Labels = Field(default_factory=list, description="Empty: all.")
    accounts: Labels = Field(
        default_factory=list, description="Names or patterns of the accounts that may serve it; empty: all."
    )
    domain: Label | None = Field(default=None, description="Only accounts of this domain may serve it.")
    may_choose_account: bool = Field(default=False, description="By the header x-headgate-account.")
    limits: LimitForm = LimitForm()


class NewKey(KeyOptions):
    """A key to be made."""

    name: KeyName
    key: ApiKey | None = Field(default=None, description="One that was given out elsewhere; null: a new one.")


class KeyChange(KeyOptions):
    """Only the fields that are sent change; `null` empties one that may be empty."""

    name: KeyName = ""


class RotationForm(Form):
    overlap_seconds: Annotated[int, Field(ge=0, le=_LONGEST_OVERLAP_SECONDS)] = Field(
        default=0, description="How long the key from before opens as well."
    )
    key: ApiKey | None = Field(default=None, description="See above.")


class KeyUse(BaseModel):
    """What a key has used. Money in USD."""

    running: int = Field(description="Requests that run, on this gateway.")
    day_usd: float
    week_usd: float
    total_usd: float
    window_tokens: int = Field(description="Of the five hours that run.")


class KeyView(BaseModel):
    """One client key. Times in Unix milliseconds."""

    name: str
    status: str = Field(description="active, disabled, expired or revoked")
    beginning: str = Field(description="Of the key, to tell one from the other; empty where it is not known.")
    note: str
    owner: str
    tags: list[str]
    enabled: bool
    expires_at: int | None = Field(description="When it ends, whichever rule says so; null: never.")
    days_from_first_use: int | None
    first_used_at: int | None = Field(description="From then its days are counted; null without any.")
    models: list[str]
    refused_models: list[str]
    providers: list[str]
    accounts: list[str]
    domain: str | None
    may_choose_account: bool
    limits: LimitForm = Field(description="As said of this key.")
    limits_in_force: LimitForm = Field(description="With those of the setting `access.limits`.")
    used: KeyUse
    replaced_until_at: int | None = Field(description="Until then the key from before a rotation opens too.")
    origin: str = Field(
        description="`owner`, `settings`: it stands in access.api_keys, or `file`: in the file of a domain."
    )
    hosts: list[str] = Field(description="That alone it opens, of a `file`: names or patterns; empty: all.")
    version: int = Field(description="Also the ETag: send it as If-Match, and no change of others is lost.")
    created_at: int | None
    revoked_at: int | None


class CreatedKey(KeyView):
    key: str = Field(description="Said this once: what is kept is a digest.")


def key_view(key: ClientKey, limits: Limits, meter: KeyMeter, *, now: float) -> KeyView:
    is_replacing = key.previous_until is not None and key.previous_until > now
    return KeyView(
        name=key.name,
        status=key.status(now),
        beginning=key.beginning,
        note=key.note,
        owner=key.owner,
        tags=list(key.tags),
        enabled=key.is_enabled,
        expires_at=_ms(key.ends_at),
        days_from_first_use=key.days_from_first_use,
        first_used_at=_ms(key.first_used_at),
        models=list(key.models),
        refused_models=list(key.refused_models),
        providers=list(key.providers),
        accounts=list(key.accounts),
        domain=key.domain,
        may_choose_account=key.may_choose_account,
        limits=LimitForm(**key.limits.to_json()),
        limits_in_force=LimitForm(**limits.to_json()),
        used=_use_of(meter, now),
        replaced_until_at=_ms(key.previous_until) if is_replacing else None,
        origin="file" if key.hosts is not None else "settings" if key.is_declared else "owner",
        hosts=list(key.hosts or ()),
        version=key.version,
        created_at=_ms(key.created_at) if key.id else None,
        revoked_at=_ms(key.revoked_at),
    )


def _use_of(meter: KeyMeter, now: float) -> KeyUse:
    spending = meter.spending
    spending.set_to(now)
    return KeyUse(
        running=meter.running,
        day_usd=spending.day_nano / NANO,
        week_usd=spending.week_nano / NANO,
        total_usd=spending.total / NANO,
        window_tokens=spending.tokens_of_window(now),
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
