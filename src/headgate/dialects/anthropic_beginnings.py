"""How bodies began that were read before: of a conversation's next turn only what is new is read.

An agent sends its whole history again with every turn. A body that begins, byte for byte, as one that was
found to be in order is read without the messages that both have in common: a list without some of its members
and the commas behind them is right exactly if it was right with them. All else is judged anew. Nothing of a
body is kept but hashes.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, islice
from typing import Protocol

import msgspec

STEP_BYTES = 16_384
"""Beginnings are compared at multiples of it. A shorter body is read sooner than looked up."""
LONGEST_BYTES = 4 << 20
"""No beginning is longer."""
LEFT_OUT = 4
"""The last messages of a body: clients move marks (`cache_control`) about in them from turn to turn."""
MOST_SEEN = 16_384
"""Digests of bodies that came once: of whole conversations that many steps."""
MOST_HASHES = 65_536
"""Held in all, some 8 MB; what was not used for the longest time goes."""

_NAME = b'"messages"'
_OPENING = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*")
_COMMA = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")


class Hasher(Protocol):
    """As those of `hashlib`. No caller may be able to make two beginnings of one digest."""

    def update(self, data: memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


class Beginning:
    """The first messages of a body: where they stand in it, and their hashes."""

    __slots__ = ("end", "first_end", "hashes", "reach", "start")

    def __init__(self, start: int, first_end: int, end: int, reach: int, hashes: list[bytes]) -> None:
        self.start = start
        self.first_end = first_end
        """Behind the first of them, which names a conversation."""
        self.end = end
        """Where the first message begins that is none of them."""
        self.reach = reach
        """Bytes of the body that it is known by: whole steps, and `end` or more."""
        self.hashes = hashes

    def first(self, body: bytes | bytearray) -> bytes:
        return bytes(body[self.start : self.first_end])

    def cut_out_of(self, body: bytes) -> bytes:
        """The body as if its messages began behind them."""
        return body[: self.start] + body[self.end :]

    def is_followed_by(self, messages: Sequence[msgspec.Raw], body: bytes) -> bool:
        """Whether `messages`, read of `cut_out_of(body)`, are those that stand behind them in it: the list
        may end here, or there may be another one of that name further on."""
        return bool(messages) and body.startswith(bytes(messages[0]), self.end)


class Beginnings:
    """Those seen lately."""

    def __init__(self, hasher: Callable[[], Hasher], *, step_bytes: int = STEP_BYTES) -> None:
        self.step_bytes = step_bytes
        self._hasher = hasher
        self._known: dict[bytes, Beginning] = {}
        """By the digest of their `reach`; the one that was used last stands last."""
        self._held = 0
        self._seen: set[bytes] = set()
        """Digests of bodies that nothing was learned of."""

    def digests(self, body: bytes) -> list[bytes]:
        """Of the first step of a body, of the first two, and so on."""
        hasher, view, step = self._hasher(), memoryview(body), self.step_bytes
        found = []
        for end in range(step, min(len(body), LONGEST_BYTES) + 1, step):
            hasher.update(view[end - step : end])
            found.append(hasher.digest())
        return found

    def find(self, digests: Sequence[bytes]) -> Beginning | None:
        """The longest one of a body with these `digests`."""
        for digest in reversed(digests):
            if (found := self._known.pop(digest, None)) is not None:
                self._known[digest] = found
                return found
        return None

    def learn(
        self,
        body: bytes,
        digests: Sequence[bytes],
        messages: Sequence[msgspec.Raw],
        hashes: Sequence[bytes],
        before: Beginning | None = None,
    ) -> None:
        """Of a body that is in order: `messages` with their `hashes`, all or those that follow `before`.

        A body that has less than a quarter in common with any other, as those have that come once, is noted.
        """
        if before is None and not self._was_seen(digests):
            return
        lasting = messages[: max(len(messages) - LEFT_OUT, 0)]
        start = _start_of(body, lasting) if before is None else before.end
        ends = _ends(body, start, lasting)
        step = self.step_bytes
        reach = min((ends[-1] if ends else 0) // step, len(digests)) * step
        count = bisect_right(ends, reach)
        if count and before is None:
            first_end = start + len(messages[0])
            self._keep(digests, Beginning(start, first_end, ends[count - 1], reach, list(hashes[:count])))
        elif count and before is not None and reach > before.reach:
            known = [*before.hashes, *hashes[:count]]
            self._keep(digests, Beginning(before.start, before.first_end, ends[count - 1], reach, known))

    def _was_seen(self, digests: Sequence[bytes]) -> bool:
        if digests[len(digests) // 4] in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.update(digests)
        return False

    def _keep(self, digests: Sequence[bytes], made: Beginning) -> None:
        digest = digests[made.reach // self.step_bytes - 1]
        replaced = self._known.pop(digest, None)
        self._held += len(made.hashes) - (len(replaced.hashes) if replaced is not None else 0)
        self._known[digest] = made
        while self._held > MOST_HASHES:
            self._held -= len(self._known.pop(next(iter(self._known))).hashes)


def _start_of(body: bytes, messages: Sequence[msgspec.Raw]) -> int:
    """Where the first of `messages` stands in their list; -1 where that cannot be told, or it is no message.

    The name in quotation marks is no part of a string, whose own are escaped (RFC 8259, section 7): it is a
    name, maybe of another object, or a string by itself.
    """
    first = bytes(messages[0]) if messages else b""
    found = body.find(_NAME) if first.startswith((b"{", b"[")) else -1
    while found >= 0:
        opening = _OPENING.match(body, found + len(_NAME))
        if opening is not None and body.startswith(first, opening.end()):
            return opening.end()
        found = body.find(_NAME, found + 1)
    return -1


def _ends(body: bytes, position: int, messages: Sequence[msgspec.Raw]) -> list[int]:
    """Where the next one begins behind each of `messages`, if they stand in a row from `position`."""
    if position < 0:
        return []
    if body.startswith(b",".join([*messages, b""]), position):  # as most clients write
        return list(islice(accumulate(map(len, messages), _behind_a_comma, initial=position), 1, None))
    ends: list[int] = []
    for message in messages:
        comma = _COMMA.match(body, position + len(message))
        if comma is None or not body.startswith(bytes(message), position):
            return []
        position = comma.end()
        ends.append(position)
    return ends


def _behind_a_comma(position: int, size: int) -> int:
    return position + size + 1
