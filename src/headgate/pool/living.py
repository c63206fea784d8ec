"""An account at work: what the owner put in, with its health, its windows and its counters."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Any

from headgate.clock import Clock
from headgate.errors import SettingsError
from headgate.log import blank, redact
from headgate.pool.accounts import Account, Credential, Kind
from headgate.pool.faults import Fault
from headgate.pool.forecasts import Forecast
from headgate.pool.health import Health
from headgate.pool.policy import Quota
from headgate.pool.windows import Windows
from headgate.providers.limits import Limits, Window
from headgate.providers.provider import Provider
from headgate.wire.headers import Headers, is_visible_ascii


class Status(StrEnum):
    """The words of the outside surface."""

    ACTIVE = "active"
    PAUSED = "paused"
    RATE_LIMITED = "rate_limited"
    EXPIRED = "expired"
    NEEDS_REAUTH = "needs_reauth"
    DISABLED = "disabled"


_STATUS_OF_FAULT = {
    Fault.LIMITED: Status.RATE_LIMITED,
    Fault.REFUSED: Status.NEEDS_REAUTH,
    Fault.TOKEN_ENDED: Status.EXPIRED,
    Fault.BILLING: Status.DISABLED,
    Fault.FORBIDDEN: Status.DISABLED,
}
"""A passing trouble, or one model's, leaves an account active; `skipped_because` tells of it."""


_MARGIN_SECONDS = 5.0
"""A token this near its end is not sent any more: it could end on the way."""


