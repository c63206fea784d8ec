"""Whether a key may ask now: its rates, its budgets and how many of its requests run, reserved and settled.

Each request is let in with a guess of what it will use, so that many at once do not pass a limit together;
what it has used takes the guess's place when its record is written, exactly once. Nothing here waits.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from headgate.access.client_keys import ClientKey
from headgate.access.limits import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    NO_LIMITS,
    ROUNDING_SECONDS,
    WINDOW_SECONDS,
    Limits,
    Rate,
    Spending,
)
from headgate.access.meter import KeyMeter, Reservation
from headgate.access.slices import Claim, Demand, Pot, Slices, What
from headgate.clock import Clock
from headgate.errors import BudgetExceeded, RateLimited
from headgate.pricing.amounts import usd
from headgate.pricing.prices import Prices
from headgate.pricing.rates import NANO, nano_of

_BYTES_PER_TOKEN = 4
_MINUTE = MINUTE_SECONDS + ROUNDING_SECONDS
_NO_END = math.inf
_MOMENT_SECONDS = 1.0
"""After which one asks again where only the end of another request helps."""


class _Limited:
    """A key with its limits, made ready for the comparison that each request pays."""

    __slots__ = (
        *(
            "concurrency",
            "daily",
            "defaults",
            "has_budget",
            "is_free",
            "is_shared",
            "key",
            "limits",
            "meter",
            "parts",
        ),
        *("per_request", "per_token", "total", "tpm", "weekly", "window"),
    )

    def __init__(self, key: ClientKey, defaults: Limits, meter: KeyMeter, slices: Slices) -> None:
        limits = key.limits.or_else(defaults)
        parts = self.parts = _parts(key.id, limits, slices)
        self.is_shared = slices.count > 1
        self.key = key
        self.defaults = defaults
        self.limits = limits
        self.meter = meter
        self.is_free = limits.limits_nothing
        self.per_request = MINUTE_SECONDS / parts.rpm if parts.rpm else 0.0
        self.per_token = MINUTE_SECONDS / parts.tpm if parts.tpm else 0.0
        self.tpm = meter.tpm = parts.tpm
        self.concurrency = _NO_END if parts.concurrency is None else parts.concurrency
        if 0 in (parts.rpm, parts.tpm):  # others hold all of it just now
            self.concurrency = 0
        self.window = limits.window_tokens
        self.daily, self.weekly, self.total = (
            _NO_END if budget is None else nano_of(budget)
            for budget in (limits.daily_usd, limits.weekly_usd, limits.total_usd)
        )
        self.has_budget = min(self.daily, self.weekly, self.total) < _NO_END

    @property
    def pots(self) -> Iterator[tuple[What, int, int]]:
        """Those that gateways share: which, the limit, this process's part. A key without a row has none."""
        limits, parts = self.limits, self.parts
        whats: tuple[What, ...] = ("requests", "tokens", "running")
        wholes = (limits.rpm, limits.tpm, limits.concurrency)
        for what, whole, part in zip(whats, wholes, (parts.rpm, parts.tpm, parts.concurrency), strict=True):
            if whole is not None and part is not None and self.key.id:
                yield what, whole, part

    def refuses(self, token_seconds: float, now: float, steady: float) -> bool:
        """Whether any limit is reached; `_Check` then says which. Each request pays for this.
        `token_seconds`: in which its tokens come back.

        Days and five hours are of the wall clock, `now`; a minute is one however that is set."""
        meter = self.meter
        if self.has_budget:
            spending = meter.spending
            if not spending.day_at <= now < spending.day_ends_at:
                spending.set_to(now)
            reserved = meter.reserved
            if (
                spending.day_nano + reserved >= self.daily
                or spending.week_nano + reserved >= self.weekly
                or spending.total + reserved >= self.total
            ):
                return True
        # What is free is free at once; else it is more than a minute until all of it has come back.
        return (
            meter.running >= self.concurrency
            or (
                self.window is not None
                and meter.spending.tokens_of_window(now) + meter.reserved_tokens >= self.window
            )
            or meter.requests.full_at + self.per_request - steady > _MINUTE
            or meter.tokens.full_at + token_seconds - steady > _MINUTE
        )


