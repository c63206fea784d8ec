"""One day by one strategy: the real pool on a clock that jumps from event to event."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from bench.strategies.provider import Subscription, units
from bench.strategies.traffic import DAY_SECONDS, Conversation, conversations
from headgate.pool.accounts import Account, Credential, Kind
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.pool.wanted import Wanted
from headgate.providers.anthropic import AnthropicProvider

TIERS = (1, 1, 1, 5, 5, 5, 20, 20)
MIDNIGHT = 1_800_000_000.0
CONVERSATIONS = 1600
_MODEL = "claude-sonnet-4-5"


@dataclass(slots=True)
class Outcome:
    requests: int = 0
    refused: int = 0
    """No account could serve."""
    hits: int = 0
    """Prompts that were in the cache of the account that served them."""
    moves: int = 0
    """Conversations that went on elsewhere."""
    unused_hours: float = 0.0
    """Part of the quota of the windows of five hours that ended this day, which nobody used."""
    unused_weeks: float = 0.0
    """The same of the windows of seven days."""


class _Clock:
    def __init__(self) -> None:
        self.at = MIDNIGHT

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Day:
    def __init__(
        self, strategy: str, seed: int, *, count: int | None = None, tiers: Sequence[int] = TIERS
    ) -> None:
        self.outcome = Outcome()
        self._clock = _Clock()
        self._provider = AnthropicProvider()
        self._pool = Pool(self._clock, {"anthropic": self._provider}, strategy=strategy, random=Random(seed))
        self._pool.replace(_account(number, tier) for number, tier in enumerate(tiers, start=1))
        # The same conversations and the same weeks behind the accounts for every strategy.
        random = Random(seed)
        self._subscriptions = {
            number: Subscription.of(tier, random, MIDNIGHT) for number, tier in enumerate(tiers, start=1)
        }
        self._conversations = conversations(random, CONVERSATIONS if count is None else count)
        self._served_by: dict[str, int] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def run(self) -> Outcome:
        for talk in self._conversations:
            self._at(MIDNIGHT + talk.begins_at, partial(self._take_turn, talk, 0))
        while self._events:
            at, _, happen = heapq.heappop(self._events)
            if at >= MIDNIGHT + DAY_SECONDS:
                break
            self._clock.at = at
            happen()
        self._close()
        return self.outcome

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, happen))

    def _take_turn(self, talk: Conversation, number: int) -> None:
        now, turn = self._clock.at, talk.turns[number]
        self.outcome.requests += 1
        living = self._serve(talk.key)
        if living is None:
            self.outcome.refused += 1
            self._at(now + turn.seconds, partial(self._go_on, talk, number))
            return
        subscription = self._subscriptions[living.id]
        before = self._served_by.get(talk.key)
        self._served_by[talk.key] = living.id
        self.outcome.moves += before is not None and before != living.id
        is_cached = subscription.read_cache(talk.key, turn, now)
        self.outcome.hits += is_cached
        new_tokens = turn.prompt_tokens - talk.turns[number - 1].prompt_tokens if number else 0
        cost = units(turn, is_cached=is_cached, new_tokens=new_tokens)

        def end() -> None:
            subscription.spend(cost, self._clock.at)
            living.in_flight -= 1
            self._go_on(talk, number)

        self._at(now + turn.seconds, end)

    def _go_on(self, talk: Conversation, number: int) -> None:
        if number + 1 < len(talk.turns):
            after = talk.turns[number + 1].after_seconds
            self._at(self._clock.at + after, partial(self._take_turn, talk, number + 1))

    def _serve(self, key: str) -> LivingAccount | None:
        """As the attempt loop does: the next account after a refusal, until one serves."""
        now = self._clock.at
        tried: list[int] = []
        wanted = Wanted("anthropic", _MODEL, key)
        while (living := self._pool.pick(wanted, tried)) is not None:
            tried.append(living.id)
            living.request_count += 1
            living.last_used_at = now
            subscription = self._subscriptions[living.id]
            is_served = subscription.admit(now)
            headers = subscription.headers(now)
            if is_served:
                living.in_flight += 1
                living.note_headers(headers, dict(headers), now)
                living.health.succeeded(_MODEL, now)
                return living
            limits = self._provider.read_limits(headers, now)
            living.note_limits(limits)
            living.health.apply(Fault.LIMITED, until=limits.reset_at, now=now)
        return None

    def _close(self) -> None:
        ended = [0.0, 0.0]
        offered = [0.0, 0.0]
        for subscription in self._subscriptions.values():
            for at, quota in enumerate(subscription.quotas):
                quota.roll(MIDNIGHT + DAY_SECONDS)
                ended[at] += quota.expired
                offered[at] += quota.limit * quota.ended
        unused = [lost / whole if whole else 0.0 for lost, whole in zip(ended, offered, strict=True)]
        self.outcome.unused_hours, self.outcome.unused_weeks = unused


def _account(number: int, tier: int) -> Account:
    return Account(
        number, f"account-{number}", "anthropic", Kind.API_KEY, Credential(f"sk-{number}"), tier=tier
    )


def outcome_of(strategy: str, seed: int) -> Outcome:
    return Day(strategy, seed).run()
