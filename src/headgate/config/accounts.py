"""Settings of accounts and of their providers."""

import difflib
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator

from headgate.config.fields import (
    LAST_MOMENT,
    MOST_THINGS,
    AccountName,
    BaseUrl,
    Listed,
    Mapped,
    ProxyUrl,
    Secret,
    Section,
    Words,
    required,
    setting,
)
from headgate.config.pricing import ModelPrices

PROVIDERS = ("anthropic",)
"""Named here, below the room that speaks to them, so that a misspelt one is refused with its place."""


def _check_provider(name: str) -> str:
    if name in PROVIDERS:
        return name
    near = difflib.get_close_matches(name, PROVIDERS, n=1)
    meant = f", did you mean {near[0]}?" if near else f"; there are {', '.join(PROVIDERS)}"
    raise ValueError("unknown provider" + meant)


ProviderName = Annotated[str, AfterValidator(_check_provider)]


class OAuthTokens(Section):
    """The start values of an account that signs in; refreshed ones live in the database."""

    access_token: Secret = required("Access token, or file: with a path.", unit="secret")
    refresh_token: Secret | None = setting(None, "Refresh token, or file: with a path.", unit="secret")
    expires_at: float | None = setting(
        None, "When the access token expires.", unit="Unix seconds", ge=0, le=LAST_MOMENT
    )
    scopes: Annotated[tuple[str, ...], Listed] = setting((), "Rights that came with them.", unit="list")


class AccountSettings(Section):
    """An account declared in the settings; the others are kept in the database."""

    name: AccountName = required("Unique name.", unit="text")
    provider: ProviderName = setting("anthropic", "Provider of the account.", unit=", ".join(PROVIDERS))
    oauth: OAuthTokens | None = None
    api_key: Secret | None = setting(
        None,
        "The provider's API key, or file: with a path; required where there is no oauth.",
        unit="secret",
        validate_default=True,
    )
    priority: int = setting(0, "Lower goes first.", unit="number", ge=-MOST_THINGS, le=MOST_THINGS)
    weight: int = setting(1, "Share under the strategy weighted.", unit="number", ge=1, le=MOST_THINGS)
    tier: int = setting(1, "Size of the plan; multiplies the weight.", unit="number", ge=1, le=MOST_THINGS)
    concurrency: int | None = setting(
        None,
        "Requests that it may have at one time; null: as many as come.",
        unit="requests",
        ge=1,
        le=MOST_THINGS,
    )
    base_url: BaseUrl | None = setting(None, "Address instead of the provider's.", unit="URL")
    domain: str | None = setting(None, "Label of the team or domain that it belongs to.", unit="text")
    models: Annotated[tuple[str, ...], Listed] = setting(
        (), "Models that this account serves; empty: all of its provider.", unit="list"
    )
    proxy: ProxyUrl | None = setting(
        None,
        "Outbound proxy of this account, or file: with a path; direct: none; null: as `upstream` says.",
        unit="proxy URL",
    )

    prices: Annotated[ModelPrices, Mapped] = setting(
        {},
        "What this account's models cost, where that is something of its own; as `pricing.models`.",
        unit="map",
    )

    @field_validator("api_key")
    @classmethod
    def _has_a_credential(cls, key: Secret | None, info: ValidationInfo) -> Secret | None:
        # "oauth" is not there when it was wrong itself: one complaint is enough then.
        if key is None and info.data.get("oauth", ...) is None:
            raise ValueError("is missing")
        return key


class OAuthClient(Section):
    """How accounts sign in at a provider. Its client id is the owner's: none is built in."""

    client_id: str | None = setting(None, "Client id that the provider gave you.", unit="text", min_length=1)
    authorize_url: BaseUrl | None = setting(None, "Page of the sign-in; null: the usual.", unit="URL")
    token_url: BaseUrl | None = setting(None, "Where tokens are given out; null: the usual.", unit="URL")
    device_url: BaseUrl | None = setting(
        None, "Where a sign-in by device code begins; null: the usual.", unit="URL"
    )
    redirect_uri: BaseUrl | None = setting(
        None, "Where the sign-in leads back to, as registered; null: the usual.", unit="URL"
    )
    scopes: Annotated[tuple[str, ...], Listed] = setting(
        (), "Rights that are asked for; empty: the usual.", unit="list"
    )
    token_body: Annotated[Literal["json", "form"], Words] | None = setting(
        None, "How the token endpoint is asked; null: as usual.", unit="json, form"
    )


class ProviderSettings(Section):
    """What is changed about a provider."""

    base_url: BaseUrl | None = setting(None, "Address instead of the provider's own.", unit="URL")
    oauth: OAuthClient = OAuthClient()
