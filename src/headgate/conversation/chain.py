"""The prefix hashes of a history: one for every block, over all blocks up to it.

Two histories with a prefix hash in common are the same up to there, and of the same scope: each chain begins
with the hash of whoever speaks, so that equal words of two callers never meet.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import xxhash

from headgate.conversation.facts import HASH_BYTES, NO_ID, Facts, SubCall

MOST_CALLS = 256
"""Of one history, the latest: those of earlier turns were seen then."""
MOST_PLACES = 8_192
"""Blocks of one history that is linked: each that is new is a row in the database."""


class Chain(msgspec.Struct, frozen=True):
    prefixes: tuple[bytes, ...] = ()
    sides: str = ""
    """Who said the block at each place, as in `Facts`."""
    calls: tuple[tuple[int, SubCall], ...] = ()
    """Calls that open another conversation, each with the place at which its message ends."""
    scope: bytes = b""
    opening: bytes = b""
    """The hash of the first words of the user, in this scope; empty when there are none."""
    title: str | None = None
    sizes: tuple[int, ...] = ()
    """Characters of each block's message, at the first of its blocks; 0 for the others."""
    continues: bool = False
    """It opens with a summary of another one."""
    asks_for_summary: bool = False
    """It ends with the wish for one."""

    def __len__(self) -> int:
        return len(self.prefixes)

    def has_answer(self, place: int) -> bool:
        """Whether the model has said something up to `place`."""
        return "a" in self.sides[:place] or "o" in self.sides[1:place]


def scoped(scope: bytes, key: bytes) -> bytes:
    """A key that is another one for everybody else."""
    return hashlib.blake2b(scope + key, digest_size=HASH_BYTES).digest()


def chain_of(history: Sequence[Facts], scope: bytes) -> Chain:
    """A block that repeats the id of a tool call or result is left out: clients send some of them twice."""
    prefixes: list[bytes] = []
    sides: list[str] = []
    sizes: list[int] = []
    calls: list[tuple[int, SubCall]] = []
    seen: set[bytes] = set()
    # Over hashes that nobody can choose (BLAKE2b) a fast hash is as good: this runs over all of a history.
    before, digest = scope, xxhash.xxh3_128_digest
    opening = None
    for facts in history:
        size = facts.size
        units, ids, at = facts.units, facts.ids, 0
        for side in facts.sides:
            unit_id, unit = ids[at : at + HASH_BYTES], units[at : at + HASH_BYTES]
            at += HASH_BYTES
            if unit_id != NO_ID:
                if unit_id in seen:
                    continue
                seen.add(unit_id)
            before = digest(before + unit)
            prefixes.append(before)
            sides.append(side)
            sizes.append(size)
            size = 0
        end = len(prefixes)
        calls += ((end, SubCall(call.tool_id, scoped(scope, call.prompt))) for call in facts.calls)
        if opening is None and facts.said:
            opening = facts
    last = history[-1] if history else None
    return Chain(
        tuple(prefixes),
        "".join(sides),
        tuple(calls[-MOST_CALLS:]),
        scope,
        scoped(scope, opening.said) if opening else b"",
        opening.title if opening else None,
        tuple(sizes),
        bool(opening and opening.continues),
        bool(last and last.asks_for_summary),
    )
