"""The accounts of one provider, in the order in which they are considered."""

from collections.abc import Collection, Iterable
from itertools import groupby

from headgate.pool.faults import PASSING
from headgate.pool.living import LivingAccount
from headgate.pool.policy import Turn
from headgate.pool.sessions import Sessions


class Group:
    """Living accounts in tiers of priority, with the conversations and the policy's turn on them."""

    def __init__(self, session_seconds: float) -> None:
        self.sessions = Sessions(session_seconds)
        self.turn = Turn()
        self.accounts: list[LivingAccount] = []
        """Best priority first, then by name."""
        self.tiers: list[list[LivingAccount]] = []
        self.best_priority = 0

    def arrange(self, accounts: Iterable[LivingAccount]) -> None:
        """These are the accounts from now on."""
        self.accounts = sorted(accounts, key=lambda one: (one.account.priority, one.account.name))
        self.tiers = [list(tier) for _, tier in groupby(self.accounts, key=_priority)]
        self.best_priority = self.accounts[0].account.priority if self.accounts else 0
        self.turn = Turn()

    def candidates(
        self, model: str | None, tried: Collection[int], now: float, among: Collection[int] | None = None
    ) -> list[LivingAccount]:
        """Those of the best priority that can serve; empty when nobody can. `among`: ids; None: all."""
        for tier in self.tiers:
            able = [one for one in tier if one.can_serve(model, now) and one.id not in tried]
            if among is not None:
                able = [one for one in able if one.id in among]
            if able:
                return able
        return []

    def last_resort(
        self, model: str | None, tried: Collection[int], now: float, among: Collection[int] | None = None
    ) -> LivingAccount | None:
        """The account that rests for the provider's trouble alone and returns first.

        Its rest is a preference for others, not a ban: with nobody else left, asking it is better
        than an error of our own.
        """
        found, found_until = None, 0.0
        for one in self.accounts:
            if one.id in tried or not one.is_open or one.is_full or not one.serves(model):
                continue
            if among is not None and one.id not in among:
                continue
            rest = one.health.open_rest(model, now)
            if rest is not None and rest.fault in PASSING and (found is None or rest.until < found_until):
                found, found_until = one, rest.until
        return found

    def sole(self, model: str | None, among: Collection[int] | None = None) -> LivingAccount | None:
        """The one that serves while rotation is off: the first by priority and name."""
        able = (one for one in self.accounts if one.is_open and one.serves(model))
        return next((one for one in able if among is None or one.id in among), None)

    def count_sessions(self, candidates: Iterable[LivingAccount], now: float) -> None:
        """Bring `session_count` up to date, for a policy that compares them."""
        self.sessions.expire(now)
        for one in candidates:
            one.session_count = self.sessions.count(one.id)

    def note_quotas(self, candidates: Iterable[LivingAccount], model: str | None, now: float) -> None:
        """Bring `quotas` up to date, for a policy that reads them."""
        for one in candidates:
            one.note_quotas(model, now)

    def level(self, newcomer: LivingAccount) -> None:
        """Let a newcomer start with as much behind it as the least used of the others has."""
        loads = [(one.request_count + one.head_start) / (one.share or 1) for one in self.accounts]
        newcomer.head_start = min(loads, default=0.0) * newcomer.share


def _priority(one: LivingAccount) -> int:
    return one.account.priority
