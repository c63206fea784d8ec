"""The strategy `headroom`: new conversations go where the most quota would expire unused."""

from collections.abc import Sequence
from math import sqrt

from headgate.pool.policy import C, Candidate, Turn

_SOONEST_SECONDS = 60.0
"""A reset nearer than this counts as this near: what is left cannot be spent in an instant."""

_UNKNOWN_SECONDS = 5 * 3600.0
"""The window that an account is taken to have while nothing is known of it: room, but not more than an
untouched account that stated its windows."""


class Headroom:
    """A running conversation stays for its prompt cache; a new one goes where the most room is.

    Room is what may be spent per second until the reset without the window filling: the unused part over the
    time left, times the account's share. Two thirds used with ten minutes to go is more room than one third
    with four hours. Each conversation that is on an account already claims an equal part of it.
    """

    name = "headroom"
    keeps_sessions = True
    renews_sessions = True
    reads_quotas = True

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        return (current or max(candidates, key=_rank)), turn


def _rank(one: Candidate) -> tuple[bool, float, int, int]:
    claims = one.session_count + one.in_flight + 1
    return one.share > 0, _room(one) * (one.share or 1) / claims, -claims, -one.id


def _room(one: Candidate) -> float:
    """Of all windows together, in parts of the shortest per second. The shortest weighs most, since it
    decides whom the next hours can use; the least room alone decides too little: an account whose week is
    nearly spent has its hours all the same, and they expire."""
    if not one.quotas:
        return 1 / _UNKNOWN_SECONDS
    shortest = min(quota.seconds for quota in one.quotas)
    if any(quota.used >= 1 for quota in one.quotas):
        return 0.0
    return sum(
        (1 - quota.used) / max(quota.seconds_left, _SOONEST_SECONDS) * sqrt(quota.seconds / shortest)
        for quota in one.quotas
    )
