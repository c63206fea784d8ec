"""The provider's side of one account: its windows, its prompt cache, what its answers say.

Assumed: a window of five hours opens with the first request after the last one ended and holds a number of
units that grows with the plan; a window of seven days holds eight times as much and has begun at some moment
of the week before, with some of it used; a request is refused (429, with the reset) while one of them is
full, and is counted when its answer ends. A cached token costs a tenth, one that is written to the cache
1.25, one of the answer 5. The cache of a prompt lives five minutes after its last use, per account.
"""

from dataclasses import dataclass, field
from random import Random

from bench.strategies.traffic import Turn

FIVE_HOURS, SEVEN_DAYS = 5 * 3600.0, 7 * 86_400.0
_UNITS_PER_TIER = 2_200_000.0
_WEEK_IN_WINDOWS = 8.0
_CACHE_SECONDS = 300.0

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Quota:
    name: str
    length: float
    limit: float
    used: float = 0.0
    resets_at: float = 0.0
    expired: float = 0.0
    """Units that were left when a window ended, since the beginning."""
    ended: int = 0
    """Windows that ended."""

    def roll(self, now: float) -> None:
        """The window that has ended is gone; the next one opens with the next request."""
        if self.resets_at and now >= self.resets_at:
            self.expired += max(self.limit - self.used, 0.0)
            self.ended += 1
            self.used, self.resets_at = 0.0, 0.0

    def open(self, now: float) -> None:
        if not self.resets_at:
            self.resets_at = now + self.length


@dataclass(slots=True)
class Subscription:
    tier: int
    quotas: tuple[Quota, Quota]
    spent: float = 0.0
    cached: dict[str, float] = field(default_factory=dict)
    """Conversation -> when it was last used here."""

    @classmethod
    def of(cls, tier: int, random: Random, now: float) -> "Subscription":
        limit = tier * _UNITS_PER_TIER
        passed = random.random()
        week = Quota("7d", SEVEN_DAYS, limit * _WEEK_IN_WINDOWS)
        week.used = week.limit * min(passed * random.uniform(0.5, 1.15), 0.95)
        week.resets_at = now + (1 - passed) * SEVEN_DAYS
        return cls(tier, (Quota("5h", FIVE_HOURS, limit), week))

    def admit(self, now: float) -> bool:
        """Whether the request is served. It opens the windows that are not open."""
        for quota in self.quotas:
            quota.roll(now)
            quota.open(now)
        return all(quota.used < quota.limit for quota in self.quotas)

    def read_cache(self, key: str, turn: Turn, now: float) -> bool:
        """Whether the prompt is in this account's cache. It is afterwards."""
        last = self.cached.get(key)
        self.cached[key] = now
        return last is not None and now - last < _CACHE_SECONDS and not turn.is_compacted

    def spend(self, units: float, now: float) -> None:
        self.spent += units
        for quota in self.quotas:
            quota.roll(now)
            if quota.resets_at:
                quota.used += units

    def headers(self, now: float) -> Headers:
        """As the provider's answers carry them; the fullest window speaks."""
        lines: Headers = []
        for quota in self.quotas:
            share = min(quota.used / quota.limit, 1.0)
            stem = f"anthropic-ratelimit-unified-{quota.name}-"
            for word, value in (
                ("status", _status(share)),
                ("reset", f"{quota.resets_at:.0f}"),
                ("utilization", f"{share:.4f}"),
            ):
                lines.append(((stem + word).encode(), value.encode()))
        full = [quota for quota in self.quotas if quota.used >= quota.limit]
        speaking = max(full or self.quotas, key=lambda quota: quota.resets_at if full else quota.used)
        status = _status(max(quota.used / quota.limit for quota in self.quotas))
        return [
            (b"anthropic-ratelimit-unified-status", status.encode()),
            (b"anthropic-ratelimit-unified-reset", f"{speaking.resets_at:.0f}".encode()),
            *lines,
        ]


def units(turn: Turn, *, is_cached: bool, new_tokens: int) -> float:
    """What a turn costs. `new_tokens` of the prompt were not there in the turn before."""
    if not is_cached:
        return 1.25 * turn.prompt_tokens + 5.0 * turn.answer_tokens
    return 0.1 * (turn.prompt_tokens - new_tokens) + 1.25 * new_tokens + 5.0 * turn.answer_tokens


def _status(share: float) -> str:
    if share >= 1:
        return "rejected"
    return "allowed_warning" if share >= 0.9 else "allowed"
