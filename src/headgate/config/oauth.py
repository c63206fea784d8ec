"""Settings of accounts that sign in."""

from typing import Annotated, Literal

from headgate.config.fields import BaseUrl, Listed, Secret, Section, Words, required, setting


class OAuthTokens(Section):
    """The start values of an account that signs in; refreshed ones live in the database."""

    access_token: Secret = required("Access token, or file: with a path.", unit="secret")
    refresh_token: Secret | None = setting(None, "Refresh token, or file: with a path.", unit="secret")
    expires_at: float | None = setting(
        None, "When the access token expires.", unit="Unix seconds", ge=0, le=100_000_000_000
    )
    scopes: Annotated[tuple[str, ...], Listed] = setting((), "Rights that came with them.", unit="list")


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
