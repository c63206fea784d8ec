"""Sign-ins that have begun: each with its own state and verifier, ten minutes to live, side by side.

They are in the memory of the process that began them. Where several serve one address, the callback must
reach the same one; pasting the code does, because the command talks to one gateway.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit

from headgate.clock import Clock
from headgate.errors import SignInFailed
from headgate.oauth.pasted import INVALID
from headgate.oauth.pkce import challenge_of, new_verifier
from headgate.oauth.registration import Registration

LIFE_SECONDS = 600.0
_MOST = 1000
_MOST_REMEMBERED_SECONDS = 3600.0
"""An ended attempt can be asked about for this long."""


class Progress(StrEnum):
    WAITING = "waiting"
    EXCHANGING = "exchanging"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(slots=True)
class Attempt:
    """One sign-in of one account. `repr` leaves out what must not be seen."""

    state: str = field(repr=False)
    registration: Registration
    account: str | None
    """The name that the account will have, or has; None: one is found when it is known whose it is."""
    renews: int | None
    """The id of the account that is there and gets new tokens: its name may change meanwhile."""
    options: Mapping[str, Any]
    """Further fields of a new account."""
    expires_at: float
    """Unix seconds."""
    verifier: str = field(default="", repr=False)
    progress: Progress = Progress.WAITING
    error: str | None = None
    hint: str = ""

    def at(self, now: float) -> Progress:
        is_over = self.progress is Progress.WAITING and now >= self.expires_at
        return Progress.EXPIRED if is_over else self.progress

    @property
    def url(self) -> str:
        """The page where a person signs in (RFC 6749, section 4.1.1; RFC 7636, section 4.3)."""
        sign_in = self.registration.sign_in
        parameters = {
            **dict(sign_in.authorize_extra),
            "client_id": self.registration.client_id,
            "response_type": "code",
            "redirect_uri": sign_in.redirect_uri,
            "scope": " ".join(sign_in.scopes),
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": self.state,
        }
        glue = "&" if urlsplit(sign_in.authorize_url).query else "?"
        return f"{sign_in.authorize_url}{glue}{urlencode(parameters)}"

    def fail(self, error: str, hint: str = "") -> None:
        """One that was cancelled stays so."""
        if self.progress is not Progress.CANCELLED:
            self.progress, self.error, self.hint = Progress.FAILED, error, hint

    def refuse_cancelled(self) -> None:
        """Raises SignInFailed."""
        if self.progress is Progress.CANCELLED:
            raise SignInFailed("The sign-in was cancelled", hint="Start it again; nothing was changed.")


class Attempts:
    """By state. Bounded: the oldest goes when there are too many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_state: dict[str, Attempt] = {}

    def begin(
        self,
        registration: Registration,
        *,
        account: str | None,
        renews: int | None = None,
        options: Mapping[str, Any],
        seconds: float = LIFE_SECONDS,
    ) -> Attempt:
        now = self._clock.now()
        self._forget_old(now)
        attempt = Attempt(
            state=secrets.token_urlsafe(32),
            registration=registration,
            account=account,
            renews=renews,
            options=options,
            expires_at=now + seconds,
            verifier=new_verifier(),
        )
        self._by_state[attempt.state] = attempt
        return attempt

    def find(self, state: str) -> Attempt | None:
        """Also one that has ended."""
        for known, attempt in self._by_state.items():
            if hmac.compare_digest(known.encode(), state.encode("utf-8", "surrogatepass")):
                return attempt
        return None

    def take(self, state: str | None) -> Attempt:
        """The waiting attempt that a code belongs to; it is exchanging from now on: a code counts once.

        Raises SignInFailed: for a state that is nobody's, and for an attempt that has ended.
        """
        attempt = self._sole() if state is None else self.find(state)
        if attempt is None:
            what = (
                "it belongs to no sign-in that was begun here"
                if state
                else "which sign-in it is for is not said"
            )
            raise SignInFailed(
                f"{INVALID}: {what}", hint="Paste all of it, as code#state, or start the sign-in again."
            )
        attempt.refuse_cancelled()
        match attempt.at(self._clock.now()):
            case Progress.EXPIRED:
                raise SignInFailed(
                    f"The sign-in was not finished within {LIFE_SECONDS / 60:g} minutes",
                    hint="Start it again; nothing was changed.",
                )
            case Progress.DONE | Progress.EXCHANGING:
                raise SignInFailed(
                    f"{INVALID}: it was used already", hint="headgate account list shows the account."
                )
            case Progress.FAILED:
                raise SignInFailed(f"The sign-in has failed: {attempt.error}", hint="Start it again.")
        attempt.progress = Progress.EXCHANGING
        return attempt

    def cancel(self, state: str) -> Attempt | None:
        """None: there is none. One that has ended stays as it is."""
        attempt = self.find(state)
        if attempt is not None and attempt.at(self._clock.now()) in (Progress.WAITING, Progress.EXCHANGING):
            attempt.progress = Progress.CANCELLED
        return attempt

    def _sole(self) -> Attempt | None:
        """A code without its state is somebody's only while one sign-in alone waits."""
        now = self._clock.now()
        waiting = [one for one in self._by_state.values() if one.at(now) is Progress.WAITING]
        return waiting[0] if len(waiting) == 1 else None

    def _forget_old(self, now: float) -> None:
        for state in [
            state for state, one in self._by_state.items() if now - one.expires_at > _MOST_REMEMBERED_SECONDS
        ]:
            del self._by_state[state]
        while len(self._by_state) >= _MOST:
            del self._by_state[next(iter(self._by_state))]
