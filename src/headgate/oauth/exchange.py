"""From a code, or a device code, to tokens: the last step of a sign-in, with its failures in words."""

import asyncio
from dataclasses import dataclass

import msgspec

from headgate.clock import Clock
from headgate.errors import SettingsError, SignInFailed, UpstreamError
from headgate.oauth.attempts import Attempt
from headgate.oauth.pasted import INVALID
from headgate.oauth.registration import Registration
from headgate.oauth.token_endpoint import Granted, TokenEndpoint, TokenRefused, read_refusal, unreachable

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER_SECONDS = 5.0
"""By which the provider's `slow_down` lengthens the pause (RFC 8628, section 3.5)."""
_LONGEST_CODE_LIFE = 1800.0

_AGAIN = "Start the sign-in again: a code is good for one try and a short time."


async def exchange(endpoint: TokenEndpoint, attempt: Attempt, code: str) -> Granted:
    """Raises SignInFailed. The order of what it says: what failed, what the provider said."""
    parameters = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": attempt.registration.sign_in.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    if attempt.registration.sign_in.body == "json":
        parameters["state"] = attempt.state  # who takes JSON checks it there as well
    try:
        return await endpoint.grant(attempt.registration, parameters)
    except UpstreamError as error:
        raise _failed(unreachable(error), attempt.registration) from error
    except TokenRefused as refused:
        raise _failed(refused, attempt.registration) from refused


def _failed(refused: TokenRefused, registration: Registration) -> SignInFailed:
    words, hint = f"Token exchange failed: {refused.words}", _AGAIN
    if refused.error == "invalid_client":
        setting = f"providers.{registration.provider}.oauth.client_id"
        hint = f"The provider does not know the client id: see the setting {setting}."
    elif "verifier" in refused.words.lower():
        words = f"Token exchange failed: Invalid code_verifier ({refused.words})"
        hint = f"{_AGAIN} Each start has its own verifier: take the code of the page that was opened last."
    elif refused.is_final:
        words = f"Token exchange failed: {INVALID} ({refused.words})"
    elif refused.status is None:
        hint = "Can the gateway reach the provider? Then start the sign-in again."
    return SignInFailed(words, hint=hint)


# ---- device code (RFC 8628) ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the person is shown, and what the gateway asks with meanwhile."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    """Seconds."""
    interval: float
    device_code: str

    def __repr__(self) -> str:
        return f"DeviceCode({self.verification_uri})"


def _is_page(url: str) -> bool:
    """It is opened by a person, and printed on a terminal."""
    return url.isprintable() and url.startswith(("http://", "https://"))


class _DeviceReply(msgspec.Struct):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: float = 900.0
    interval: float = 5.0


async def ask_for_device_code(endpoint: TokenEndpoint, registration: Registration) -> DeviceCode:
    """Raises SettingsError for a provider without device codes, SignInFailed for a refusal."""
    url = registration.sign_in.device_url
    if url is None:
        raise SettingsError(
            f"No address is known where a sign-in by device code begins at {registration.provider}",
            hint=f"headgate config set providers.{registration.provider}.oauth.device_url URL, "
            "or sign in without --device.",
        )
    asked = {"client_id": registration.client_id, "scope": " ".join(registration.sign_in.scopes)}
    try:
        status, body = await endpoint.ask(registration, url, asked)
        reply = msgspec.json.decode(body, type=_DeviceReply, strict=False)
    except UpstreamError as error:
        raise _failed(unreachable(error), registration) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        refused = read_refusal(status, body)
        if not refused.error:
            refused = TokenRefused(f"HTTP {status}: the answer holds no device code", status=status)
        raise _failed(refused, registration) from error
    if not _is_page(reply.verification_uri):
        raise _failed(TokenRefused("the page to open is no web address", status=status), registration)
    if not reply.user_code.isprintable():
        raise _failed(TokenRefused("the code to enter cannot be shown", status=status), registration)
    complete = reply.verification_uri_complete
    return DeviceCode(
        reply.user_code,
        reply.verification_uri,
        complete if complete and _is_page(complete) else None,
        min(max(reply.expires_in, 1.0), _LONGEST_CODE_LIFE),
        min(max(reply.interval, 0.1), 60.0),
        reply.device_code,
    )


async def wait_for_device(
    endpoint: TokenEndpoint, attempt: Attempt, code: DeviceCode, clock: Clock
) -> Granted:
    """Asks at the provider's pace until the person has agreed, or the owner has cancelled. Raises
    SignInFailed."""
    registration = attempt.registration
    ends_at, interval = clock.monotonic() + code.expires_in, code.interval
    parameters = {"grant_type": _DEVICE_GRANT, "device_code": code.device_code}
    while clock.monotonic() < ends_at:
        await asyncio.sleep(interval)
        attempt.refuse_cancelled()
        try:
            return await endpoint.grant(registration, parameters)
        except UpstreamError:
            interval = min(interval * 2, 60.0)  # section 3.5: exponential when the network fails
        except TokenRefused as refused:
            match refused.error:
                case "authorization_pending":
                    continue
                case "slow_down":
                    interval += _SLOWER_SECONDS
                case "access_denied":
                    raise SignInFailed(
                        "The sign-in was denied on the provider's page", hint=_AGAIN
                    ) from refused
                case "expired_token":
                    break
                case _:
                    raise _failed(refused, registration) from refused
    raise SignInFailed("The device code expired before anybody agreed", hint="Start the sign-in again.")
