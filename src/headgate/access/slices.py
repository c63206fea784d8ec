"""Which part of a key's limit this process may use, where several gateways share a database: pure arithmetic.

A limit is divided into whole parts. Before anybody asks for more than the others, nothing is written and all
have equal parts; else each one's row in the database says what it holds. `rounds` says how they change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

What = Literal["requests", "tokens", "running"]
"""A minute, a minute, and at one time."""

Pot = tuple[int, What]
"""One limit of one key, by the key's id."""

Living = tuple[str, ...]
"""Names of gateways, in order."""

_KEPT_BY_THE_IDLE = 8
"""All of them together keep less than this fraction: enough for a first request without asking."""
_STEPS = 16
"""Of a limit, in which more is wanted or less: each change is a transaction."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process holds of a pot and what it would like to: its row, or what its gate was told."""

    granted: int
    whole: int
    """The limit that this was cut from."""
    wanted: int

    def of(self, limit: int) -> int:
        """What is held of a limit that may have changed since. Of a higher one no more: others may have taken
        what came on top. What a lower one lacks may all be lacking here: what the others hold may run."""
        return max(0, self.granted - max(0, self.whole - limit))


@dataclass(frozen=True, slots=True)
class Demand:
    """What the gate says of a pot, at one moment."""

    limit: int
    wanted: int
    in_use: int = 0
    """What cannot be given away now."""
    part: int = 0
    """What it lets in by until it is told another part, if the limit stays this one."""
    is_told: bool = False
    """By a claim, of which `part` is all: it will be no more, whatever becomes of the limit."""

    @property
    def taken_up(self) -> int:
        """What runs here may become this much before the gate is told another part."""
        return max(self.part, self.in_use)


Claims = Mapping[str, Claim]
"""By the holder's name."""


@dataclass(frozen=True, slots=True)
class Slices:
    """What this process lets in by."""

    rank: int = 0
    count: int = 1
    """Of the gateways that live."""
    held: Mapping[Pot, Claim] = field(default_factory=dict)
    living: Living = ()
    """Those that were counted. None: no round has said so."""
    spread: int | None = None
    """While not all know of each other: among so many a limit goes, rounded down; 0: we have just joined and
    have none. None: all do, and have equal parts."""
    is_careful: bool = False
    """The database does not answer: no more than an equal part of anything."""

    def part(self, key_id: int, what: What, limit: int | None) -> int | None:
        if limit is None or self.count == 1 or not key_id:
            return limit
        claim = self.held.get((key_id, what))
        part = self.unwritten(limit) if claim is None else claim.of(limit)
        return min(part, equal_part(limit, self.rank, self.count)) if self.is_careful else part

    def unwritten(self, limit: int) -> int:
        """Of a pot of which no row speaks."""
        if self.spread is None:
            return equal_part(limit, self.rank, self.count)
        return limit // self.spread if self.spread else 0

    def careful(self) -> "Slices":
        """The database has been away for too long: others may take what we hold."""
        return replace(self, is_careful=True)

    def forgotten(self) -> "Slices":
        """By now all that are cut off with us are careful: equal parts, until we join anew."""
        return Slices(self.rank, self.count)


def equal_part(limit: int, rank: int, count: int) -> int:
    """All of them together are the limit."""
    return limit // count + (rank < limit % count)


def in_steps(wanted: float, limit: int) -> int:
    """A little more than is wanted, so that small changes are none."""
    step = max(1, limit // _STEPS)
    return min(limit, -int(-wanted // step) * step)


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
