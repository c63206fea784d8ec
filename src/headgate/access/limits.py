"""Limits of a client key, and the arithmetic behind them: pure, a moment in, a verdict out.

Rates by the generic cell rate algorithm (ITU-T I.371, annex A): a key may use its minute at once, and then as
fast as that comes back. Budgets by UTC's days and by weeks that begin on Monday.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400
WINDOW_SECONDS = 5 * 3600
_DAYS_FROM_MONDAY = 3
"""The first day of Unix time was a Thursday."""
ROUNDING_SECONDS = 1e-4
"""What Unix seconds lose as floats: who asks just when it is time must not be refused by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: no such limit."""

    rpm: int | None = None
    """Requests a minute."""
    tpm: int | None = None
    """Tokens a minute, as `tokens_of` counts them."""
    concurrency: int | None = None
    window_tokens: int | None = None
    """Tokens in five hours, which begin with the first request after the last ones ended."""
    daily_usd: float | None = None
    weekly_usd: float | None = None
    total_usd: float | None = None
    queue_weight: int | None = None
    """No limit: how many of its waiting requests go at a time when it is its turn (`queue.py`); None: one."""

    @property
    def limits_nothing(self) -> bool:
        return replace(self, queue_weight=None) == NO_LIMITS

    def or_else(self, defaults: "Limits") -> "Limits":
        """What is not said here is as it is there."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return Limits(
            **{name: getattr(defaults, name) if value is None else value for name, value in own.items()}
        )

    def to_json(self) -> dict[str, Any]:
        """Those that are set."""
        return {
            one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not None
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Limits":
        """Names of another version are passed over."""
        if not stored:
            return NO_LIMITS
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})


NO_LIMITS = Limits()


def day_of(now: float) -> int:
    """Days since 1970 began, UTC."""
    return int(now // DAY_SECONDS)


def week_begin(day: int) -> int:
    """The Monday of this day's week, as a day."""
    return day - (day + _DAYS_FROM_MONDAY) % 7


@dataclass(slots=True)
class Rate:
    """So many a minute, by a clock that nobody sets. `full_at`: when all that was used has come back."""

    full_at: float = 0.0

    def wait(self, amount: float, per_minute: int, now: float) -> float:
        """Seconds until so much may be used; 0: now. More than a minute's worth waits for all of it."""
        amount = min(amount, per_minute)
        full_at = max(self.full_at, now) + amount * MINUTE_SECONDS / per_minute
        wait = full_at - MINUTE_SECONDS - now
        return wait if wait > ROUNDING_SECONDS else 0.0

    def use(self, amount: float, per_minute: int, now: float) -> None:
        self.use_seconds(amount * MINUTE_SECONDS / per_minute, now)

    def use_seconds(self, seconds: float, now: float) -> None:
        """What comes back in so many seconds."""
        self.full_at = (self.full_at if self.full_at > now else now) + seconds

    def give_back(self, amount: float, per_minute: int) -> None:
        """Below zero: it was more than had been taken."""
        self.full_at -= amount * MINUTE_SECONDS / per_minute

    def resize(self, before: int | None, after: int | None, now: float) -> None:
        """It is `after` a minute from now on. What comes on top is used up; what goes takes its share of what
        was used along."""
        if before is None or after is None or after <= before:
            return
        used = max(0.0, self.full_at - now) * before + (after - before) * MINUTE_SECONDS
        self.full_at = now + used / after

    def left(self, per_minute: int, now: float) -> int:
        used = max(0.0, self.full_at - now) * per_minute / MINUTE_SECONDS
        return max(0, int(per_minute - used + 1e-6))


@dataclass(slots=True)
class Spending:
    """What a key has used: money in nano-USD in the day and the week that run (UTC) and in all, and the
    tokens of its five hours, which begin with a first request."""

    day_at: float = 0.0
    """When the day began, as Unix seconds, like all moments here."""
    day_nano: int = 0
    week_at: float = 0.0
    week_nano: int = 0
    total: int = 0
    window_at: float = 0.0
    window_tokens: int = 0
    day_ends_at: float = 0.0

    def add(self, nano_usd: int, tokens: int, at: float) -> None:
        """`at`: when the request began, Unix seconds; its day may be over by now."""
        if at >= self.day_ends_at:
            self.roll(at)
        if at >= self.day_at:
            self.day_nano += nano_usd
        if at >= self.week_at:
            self.week_nano += nano_usd
        self.total += nano_usd
        if at >= self.window_at + WINDOW_SECONDS:
            self.window_at, self.window_tokens = at, 0
        self.window_tokens += tokens

    def roll(self, now: float) -> None:
        """A new day, a new week, if it is time."""
        if now < self.day_ends_at:
            return
        day = day_of(now)
        self.day_at, self.day_nano = float(day * DAY_SECONDS), 0
        self.day_ends_at = self.day_at + DAY_SECONDS
        week_at = float(week_begin(day) * DAY_SECONDS)
        if week_at > self.week_at:
            self.week_at, self.week_nano = week_at, 0

    def set_to(self, now: float) -> None:
        """It is this moment, maybe by a clock that was set back: what was used in a day to come counts in
        the one that runs, or the budgets of days would be none until then."""
        self.roll(now)
        if now < self.day_at:
            day = day_of(now)
            self.day_at, self.day_ends_at = float(day * DAY_SECONDS), float((day + 1) * DAY_SECONDS)
            self.week_at = min(self.week_at, float(week_begin(day) * DAY_SECONDS))

    def tokens_of_window(self, now: float) -> int:
        """Of the five hours that run; those that are over count no more. Five hours that begin later begin
        now: the clock was set back."""
        if self.window_at > now:
            self.window_at = now
        return self.window_tokens if now < self.window_at + WINDOW_SECONDS else 0

    def join(self, other: "Spending") -> None:
        """What the database knows: never less than was known here, for some of it may not be there yet."""
        self.roll(other.day_at)
        if other.day_at == self.day_at:
            self.day_nano = max(self.day_nano, other.day_nano)
        if other.week_at == self.week_at:
            self.week_nano = max(self.week_nano, other.week_nano)
        self.total = max(self.total, other.total)
        if other.window_at >= self.window_at + WINDOW_SECONDS:
            self.window_at, self.window_tokens = other.window_at, other.window_tokens
        elif other.window_at + WINDOW_SECONDS > self.window_at:
            self.window_tokens = max(self.window_tokens, other.window_tokens)
