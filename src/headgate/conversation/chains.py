"""Chains that are kept while a conversation goes on: a turn costs what is new in it, not all of it."""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from headgate.conversation.chain import MOST_PLACES, Chain, GrowingChain
from headgate.conversation.facts import HASH_BYTES, Facts, opaque, split

MOST_BLOCKS = 100_000
"""Of all chains that are kept: some twenty megabytes."""
_MOST_BACK = 16
"""Messages that may differ at the end of what is known. Clients move marks through the last two or three."""
_BEGINNING = 2 * HASH_BYTES
"""What a conversation is looked for by: its first two messages, as they were sent."""

_Key = tuple[bytes, bytes]


class _Kept:
    __slots__ = ("blocks", "chain", "growing", "hashes")

    def __init__(self, growing: GrowingChain, hashes: bytes, chain: Chain) -> None:
        self.growing = growing
        self.hashes = hashes
        self.chain = chain
        self.blocks = len(growing)


class Chains:
    """What it gives is what a `GrowingChain` gives from the start."""

    def __init__(self, *, most_blocks: int = MOST_BLOCKS) -> None:
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._most_blocks = most_blocks
        self._blocks = 0

    def __len__(self) -> int:
        return len(self._kept)

    def chain(
        self, scope: bytes, hashes: bytes, facts: Mapping[bytes, Facts], gaps: Collection[bytes]
    ) -> Chain | None:
        """Of messages by their hashes, 16 bytes each. None: the facts of more of them are needed, and
        nothing has changed.

        `gaps`: messages of which nobody knows more than the hash; each is the same only as itself.
        """
        key = scope, hashes[:_BEGINNING]
        kept = self._kept.get(key)
        shared = 0 if kept is None else _shared(kept.hashes, hashes)
        if kept is not None and shared == len(kept.hashes) == len(hashes):
            self._kept.move_to_end(key)
            return kept.chain
        new = list(split(hashes[shared:]))
        if not all(one in facts or one in gaps for one in new):
            return None
        growing = GrowingChain(scope)
        if kept is not None:
            self._let_go(key, kept)
            if shared:
                growing = kept.growing
                growing.go_back(shared // HASH_BYTES)
        has_gap = False
        for one in new:
            known = facts.get(one)
            has_gap = has_gap or known is None
            growing.add(known if known is not None else opaque(one))
        chain = growing.chain()
        # What is missing today may be known tomorrow: then the chain is another one.
        if len(hashes) > HASH_BYTES and len(chain) <= MOST_PLACES and not has_gap:
            self._keep(key, _Kept(growing, hashes, chain))
        return chain

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._blocks += kept.blocks
        while self._blocks > self._most_blocks:
            self._let_go(*next(iter(self._kept.items())))

    def _let_go(self, key: _Key, kept: _Kept) -> None:
        del self._kept[key]
        self._blocks -= kept.blocks


def _shared(known: bytes, hashes: bytes) -> int:
    """Bytes of what both begin with, in whole hashes; 0 when more than the last few messages differ."""
    end = min(len(known), len(hashes))
    for _ in range(_MOST_BACK + 1):
        if known.startswith(hashes[:end]):
            return end
        end -= HASH_BYTES
        if end <= 0:
            break
    return 0