class LivingAccount:
    """One account of the pool. The relay counts on it directly: `in_flight`, `request_count`,
    `error_count` and `last_used_at` are plain attributes."""

    def __init__(
        self,
        account: Account,
        provider: Provider | None,
        *,
        clock: Clock,
        random: Random,
        on_health: "Callable[[LivingAccount], None]",
        on_soft_limit: "Callable[[LivingAccount, str], None]",
    ) -> None:
        self.health = Health(random, lambda: on_health(self))
        self.provider: Provider | None = None
        self.in_flight = 0
        self.request_count = 0
        self.error_count = 0
        self.past_requests = 0
        self.past_errors = 0
        """Of earlier lives: shown with the counts of this one, without weight when an account is chosen."""
        self.last_used_at: float | None = None
        """Unix seconds."""
        self.session_count = 0
        """Conversations that stay on this account."""
        self.quotas: Sequence[Quota] = ()
        """As of the last choice that asked for them."""
        self.head_start = 0.0
        """Requests that count as served when loads are compared: a newcomer starts level with the
        others instead of taking everything until it has caught up."""
        self._clock = clock
        self._on_soft_limit = on_soft_limit
        self.clean_since = 0.0
        """Unix seconds of its last clean slate: what was said of it before is void."""
        self._noted_status: bytes | None = None
        self._windows: Windows | None = None
        self._adopt(account, provider)

    def _adopt(self, account: Account, provider: Provider | None) -> None:
        self.account = account
        self.id = account.id
        self.share = max(account.weight, 0) * max(account.tier, 1)
        """Its part of the traffic, in proportion to the others' shares."""
        self.base_url = account.base_url or (provider.default_base_url if provider else "")
        self.credential_header = (b"", b"")
        self.unusable_because: str | None = None
        """Why no request can be built for it, in words; None: one can."""
        self._models = frozenset(account.models)
        self._most_in_flight = math.inf if account.concurrency is None else account.concurrency
        if provider is not self.provider or self._windows is None:
            self._windows = Windows(provider) if provider else None
        self._status_header = provider.status_header or b"" if provider else b""
        self._calm_status = provider.calm_status if provider else b""
        self.provider = provider
        self.is_signed_in = account.kind is Kind.OAUTH
        self.stale_at = _stale_at(account.credential)
        """Unix seconds from which its token is not to be sent any more; infinite for an API key."""
        self._check(account, provider)
        self.is_open = not account.paused and self.unusable_because is None
        """Neither paused nor unusable: health and model alone decide."""

    def _check(self, account: Account, provider: Provider | None) -> None:
        if provider is None:
            self.unusable_because = f"unknown provider {account.provider}"
            return
        if account.credential is None:
            self.unusable_because = "needs re-auth: its secret does not open with the encryption key in force"
            return
        secret = account.credential.secret
        if account.kind is Kind.OAUTH:
            if provider.sign_in is None:
                self.unusable_because = f"provider {account.provider} takes no access tokens"
            elif not is_visible_ascii(secret):
                self.unusable_because = "unusable credential: its access token is empty or holds white space"
            else:
                self.credential_header = b"authorization", b"Bearer " + secret.encode("ascii")
            return
        try:
            self.credential_header = provider.credential_header(secret)
        except SettingsError as error:
            self.unusable_because = f"unusable credential: {error.message}"

    def replace(self, account: Account, provider: Provider | None) -> None:
        """The owner changed the account; what runs on it goes on. A new credential, address or provider
        starts with a clean slate, a resumed account without what waited for its owner."""
        before = self.account
        if is_older(account, before):
            account = replace(account, credential=before.credential)
        is_renewed = is_older(before, account)
        self._adopt(account, provider)
        if before.place != account.place:
            self._noted_status = None
            self._windows = Windows(provider) if provider else None
            self.health.forget()
            self.clean_since = self._clock.now()
        elif is_renewed:
            self._accept()
        elif before.paused and not account.paused:
            self.health.resume(self._clock.now())
        if before.proxy != account.proxy:
            self.health.goes_another_way()

    def renew(self, account: Account) -> None:
        """Take over newer tokens, and nothing else of `account`; what was learnt holds on."""
        if is_older(self.account, account):
            self._adopt(replace(self.account, credential=account.credential), self.provider)
            self._accept()

    def _accept(self) -> None:
        self.health.accepted(self._clock.now())

    # ---- can it serve? -----------------------------------------------------------------------------

    def serves(self, model: str | None) -> bool:
        """By the owner's list; the account's health is another matter."""
        return not self._models or model is None or model in self._models

    def can_serve(self, model: str | None, now: float) -> bool:
        if not self.is_open or self.in_flight >= self._most_in_flight:
            return False
        if self._models and not self.serves(model):
            return False
        health = self.health
        return not health.on_record or health.unavailable_until(model, now) is None

    @property
    def is_full(self) -> bool:
        """It has as many requests as the owner lets it have at one time."""
        return self.in_flight >= self._most_in_flight

    @contextmanager
    def place_kept(self) -> Iterator[None]:
        """For a request between two tries: another in its place would make one too many."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def can_stay(self, now: float) -> bool:
        """A conversation that must leave it for one model may come back for its others."""
        return self.is_open and self.health.unavailable_until(None, now) is None

    def knows(self, model: str) -> bool:
        """It has answered for this model or lists it: a 404 then means the account, not a caller's typo."""
        return model in self.health.served or model in self._models

    def skipped_because(self, model: str | None, now: float) -> str | None:
        """Why it cannot serve such a request now, in words; None: it can."""
        if self.account.paused:
            return "paused"
        if self.unusable_because is not None:
            return self.unusable_because
        if not self.serves(model):
            return f"model {model} not served"
        if (why := self.health.why(model, now)) is None and self.is_full:
            running = "1 request runs" if self.in_flight == 1 else f"{self.in_flight} requests run"
            return f"busy: {running}, as many as it may have at one time"
        return why

    @property
    def can_renew(self) -> bool:
        """It signed in, and was given what fetches the next token."""
        return self.account.credential is not None and self.account.credential.refresh_token is not None

    @property
    def status(self) -> Status:
        if self.account.paused:
            return Status.PAUSED
        if self.account.credential is None:
            return Status.NEEDS_REAUTH
        if self.unusable_because is not None:
            return Status.DISABLED
        now = self._clock.now()
        if self.stale_at <= now and not self.can_renew:
            return Status.EXPIRED
        rest = self.health.open_rest(None, now)
        return Status.ACTIVE if rest is None else _STATUS_OF_FAULT.get(rest.fault, Status.ACTIVE)

    # ---- limits ------------------------------------------------------------------------------------

    def note_headers(self, headers: Headers, fields: Mapping[bytes, bytes], now: float) -> None:
        """Take in the limit headers of an answer that serves the request (`fields`: the same by name): one
        look, unless the provider's status changed. A refused attempt goes through `note_limits` and
        `Health.apply`.

        A hard status on a good answer takes the account out as a refusal would.
        """
        if self._windows is None:
            return
        status = fields.get(self._status_header)
        if status is None or status == self._noted_status:
            self._windows.put_aside(headers, now, self.request_count)
        else:
            self._note_status(status, headers, now)

    def note_limits(self, limits: Limits) -> None:
        """Take in the windows of a refused attempt, whose headers the caller has read already."""
        if self._windows is not None:
            self._windows.add(limits, self.request_count)

    def _note_status(self, value: bytes, headers: Headers, now: float) -> None:
        assert self.provider is not None and self._windows is not None
        if value == self._calm_status:
            self._noted_status = value
            self._windows.put_aside(headers, now, self.request_count)
            return
        limits = self.provider.read_limits(headers, now)
        self._windows.add(limits, self.request_count)
        # A good answer beside a used-up window of other models: it was not about this one.
        if limits.is_hard and not limits.is_model_limit:
            fault = Fault.BILLING if limits.needs_payment else Fault.LIMITED
            self.health.apply(fault, until=limits.reset_at, reason=limits.status or "", now=now)
            return
        self._noted_status = value
        if limits.is_soft and limits.status is not None:
            self._on_soft_limit(self, limits.status)

    @property
    def windows(self) -> tuple[Window, ...]:
        return () if self._windows is None else self._windows.at(self._clock.now())

    def forecasts(self) -> dict[str, Forecast]:
        """By the window's name."""
        if self._windows is None:
            return {}
        counts = {"requests": self.request_count, "in_flight": self.in_flight}
        return self._windows.forecasts(self._clock.now(), **counts)

    def note_quotas(self, model: str | None, now: float) -> None:
        """Bring `quotas` up to date for a choice among accounts."""
        if self._windows is not None:
            counts = {"requests": self.request_count, "in_flight": self.in_flight}
            self.quotas = self._windows.quotas(model, now, **counts)

    # ---- across restarts ---------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Health and windows, JSON-able; `from_state` reads it."""
        state = self.health.to_state()
        if self._windows is not None:
            state["windows"] = self._windows.to_state(self._clock.now())
        return state

    def from_state(self, state: dict[str, Any]) -> None:
        self.health.from_state(state)
        if self._windows is not None:
            self._windows.from_state(state.get("windows"))

    # ---- what is shown -----------------------------------------------------------------------------

    @property
    def rate_limit_status(self) -> str | None:
        """`limited` while it rests for a limit, else the provider's last word; None: none yet."""
        if self._limit() is not None:
            return "limited"
        return None if self._noted_status is None else self._noted_status.decode("latin-1")

    def without_secret(self, words: str) -> str:
        """What a provider said, fit to be kept and shown: some say back the key that they refuse."""
        known = () if self.account.credential is None else self.account.credential.secrets
        return redact(blank(words, known))

    @property
    def rate_limit_reset(self) -> float | None:
        """Unix seconds at which a limited account returns; None: it is not limited."""
        return self._limit()

    def _limit(self) -> float | None:
        rests = self.health.rests(self._clock.now())
        return max((rest.until for rest in rests if rest.fault is Fault.LIMITED), default=None)


def _stale_at(credential: Credential | None) -> float:
    if credential is None or credential.expires_at is None:
        return math.inf
    return credential.expires_at - _MARGIN_SECONDS


def is_older(one: Account, other: Account) -> bool:
    """Whether both hold tokens of the same sign-in and `other` the newer ones."""
    if one.credential is None or other.credential is None or one.signed_in_at != other.signed_in_at:
        return False
    return one.signed_in_at is not None and one.credential.version < other.credential.version
