"""What linking knows of earlier requests: as much of it as was loaded, and what has changed since.

The recorder fills it from the database for a batch; a test or a relink keeps all of it.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

MOST_AT_A_PREFIX = 8
"""Conversations that one prefix is remembered of. A monitor may open a million with the same words."""

Kind = Literal["main", "subagent", "side"]
Relation = Literal["start", "next", "retry", "fork", "compaction"]


class Place(msgspec.Struct):
    """A block in a conversation, known by its prefix hash, and the last request that ended with it."""

    prefix: bytes
    conversation: str
    before: bytes
    """The prefix hash of the block before; the scope for the first."""
    place: int
    """1 for the first."""
    side: str
    branch: int
    size: int = 0
    """Characters of its message, where it is the first block of it: as it was when first seen."""
    session: bytes = b""
    """The session, as a hash in its scope, of the request that brought it; empty: none was named."""
    is_continued: bool = False
    """A request goes on from here."""
    request: str | None = None
    """The last that ended here; None: none did, and what follows means nothing."""
    began_at: int = 0
    """Unix milliseconds, as all times."""
    ended_at: int = 0
    went_well: bool = False
    output_tokens: int | None = None
    system: bytes = b""
    summary_scope: bytes | None = None
    """The scope, where the request asked for a summary to begin anew with."""


class Talk(msgspec.Struct):
    """A conversation: what follows one opening, with its branches."""

    id: str
    """Of the request that opened it."""
    scope: bytes
    opening: bytes
    session: bytes
    kind: Kind
    started_at: int
    parent: str | None = None
    parent_request: str | None = None
    """The request whose answer called for it; None in a `side` one, which only shares the session."""
    parent_tool: str | None = None
    """The id of that call."""
    branches: int = 1
    last_request: str = ""
    last_branch: int = 0
    last_at: int = 0


class WaitingCall(msgspec.Struct, frozen=True):
    """A call of a sub-agent whose conversation has not been seen yet."""

    prompt: bytes
    tool_id: str
    conversation: str
    request: str
    """Whose answer held it."""
    at: int
    session: bytes = b""
    prefix: bytes = b""
    """Where its message ends."""


class Link(msgspec.Struct, frozen=True):
    """Where one request belongs."""

    request: str
    conversation: str
    branch: int
    relation: Relation
    parent: str | None
    """The request it continues; of a retry the one that the first try continued."""
    prefix: bytes
    place: int
    opening_of_conversation: bool = False


class Past:
    """Not bounded by itself: whoever keeps it lets go of it."""

    def __init__(self) -> None:
        self._places: dict[bytes, list[Place]] = {}
        self._talks: dict[str, Talk] = {}
        self._roots: dict[bytes, Talk] = {}
        self._openings: dict[bytes, list[Talk]] = {}
        self._summaries: dict[bytes, list[Place]] = {}
        self._waiting: dict[bytes, list[WaitingCall]] = {}
        self._begun: set[str] = set()
        """Conversations that no store has heard of."""
        # What a store has to write.
        self.changed_places: dict[tuple[bytes, str], Place] = {}
        self.forgotten_places: set[tuple[bytes, str]] = set()
        self.changed_talks: dict[str, Talk] = {}
        self.changed_calls: dict[WaitingCall, bool] = {}
        """Each with whether its conversation was found."""

    # ---- filling it ----------------------------------------------------------------------------

    def know_place(self, place: Place) -> None:
        known = self._places.setdefault(place.prefix, [])
        if all(one.conversation != place.conversation for one in known):
            known.append(place)
            if place.summary_scope is not None:
                self._summaries.setdefault(place.summary_scope, []).append(place)

    def know_talk(self, talk: Talk) -> None:
        if talk.id in self._talks:
            return
        self._talks[talk.id] = talk
        if talk.parent is None and talk.session:
            self._roots.setdefault(talk.session, talk)
        if talk.opening:
            self._openings.setdefault(talk.opening, []).append(talk)

    def know_waiting(self, call: WaitingCall) -> None:
        waiting = self._waiting.setdefault(call.prompt, [])
        if call not in waiting:
            waiting.append(call)

    # ---- asking it -----------------------------------------------------------------------------

    def places(self, prefix: bytes) -> list[Place]:
        return self._places.get(prefix, [])

    def place_in(self, prefix: bytes, conversation: str) -> Place | None:
        for one in self._places.get(prefix, ()):
            if one.conversation == conversation:
                return one
        return None

    def talk(self, conversation: str) -> Talk | None:
        return self._talks.get(conversation)

    def talks(self) -> Iterable[Talk]:
        return self._talks.values()

    def root_of(self, session: bytes) -> Talk | None:
        """The conversation that a session began with."""
        return self._roots.get(session) if session else None

    def opened_with(self, prompt: bytes) -> list[Talk]:
        return self._openings.get(prompt, [])

    def summaries(self, scope: bytes) -> list[Place]:
        return self._summaries.get(scope, [])

    def waiting(self, prompt: bytes) -> list[WaitingCall]:
        return self._waiting.get(prompt, []) if prompt else []

    def all_waiting(self) -> Iterable[WaitingCall]:
        return (call for calls in self._waiting.values() for call in calls)

    # ---- changing it ---------------------------------------------------------------------------

    def put_place(self, place: Place) -> None:
        """A new one, or one that was changed."""
        known = self._places.setdefault(place.prefix, [])
        key = (place.prefix, place.conversation)
        if all(one is not place for one in known):
            if len(known) >= MOST_AT_A_PREFIX:
                oldest = min(known, key=lambda one: one.ended_at)
                known.remove(oldest)
                gone = (oldest.prefix, oldest.conversation)
                self.changed_places.pop(gone, None)
                if oldest.conversation not in self._begun:
                    self.forgotten_places.add(gone)
            known.append(place)
        self.forgotten_places.discard(key)
        self.changed_places[key] = place
        if place.summary_scope is not None:
            asked = self._summaries.setdefault(place.summary_scope, [])
            if all(one is not place for one in asked):
                asked.append(place)

    def put_talk(self, talk: Talk) -> None:
        if talk.id not in self._talks:
            self._begun.add(talk.id)
        self.know_talk(talk)
        if talk.parent is not None and self._roots.get(talk.session) is talk:
            del self._roots[talk.session]
        self.changed_talks[talk.id] = talk

    def put_waiting(self, call: WaitingCall) -> None:
        self.know_waiting(call)
        self.changed_calls[call] = False

    def answer(self, call: WaitingCall) -> None:
        waiting = self._waiting.get(call.prompt, [])
        if call in waiting:
            waiting.remove(call)
        self.changed_calls[call] = True
