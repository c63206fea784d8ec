"""The provider's public sign-in with the owner's client id and changes: what a flow is made with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headgate.config.accounts import ProviderSettings
from headgate.errors import SettingsError
from headgate.providers.provider import Provider
from headgate.providers.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Registration:
    """An application that its provider knows."""

    provider: str
    client_id: str
    sign_in: SignIn


class Registrations:
    """By provider. Built anew when settings change."""

    def __init__(self, providers: Mapping[str, Provider], settings: Mapping[str, ProviderSettings]) -> None:
        self._providers = providers
        self._settings = settings

    def of(self, provider: str) -> Registration:
        """Raises SettingsError for a provider without a sign-in, and while its client id is not set."""
        known = self._providers.get(provider)
        if known is None or known.sign_in is None:
            able = sorted(name for name, one in self._providers.items() if one.sign_in is not None)
            raise SettingsError(
                f"Accounts of {provider} do not sign in, they have API keys",
                hint=f"Providers with a sign-in: {', '.join(able) or 'none'}.",
            )
        own = self._settings.get(provider, ProviderSettings()).oauth
        if own.client_id is None:
            raise SettingsError(
                f"No client id is set for signing in at {provider}: Headgate has none of its own",
                hint=f"headgate config set providers.{provider}.oauth.client_id YOUR-CLIENT-ID "
                f"(or CLIENT_ID in the environment). {known.sign_in.documented_at}".rstrip(),
            )
        sign_in = known.sign_in
        changes: dict[str, Any] = {
            "authorize_url": own.authorize_url,
            "token_url": own.token_url,
            "device_url": own.device_url,
            "redirect_uri": own.redirect_uri,
            "scopes": own.scopes,
            "body": own.token_body,
        }
        return Registration(
            provider, own.client_id, replace(sign_in, **{name: one for name, one in changes.items() if one})
        )