class Gate:
    """One for the gateway. `defaults` are the limits of keys that have none of their own."""

    def __init__(self, clock: Clock, prices: Prices | None = None) -> None:
        self._clock = clock
        self._prices = prices or Prices()
        self.defaults = NO_LIMITS
        self.slices = Slices()
        """What this process holds of each limit: all, where it is alone."""
        self.on_lack: Callable[[], None] = lambda: None
        """Called when something was refused that the whole limit might have let in."""
        self._meters: dict[int, KeyMeter] = {}
        self._limited: dict[int, _Limited] = {}
        self._looked_at = clock.monotonic()

    def restore(self, spent: Mapping[int, Spending]) -> None:
        """By the key's id, what is in the database: of an earlier life, or of other gateways as well."""
        for key_id, spending in spent.items():
            self.meter_of(key_id).spending.join(spending)

    def restore_guesses(self, means: Mapping[int, int]) -> None:
        """By the key's id, nano-USD of one request in an earlier life: else a burst right after a start would
        be let in as if it cost nothing. Tokens are guessed by the body until there is a first answer."""
        for key_id, nano in means.items():
            self.meter_of(key_id).mean_nano = nano

    def meter_of(self, key_id: int) -> KeyMeter:
        meter = self._meters.get(key_id)
        if meter is None:
            meter = self._meters[key_id] = KeyMeter(self._prices)
        return meter

    def limits_of(self, key: ClientKey) -> Limits:
        return self._limited_of(key).limits

    def enter(
        self, key: ClientKey, body_bytes: int, model: str | None = None, steady: float | None = None
    ) -> Reservation:
        """Raises RateLimited and BudgetExceeded; nothing is taken then. `steady`: the clock's
        monotonic seconds, for who has just looked."""
        limited = self._limited.get(key.id)
        if limited is None or limited.key is not key or limited.defaults is not self.defaults:
            limited = self._limited_of(key)
        meter, now = limited.meter, self._clock.now()
        if limited.is_free:
            meter.running += 1
            return Reservation(meter, 0, 0, None, now)
        tokens, tpm = meter.mean_tokens, limited.tpm
        if tokens < 0:
            tokens = body_bytes // _BYTES_PER_TOKEN
        nano = meter.guess_nano(model, tokens) if limited.has_budget else 0
        if tpm is not None and tokens > tpm:
            tokens = tpm
        if steady is None:
            steady = self._clock.monotonic()
        token_seconds = tokens * limited.per_token
        if limited.refuses(token_seconds, now, steady):
            _Check(limited, now, steady, self.on_lack).all(tokens)
        if limited.per_request:
            meter.requests.use_seconds(limited.per_request, steady)
        if tpm is not None:
            meter.tokens.use_seconds(token_seconds, steady)
        if limited.is_shared:
            meter.for_requests.asked += 1
            meter.for_tokens.asked += tokens
        meter.running += 1
        meter.reserved += nano
        meter.reserved_tokens += tokens
        return Reservation(meter, tokens, nano, tpm, now)

    def is_full(self, key: ClientKey) -> bool:
        """Whether only the end of one of its requests helps: for who asks often, since `enter` says in words
        why it refuses. Where gateways share limits that is heard by the others, so `enter` is to be asked."""
        limited = self._limited_of(key)
        return self.slices.count == 1 and limited.meter.running >= limited.concurrency

    def _limited_of(self, key: ClientKey) -> _Limited:
        limited = self._limited.get(key.id)
        if limited is None or limited.key is not key or limited.defaults is not self.defaults:
            meter = self.meter_of(key.id)
            limited = self._limited[key.id] = _Limited(key, self.defaults, meter, self.slices)
        return limited

    # ---- limits that several gateways share ------------------------------------------------------

    def use_slices(self, slices: Slices) -> None:
        """From the next request on. What comes on top of what was held is used up: somebody else may have."""
        if slices == self.slices:
            return
        self.slices, now = slices, self._clock.monotonic()
        for key_id, limited in self._limited.items():
            before, parts = limited.parts, _parts(key_id, limited.limits, slices)
            if before == parts and limited.is_shared == (slices.count > 1):
                continue
            limited.meter.requests.resize(before.rpm, parts.rpm, now)
            limited.meter.tokens.resize(before.tpm, parts.tpm, now)
            self._limited[key_id] = _Limited(limited.key, limited.defaults, limited.meter, slices)

    def demands(self, current: Callable[[int], ClientKey | None]) -> dict[Pot, Demand]:
        """What keys would like to use here, of those that asked lately or have parts that are not equal.
        `current`: the key as it is now."""
        now = self._clock.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        found: dict[Pot, Demand] = {}
        told = self.slices.held
        for key_id in {**self._limited, **{key_id: None for key_id, _ in told}}:
            known = self._limited.get(key_id)
            if (key := current(key_id) or (known.key if known is not None else None)) is None:
                continue
            limited = self._limited_of(key)
            for what, limit, part in limited.pots:
                pot, appetite = (key_id, what), limited.meter.appetites[what]
                in_use = limited.meter.running if what == "running" else 0
                wanted = 0
                if in_use or not appetite.is_sated:
                    wanted = appetite.look(what, limit, part, in_use, passed=passed)
                elif pot not in told:
                    continue
                found[pot] = Demand(limit, wanted, in_use, *_told(told.get(pot), part))
        return found


