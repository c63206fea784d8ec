"""Which part of a key's limit this process may use, where several gateways share a database: pure arithmetic.

A limit is divided into whole parts. Each process holds one and never more than nobody else holds: it gives
away by its own row in the database, and takes what is free there. Before anybody asks for more than the
others, nothing is written and all have equal parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

What = Literal["requests", "tokens", "running"]
"""A minute, a minute, and at one time."""

Pot = tuple[int, What]
"""One limit of one key, by the key's id."""

_KEPT_BY_THE_IDLE = 8
"""All of them together keep less than this fraction: enough for a first request without asking."""
_STEPS = 16
"""Of a limit, in which more is wanted or less: each change is a transaction."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A process's row: what it holds of a pot and what it would like to."""

    granted: int
    whole: int
    """The limit that this was cut from."""
    wanted: int

    def of(self, limit: int) -> int:
        """What is held of a limit that may have changed since."""
        return self.granted if limit == self.whole else self.granted * limit // self.whole

    def cut_from(self, limit: int) -> "Claim":
        """The same of another limit."""
        if limit == self.whole:
            return self
        return Claim(self.of(limit), limit, _scaled_up(self.wanted, limit, self.whole))


@dataclass(frozen=True, slots=True)
class Demand:
    limit: int
    wanted: int
    in_use: int = 0
    """What cannot be given away now."""
    is_settled: bool = True
    """The limit has been this one for so long that all gateways know it."""

    def cut_from(self, whole: int) -> "Demand":
        """The same, told in parts of what was the limit."""
        return Demand(
            whole, _scaled_up(self.wanted, whole, self.limit), _scaled_up(self.in_use, whole, self.limit)
        )


Claims = Mapping[str, Claim]
"""By the holder's name."""


@dataclass(frozen=True, slots=True)
class Slices:
    """What this process holds."""

    rank: int = 0
    count: int = 1
    """Of the gateways that live."""
    held: Mapping[Pot, Claim] = field(default_factory=dict)

    def part(self, key_id: int, what: What, limit: int | None) -> int | None:
        if limit is None or self.count == 1 or not key_id:
            return limit
        claim = self.held.get((key_id, what))
        return equal_part(limit, self.rank, self.count) if claim is None else claim.of(limit)

    def without_claims(self) -> "Slices":
        """Where the database was away for too long: if all do so, no limit is passed."""
        return Slices(self.rank, self.count)


def equal_part(limit: int, rank: int, count: int) -> int:
    """All of them together are the limit."""
    return limit // count + (rank < limit % count)


def in_steps(wanted: float, limit: int) -> int:
    """A little more than is wanted, so that small changes are none."""
    step = max(1, limit // _STEPS)
    return min(limit, -int(-wanted // step) * step)


def _scaled_up(amount: int, limit: int, whole: int) -> int:
    return min(limit, -(-amount * limit // whole))


def share_out(limit: int, wanted: Sequence[int], turn: int = 0) -> list[int]:
    """Fairly: nobody has more than another who would like more. What nobody wants is divided equally. Where
    there is too little for one each, `turn` says whose it is."""
    count = len(wanted)
    if 0 < limit < sum(map(bool, wanted)):
        asking = [index for index, one in enumerate(wanted) if one]
        first = turn * limit % len(asking)
        having = {asking[(first + n) % len(asking)] for n in range(limit)}
        return [int(index in having) for index in range(count)]
    least = limit // (_KEPT_BY_THE_IDLE * count) or int(limit >= 2 * count)
    asked = [max(one, least) for one in wanted]
    parts, left = [0] * count, limit
    for place, index in enumerate(sorted(range(count), key=asked.__getitem__)):
        parts[index] = min(asked[index], left // (count - place))
        left -= parts[index]
    return [part + equal_part(left, index, count) for index, part in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class Settled:
    rows: dict[str, Claim]
    """Those that change, by holder."""
    is_news: bool
    """Whether the others should look: more is free or wanted. Another limit they know by themselves."""
    lets_in: Claim | None = None
    """By what we let in from now on: less than our row says while more than our part still runs, or who comes
    next would keep it from the others for ever. None: an equal part, of which no row says anything."""


def settle(demand: Demand, own: str, holders: Sequence[str], claims: Claims, turn: int = 0) -> Settled:
    """One pot, by one gateway: it changes what it holds itself. But the first one writes down everybody's
    equal part, and who has known another limit for long what everybody holds of that: all are cut from one.

    `holders`: who lives, in order; `claims`: theirs; `turn`: see `share_out`, the same for all."""
    whole = next((claim.whole for claim in claims.values()), demand.limit)
    if whole != demand.limit and not demand.is_settled:
        demand = demand.cut_from(whole)
    limit, rank, count = demand.limit, holders.index(own), len(holders)
    if not claims and demand.wanted <= equal_part(limit, rank, count):
        return Settled({}, is_news=False)
    if claims:  # who came later has none and takes what is free
        none = Claim(0, limit, 0)
        before = {one: claims[one].cut_from(limit) if one in claims else none for one in holders}
    else:
        before = {one: Claim(equal_part(limit, place, count), limit, 0) for place, one in enumerate(holders)}
    held = {one: claim.granted for one, claim in before.items()}
    wanted = [demand.wanted if one == own else claim.wanted for one, claim in before.items()]
    target = share_out(limit, wanted, turn)[rank]
    if target <= held[own]:
        part = max(target, min(demand.in_use, held[own]))
    else:
        part = min(target, held[own] + max(0, limit - sum(held.values())))
    after = {**before, own: Claim(part, limit, demand.wanted)}
    rows = {one: claim for one, claim in after.items() if claim != claims.get(one)}
    return Settled(
        rows,
        is_news=part != held[own] or demand.wanted != before[own].wanted,
        lets_in=Claim(min(part, target), limit, demand.wanted),
    )
