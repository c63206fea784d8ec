"""How gateways on one database change what each holds of a limit: one round of one gateway, pure.

**The invariant.** For each limit, what a gateway lets in or has running is at no moment more than what the
database says that it may use: its row, or without one its equal part among those that it is on record to know
of. And nobody takes more than what that leaves of the limit. So all together never let in more than the
limit; one that was lowered holds for what is let in from then on, what runs ends by itself.

Between what a gateway tells of itself and the moment when it goes by the answer, it goes on by its older
part; and the answer may be lost, though the transaction was not. Hence **two steps**: an answer may at once
say less to the gate, but row and record go down only in a later round, to which the gate says that it lets in
by less, and how much runs. What grows does so in the other order: first the row, then the gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headgate.access.slices import Claim, Claims, Demand, Living, Pot, Slices, equal_part, share_out


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says, with us among it."""

    lives: Mapping[str, Living]
    """By each that lives, those that it is on record to know of; none: it joins."""
    claims: Mapping[Pot, Claims]

    def others_hold(self, own: str, pot: Pot, limit: int) -> int:
        claims = self.claims.get(pot, {})
        return sum(
            claims[one].granted if one in claims else _unwritten(limit, one, known)
            for one, known in self.lives.items()
            if one != own
        )


def _unwritten(limit: int, own: str, known: Living) -> int:
    return equal_part(limit, known.index(own), len(known)) if known else 0


@dataclass(frozen=True, slots=True)
class Settled:
    """Of one pot."""

    lets_in: Claim | None = None
    """By what the gate lets in from now on. None: an equal part, of which no row speaks."""
    row: Claim | None = None
    """Ours, if it changes."""
    is_news: bool = False
    """Whether the others should look: more is free or wanted."""
    gives_more: bool = False
    """When the gate goes by it, the next round can give something away."""


@dataclass(frozen=True, slots=True)
class Round:
    slices: Slices
    known: Living
    """Whom we are on record to know of from now on."""
    rows: Mapping[Pot, Claim]
    """Ours that change."""
    is_news: bool
    goes_on: bool
    """There is more to say as soon as the gate goes by `slices`: the others wait for it."""


def play_round(
    own: str, known: Known, demands: Mapping[Pot, Demand], applied: Slices, turn: int = 0
) -> Round:
    """`demands` and `applied`: of the gate, at one moment before; `turn`: see `share_out`, one for all."""
    living = tuple(sorted(known.lives))
    before = known.lives[own]
    if len(living) == 1:
        return Round(Slices(living=living), living, {}, is_news=False, goes_on=False)
    is_new = not before or not applied.living
    # What was let in by a greater part gets a row first: an equal part says nothing of it.
    is_overrun = any(one.in_use > one.part for one in demands.values() if not one.is_told)
    now = () if not applied.living else before if is_overrun else applied.living
    known = replace(known, lives={**known.lives, own: now})
    all_know = all(one == living for one in known.lives.values())
    spread = None if all_know else _spread(applied, len(living), is_new=is_new)
    equal = Slices(living.index(own), len(living), living=living, spread=spread)
    settled: dict[Pot, Settled] = {}
    for pot in {**known.claims, **demands}:
        demand = demands.get(pot) or _silent(pot, known.claims[pot], applied)
        # Parts of a minute do not go round: they come used.
        whose = turn if pot[1] == "running" else 0
        settled[pot] = settle(pot, demand, own, known, equal, whose)
    held = {pot: one.lets_in for pot, one in settled.items() if one.lets_in is not None}
    return Round(
        replace(equal, held=held),
        now,
        {pot: one.row for pot, one in settled.items() if one.row is not None},
        is_news=now != before or any(one.is_news for one in settled.values()),
        goes_on=now != living or any(one.gives_more for one in settled.values()),
    )


def _spread(applied: Slices, count: int, *, is_new: bool) -> int:
    """Among so many that it is no more than before, and no more than an equal part now."""
    if is_new or applied.spread == 0:
        return 0
    return max(count, len(applied.living) if applied.spread is None else applied.spread)


def _silent(pot: Pot, claims: Claims, applied: Slices) -> Demand:
    """Of a pot of which our gate says nothing: nobody has asked here, what we hold is there for others."""
    if (told := applied.held.get(pot)) is not None:
        return Demand(told.whole, 0, part=told.granted, is_told=True)
    whole = max(claim.whole for claim in claims.values())
    return Demand(whole, 0, part=applied.unwritten(whole))


def settle(pot: Pot, demand: Demand, own: str, known: Known, equal: Slices, turn: int = 0) -> Settled:
    """`equal`: what the gate lets in by from now on where no row speaks."""
    limit, claims = demand.limit, known.claims.get(pot, {})
    is_within = demand.wanted <= equal_part(limit, equal.rank, equal.count)
    if not claims and not demand.is_told and is_within and demand.in_use <= equal.unwritten(limit):
        return Settled()
    wanted = [claims[one].wanted if one in claims else 0 for one in equal.living]
    wanted[equal.rank] = demand.wanted
    # Where more runs than a lower limit allows, what the others hold may be all of it.
    fair = min(share_out(limit, wanted, turn)[equal.rank], max(0, limit - known.others_hold(own, pot, limit)))
    unwritten = _unwritten(limit, own, known.lives[own])
    if not demand.is_told:  # an equal part grows with the limit; what a row says must not
        return Settled(Claim(min(demand.part, fair, unwritten), limit, demand.wanted), gives_more=True)
    row = Claim(max(fair, demand.taken_up), limit, demand.wanted)
    before = claims.get(own) or Claim(unwritten, limit, 0)
    return Settled(
        Claim(fair, limit, demand.wanted),
        row if row != claims.get(own) else None,
        is_news=(row.granted, row.wanted) != (before.granted, before.wanted),
        gives_more=max(fair, demand.in_use) < row.granted,
    )