def _told(claim: Claim | None, part: int) -> tuple[int, bool]:
    """What may be let in until another part is told, though the limit changes meanwhile."""
    return (part, False) if claim is None else (claim.granted, True)


def _parts(key_id: int, limits: Limits, slices: Slices) -> Limits:
    """What this process may let in of them."""
    if slices.count == 1:
        return limits
    return replace(
        limits,
        rpm=slices.part(key_id, "requests", limits.rpm),
        tpm=slices.part(key_id, "tokens", limits.tpm),
        concurrency=slices.part(key_id, "running", limits.concurrency),
    )


class _Check:
    """Which limit it is that refuses, in words: the way that costs more than a comparison."""

    def __init__(self, limited: _Limited, now: float, steady: float, on_lack: Callable[[], None]) -> None:
        self._name = limited.key.name
        self._limits = limited.limits
        self._parts = limited.parts
        self._meter = limited.meter
        self._now, self._steady = now, steady
        self._on_lack = on_lack

    def all(self, tokens: int) -> None:
        """Raises RateLimited or BudgetExceeded."""
        limits, spending = self._limits, self._meter.spending
        spending.set_to(self._now)
        of_all = ("in all", limits.total_usd, spending.total, None)
        of_week = ("a week", limits.weekly_usd, spending.week_nano, spending.week_at + 7 * DAY_SECONDS)
        of_day = ("a day", limits.daily_usd, spending.day_nano, spending.day_ends_at)
        for budget in (of_all, of_week, of_day):
            self._budget(*budget)
        for budget in (of_all, of_week, of_day):
            self._what_runs(*budget)
        self._window()
        parts = self._parts
        if limits.concurrency is not None and self._meter.running >= (parts.concurrency or 0):
            self._lacks("running", limits.concurrency, parts.concurrency)
            words = f"{limits.concurrency} requests at one time"
            hint = self._hint(words, _MOMENT_SECONDS)
            raise RateLimited(hint, wait_seconds=_MOMENT_SECONDS, is_by_time=False)
        self._rate("requests", limits.rpm, parts.rpm, self._meter.requests, 1)
        self._rate("tokens", limits.tpm, parts.tpm, self._meter.tokens, tokens)

    def _rate(
        self,
        what: Literal["requests", "tokens"],
        limit: int | None,
        part: int | None,
        rate: Rate,
        amount: int,
    ) -> None:
        if limit is None or part is None:
            return
        wait = rate.wait(amount, part, self._steady) if part else _MOMENT_SECONDS
        if wait <= 0:
            return
        self._lacks(what, limit, part)
        raise RateLimited(
            self._hint(f"{limit} {what} a minute", wait),
            wait_seconds=wait,
            what=what,
            limit=limit,
            left=rate.left(part, self._steady),
            full_at=self._now + max(0.0, rate.full_at - self._steady),
        )

    def _lacks(self, what: What, limit: int, part: int | None) -> None:
        if part != limit:
            self._meter.appetites[what].lacked += max(1, self._meter.mean_tokens) if what == "tokens" else 1
            self._on_lack()

    def _window(self) -> None:
        limit, spending = self._limits.window_tokens, self._meter.spending
        used = spending.tokens_of_window(self._now)
        if limit is None or used + self._meter.reserved_tokens < limit:
            return
        # Where only what runs fills it up, that may use less than was guessed.
        wait = spending.window_at + WINDOW_SECONDS - self._now if used >= limit else _MOMENT_SECONDS
        raise RateLimited(self._hint(f"{limit} tokens in five hours", wait), wait_seconds=wait)

    def _budget(self, of: str, limit: float | None, used: int, returns_at: float | None) -> None:
        if limit is None or used < nano_of(limit):
            return
        back = "It does not return by itself" if returns_at is None else f"It returns at {_utc(returns_at)}"
        raise BudgetExceeded(
            f"Budget exceeded: the client key {self._name} has used {usd(used / NANO)} of {usd(limit)} {of}",
            hint=f"{back}; the gateway's owner may raise it: `headgate key set {self._name} --help`.",
        )

    def _what_runs(self, of: str, limit: float | None, used: int, _: float | None) -> None:
        """A budget that is not used up, but may be when what runs has ended: a 402 would be for good."""
        if limit is not None and used + self._meter.reserved >= nano_of(limit):
            words = f"{usd(limit)} {of}, and its running requests may need what is left of that"
            hint = self._hint(words, _MOMENT_SECONDS)
            raise RateLimited(hint, wait_seconds=_MOMENT_SECONDS, is_by_time=False)

    def _hint(self, words: str, wait: float) -> str:
        return f"The client key {self._name} may have {words}. Try again in {max(1, round(wait + 0.5))} s."


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
