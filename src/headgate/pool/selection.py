"""The strategies: which of the accounts that can serve takes the next request.

Pure: a policy sees only accounts that can serve and share the best priority, gets the state that
its last choice left, and answers with a choice and a new state. It changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from headgate.errors import SettingsError
from headgate.pool.headroom import Headroom
from headgate.pool.policy import C, Candidate, SelectionPolicy, Turn


class StickySessions:
    """A conversation stays where its cached prompt is; a new one goes where least is going on."""

    name = "session"
    keeps_sessions = True
    renews_sessions = False
    reads_quotas = False

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        return (current or min(candidates, key=_busyness)), turn


class RoundRobin:
    """Everybody in turn, in the order of their ids."""

    name = "round-robin"
    keeps_sessions = False
    renews_sessions = False
    reads_quotas = False

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        later = [one for one in candidates if one.id > turn.last_id]
        choice = min(later or candidates, key=_id)
        return choice, replace(turn, last_id=choice.id)


class Weighted:
    """In proportion to the shares, and evenly mixed: 5:1:1 gives a a b a c a a, not five in a row.

    Smooth weighted round robin: each gains its share, the richest serves and pays what all gained.
    """

    name = "weighted"
    keeps_sessions = False
    renews_sessions = False
    reads_quotas = False

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        # A share of nought means "only when nobody else can".
        willing = [one for one in candidates if one.share > 0] or candidates
        owed = dict(turn.credits)
        for one in willing:
            owed[one.id] = owed.get(one.id, 0) + one.share
        choice = max(willing, key=lambda one: (owed[one.id], -one.id))
        owed[choice.id] -= sum(one.share for one in willing)
        return choice, replace(turn, credits=owed)


class LeastRequests:
    """Fewest requests at this moment, then fewest served for its share."""

    name = "least-requests"
    keeps_sessions = False
    renews_sessions = False
    reads_quotas = False

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        return min(candidates, key=_load), turn


class FillFirst:
    """One account until it is limited, then the next in the order of their ids. A conversation that had to
    move on stays there."""

    name = "fill-first"
    keeps_sessions = True
    renews_sessions = False
    reads_quotas = False

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        return (current or min(candidates, key=_place)), turn


def _place(one: Candidate) -> tuple[bool, int]:
    return one.share == 0, one.id


def _id(one: Candidate) -> int:
    return one.id


def _load(one: Candidate) -> tuple[bool, int, float, int]:
    served = (one.request_count + one.head_start) / (one.share or 1)
    return one.share == 0, one.in_flight, served, one.id


def _busyness(one: Candidate) -> tuple[bool, float, float, int]:
    share = one.share or 1
    served = (one.request_count + one.head_start) / share
    return one.share == 0, (one.session_count + one.in_flight) / share, served, one.id


POLICIES: tuple[SelectionPolicy, ...] = (
    StickySessions(),
    RoundRobin(),
    Weighted(),
    LeastRequests(),
    FillFirst(),
    Headroom(),
)
"""The first is the default."""

STRATEGIES = tuple(policy.name for policy in POLICIES)


def policy_named(name: str) -> SelectionPolicy:
    """Case, and `_` for `-`, do not matter. `SettingsError` for a name that no policy has."""
    wanted = name.strip().lower().replace("_", "-")
    for policy in POLICIES:
        if policy.name == wanted:
            return policy
    raise SettingsError(f"Invalid strategy: {name}", hint=f"Valid strategies: {', '.join(STRATEGIES)}.")
