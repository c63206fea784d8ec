"""What is new of a request's messages, handed to the recorder: each message once, not once for every turn.

A request repeats its whole history. Its messages are told apart by a hash of their bytes as they came; only
those whose hash is new go into the journal, and the request's own record names all of them by their hashes.
"""

from collections.abc import Callable, Sequence
from itertools import repeat

import msgspec
import xxhash

from headgate.record.events import SpanRecord
from headgate.record.sealing import seal_span
from headgate.record.segments import MAX_PAYLOAD_BYTES
from headgate.storage.body_keys import BodyKey

HASH_BYTES = 16
MOST_SPANS = 4_096
"""Messages of one request; one with more is not linked."""
LONGEST_SPAN = MAX_PAYLOAD_BYTES - 4_096
"""Bytes of a message that the journal takes; of a longer one it gets the hash."""
MOST_BYTES = 4 << 20
"""New messages of one request; those beyond it come with the next one."""
MOST_KNOWN = 32_768
FORGET_SECONDS = 12 * 3600.0
"""The recorder keeps what it was told for days; it must not forget what we still take for told."""


class Spans:
    """Remembers what was handed over. A restart forgets it: then all comes again, and is known there."""

    def __init__(
        self, offer: Callable[[SpanRecord], bool], monotonic: Callable[[], float], *, seed: int
    ) -> None:
        """`offer` says whether the journal took it. `seed`, of 64 bits, is secret: nobody can make two
        messages with one hash. It is the same in every life, so that a message is known after a restart."""
        self.is_on = True
        self.keeps_titles = True
        self.key: BodyKey | None = None
        """Where bodies are kept: messages are sealed then, too."""
        self._offer = offer
        self._monotonic = monotonic
        self._seed = seed
        self._known: set[bytes] = set()
        self._before: set[bytes] = set()
        """What was known before `_known` was begun: what is used again moves over, the rest goes."""
        self._forget_at = 0.0

    def take(self, messages: Sequence[msgspec.Raw], before: Sequence[bytes] = ()) -> list[bytes]:
        """The hash of each message, 16 bytes; none where with those `before` there are too many."""
        if len(before) + len(messages) > MOST_SPANS:
            return []
        hashes = list(map(xxhash.xxh3_128_digest, messages, repeat(self._seed)))
        if not self._known.issuperset(hashes):
            self._hand_over(messages, hashes, has_first=not before)
        return hashes

    def knows(self, hashes: Sequence[bytes]) -> bool:
        """Whether the recorder was told of all these messages lately."""
        return self._known.issuperset(hashes)

    def digest(self, content: bytes | msgspec.Raw) -> bytes:
        """Tells it from others, and says nothing else of it."""
        return xxhash.xxh3_128_digest(content, self._seed)

    def hasher(self) -> xxhash.xxh3_128:
        """The same hash of what comes in pieces."""
        return xxhash.xxh3_128(seed=self._seed)

    def _hand_over(self, messages: Sequence[msgspec.Raw], hashes: list[bytes], *, has_first: bool) -> None:
        self._make_room()
        known, before = self._known, self._before
        room = MOST_BYTES
        for number, key in enumerate(hashes):
            if key in known:
                continue
            if key not in before:
                span = bytes(messages[number])
                size = len(span)
                if size > LONGEST_SPAN:
                    span = b""
                elif size > room:
                    continue
                is_first, key_id = number == 0 and has_first and self.keeps_titles, 0
                if span and self.key is not None:
                    span, key_id = seal_span(span, self.key, key), self.key.id
                if not self._offer(SpanRecord(key, span, size, "anthropic", is_first, key_id)):
                    return
                room -= len(span)
            known.add(key)

    def _make_room(self) -> None:
        now = self._monotonic()
        if now >= self._forget_at:
            self._known, self._before = set(), set()
            self._forget_at = now + FORGET_SECONDS
        elif len(self._known) > MOST_KNOWN:
            self._known, self._before = set(), self._known
