"""The prefix hashes of a history: one for every block, over all blocks up to it.

Two histories with a prefix hash in common are the same up to there, and of the same scope: each chain begins
with the hash of whoever speaks, so that equal words of two callers never meet.
"""

import hashlib

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


class GrowingChain:
    """A chain of which messages are added to, or taken from, the end.

    A block that repeats the id of a tool call or result is left out: clients send some of them twice.
    """

    def __init__(self, scope: bytes) -> None:
        self.messages = 0
        self._scope = scope
        self._prefixes: list[bytes] = []
        self._sides: list[str] = []
        self._sizes: list[int] = []
        self._calls: list[tuple[int, SubCall]] = []
        self._ids: list[bytes] = []
        self._seen: set[bytes] = set()
        self._ends: list[tuple[int, int, int]] = []
        """After each message: how many blocks, calls and ids there were."""
        self._opening: tuple[int, Facts] | None = None
        """The first message in which the user says something, and its number."""
        self._last: Facts | None = None

    def __len__(self) -> int:
        return len(self._prefixes)

    def add(self, facts: Facts) -> None:
        prefixes, seen = self._prefixes, self._seen
        # Over hashes that nobody can choose (BLAKE2b) a fast hash is as good.
        before, digest = prefixes[-1] if prefixes else self._scope, xxhash.xxh3_128_digest
        size = facts.size
        units, ids, at = facts.units, facts.ids, 0
        for side in facts.sides:
            unit_id, unit = ids[at : at + HASH_BYTES], units[at : at + HASH_BYTES]
            at += HASH_BYTES
            if unit_id != NO_ID:
                if unit_id in seen:
                    continue
                seen.add(unit_id)
                self._ids.append(unit_id)
            before = digest(before + unit)
            prefixes.append(before)
            self._sides.append(side)
            self._sizes.append(size)
            size = 0
        end = len(prefixes)
        if facts.calls:
            self._calls += (
                (end, SubCall(call.tool_id, scoped(self._scope, call.prompt))) for call in facts.calls
            )
        if self._opening is None and facts.said:
            self._opening = self.messages, facts
        self._last = facts
        self.messages += 1
        self._ends.append((end, len(self._calls), len(self._ids)))

    def go_back(self, messages: int) -> None:
        """To what it was with so many messages; the next thing is to add one, or it ends with nothing."""
        del self._ends[messages:]
        blocks, calls, ids = self._ends[-1] if self._ends else (0, 0, 0)
        self._seen.difference_update(self._ids[ids:])
        del self._prefixes[blocks:], self._sides[blocks:], self._sizes[blocks:]
        del self._calls[calls:], self._ids[ids:]
        if self._opening is not None and self._opening[0] >= messages:
            self._opening = None
        self._last, self.messages = None, messages

    def chain(self) -> Chain:
        opening = self._opening[1] if self._opening else None
        last = self._last
        return Chain(
            tuple(self._prefixes),
            "".join(self._sides),
            tuple(self._calls[-MOST_CALLS:]),
            self._scope,
            scoped(self._scope, opening.said) if opening else b"",
            opening.title if opening else None,
            tuple(self._sizes),
            bool(opening and opening.continues),
            bool(last and last.asks_for_summary),
        )
