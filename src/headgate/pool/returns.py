"""When accounts that cannot serve now can serve again, and whether to wait for one makes sense."""

import math
from collections.abc import Iterable

from headgate.pool.faults import PASSING
from headgate.pool.living import LivingAccount

_PROBE_SECONDS = 1.0
"""The least that a client waits for an account: a probe that is under way takes about as long."""


def earliest_return(accounts: Iterable[LivingAccount], model: str | None, now: float) -> float | None:
    """Unix seconds; see `Pool.earliest_return`."""
    rests = [one.health.open_rest(model, now) for one in accounts]
    # One that is being probed has ended by its own time: a client comes back in a moment.
    returns = [
        now if rest is None else max(rest.until, now + _PROBE_SECONDS)
        for rest in rests
        if rest is None or rest.is_limit
    ]
    return min((moment for moment in returns if not math.isinf(moment)), default=None)


def opens_at(accounts: list[LivingAccount], model: str | None, now: float) -> float | None:
    """Unix seconds; see `Pool.opens_at`."""
    if any(is_last_resort(one, model, now) for one in accounts):
        return now
    return earliest_return(accounts, model, now)


def is_busy(accounts: Iterable[LivingAccount], model: str | None, now: float) -> bool:
    """Whether one of them lacks nothing but a place for one more request."""
    return any(
        one.is_full and (one.health.unavailable_until(model, now) is None or is_last_resort(one, model, now))
        for one in accounts
    )


def is_taken(accounts: Iterable[LivingAccount], now: float) -> bool:
    """Whether none of them can serve any request now."""
    for one in accounts:
        if not one.is_open or one.is_full:
            continue
        rest = one.health.open_rest(None, now)
        if rest is None or rest.fault in PASSING:
            return False
    return True


def is_last_resort(one: LivingAccount, model: str | None, now: float) -> bool:
    """Whether it rests for the provider's trouble alone: with nobody else left it is asked all the same."""
    rest = one.health.open_rest(model, now)
    return rest is not None and rest.fault in PASSING


def limited(accounts: Iterable[LivingAccount], model: str | None, now: float) -> set[int]:
    """Ids of those that rest for a limit."""
    rests = {one.id: one.health.open_rest(model, now) for one in accounts}
    return {account_id for account_id, rest in rests.items() if rest is not None and rest.is_limit}
