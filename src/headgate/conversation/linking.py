"""Which request continues which. Pure: the past comes in, a link goes out, and the past has grown by it.

The longest known prefix wins. The session that a client names separates what only looks the same; a system
prompt is a hint between equals, since clients write dates and folders into it.
"""

import math

import msgspec

from headgate.conversation.chain import Chain
from headgate.conversation.past import Link, Past, Place, Relation, Talk
from headgate.conversation.sub_agents import adopt_by_call, adopt_waiting

SUMMARY_DAYS = 7
_DAY_MS = 86_400_000
_CHARACTERS_A_TOKEN = 4


class Ask(msgspec.Struct, frozen=True):
    """A finished request, as linking sees it."""

    id: str
    chain: Chain
    began_at: int
    ended_at: int
    went_well: bool
    session: bytes = b""
    """A hash of the session in its scope; empty when the client named none."""
    system: bytes = b""
    output_tokens: int | None = None
    messages: int = 0
    """In its history; nothing depends on it."""


class _Match(msgspec.Struct, frozen=True):
    """A conversation whose beginning is the request's."""

    talk: Talk
    deepest: Place
    """The last block they have in common."""
    end: Place | None
    """The last block they have in common at which a request ended."""


class Linker:
    def __init__(self, past: Past) -> None:
        self._past = past

    def link(self, ask: Ask) -> Link:
        """Requests come in the order of their ends, as the recorder gets them, or of their beginnings."""
        match = self._best_match(ask)
        if match is None:
            link = self._begin(ask)
        elif match.end is not None and match.end.place == len(ask.chain):
            link = self._retry(ask, match, match.end)
        else:
            link = self._go_on(ask, match)
        known = match.deepest.place if match is not None else 0
        end = match.end if match is not None else None
        self._note(ask, link, known, start=end.place if end is not None else known)
        adopt_waiting(self._past, ask.chain, link, ask.session, ask.began_at, known=known)
        return link

    # ---- the longest known prefix ------------------------------------------------------------------

    def _best_match(self, ask: Ask) -> _Match | None:
        """Within the session that is named first: another one's is only for a session that was resumed under
        a new name."""
        others: set[tuple[int, str]] = set()
        if ask.session and (match := self._longest_match(ask, others, within_session=True)):
            return match
        return self._longest_match(ask, others, within_session=False)

    def _longest_match(
        self, ask: Ask, others: set[tuple[int, str]], *, within_session: bool
    ) -> _Match | None:
        """`others` gets the conversations that only look the same, with the block up to which they do."""
        passed_by: set[str] = set()
        for number in range(len(ask.chain.prefixes), 0, -1):
            found = []
            for deepest in self._past.places(ask.chain.prefixes[number - 1]):
                is_other = within_session and deepest.session != ask.session
                if is_other or deepest.conversation in passed_by:
                    continue
                seen = number, deepest.conversation
                match = self._match(ask, deepest) if seen not in others else None
                if match is not None and _is_same_talk(ask, match):
                    found.append(match)
                else:
                    passed_by.add(deepest.conversation)
                    others.add(seen)
            if found:
                return found[0] if len(found) == 1 else max(found, key=lambda match: _rank(ask, match))
        return None

    def _match(self, ask: Ask, deepest: Place) -> _Match | None:
        talk = self._past.talk(deepest.conversation)
        if talk is None:
            return None
        if deepest.request is not None:
            return _Match(talk, deepest, deepest)
        for number in range(deepest.place - 1, 0, -1):
            end = self._past.place_in(ask.chain.prefixes[number - 1], talk.id)
            if end is not None and end.request is not None:
                return _Match(talk, deepest, end)
        return _Match(talk, deepest, None)

    # ---- what it is then ---------------------------------------------------------------------------

    def _retry(self, ask: Ask, match: _Match, end: Place) -> Link:
        before = self._end_before(ask.chain, match.talk, len(ask.chain) - 1)
        if before is None and ask.chain.continues:
            before = self._summary_before(ask.chain.scope, end)
        return _link(ask, match.talk, end.branch, "retry", before.request if before else None)

    def _go_on(self, ask: Ask, match: _Match) -> Link:
        point = match.end or match.deepest
        parent = match.end.request if match.end else None
        if match.deepest.is_continued or point.is_continued:
            return self._new_branch(ask, match.talk, "fork", parent)
        return _link(ask, match.talk, point.branch, "next", parent)

    def _new_branch(self, ask: Ask, talk: Talk, relation: Relation, parent: str | None) -> Link:
        branch = talk.branches
        talk.branches += 1
        return _link(ask, talk, branch, relation, parent)

    def _end_before(self, chain: Chain, talk: Talk, number: int) -> Place | None:
        for prefix in reversed(chain.prefixes[:number]):
            end = self._past.place_in(prefix, talk.id)
            if end is not None and end.request is not None:
                return end
        return None

    def _begin(self, ask: Ask) -> Link:
        """Nothing like it is known: a compaction, a sub-agent, something beside a session, or a new one."""
        if ask.chain.continues and (link := self._after_summary(ask)):
            return link
        talk = Talk(
            ask.id, ask.chain.scope, ask.chain.opening, ask.session, "main", ask.began_at, last_request=ask.id
        )
        if not adopt_by_call(self._past, talk) and (root := self._past.root_of(ask.session)):
            talk.kind, talk.parent = "side", root.id
        self._past.put_talk(talk)
        return _link(ask, talk, 0, "start", None)

    def _after_summary(self, ask: Ask) -> Link | None:
        asked = self._summary_asked(ask)
        if asked is not None and (talk := self._past.talk(asked.conversation)):
            asked.is_continued = True
            self._past.put_place(asked)
            return self._new_branch(ask, talk, "compaction", asked.request)
        if root := self._past.root_of(ask.session):
            return self._new_branch(ask, root, "compaction", root.last_request)
        return None

    def _summary_before(self, scope: bytes, opening: Place) -> Place | None:
        """The request whose answer an earlier try began with."""
        found = [
            one
            for one in self._past.summaries(scope)
            if one.conversation == opening.conversation
            and one.is_continued
            and one.began_at <= opening.began_at
        ]
        return max(found, key=lambda one: one.began_at, default=None)

    def _summary_asked(self, ask: Ask) -> Place | None:
        """The request whose answer this one begins with: of the same session, of that length, the newest."""
        said = sum(ask.chain.sizes)
        found = [
            one
            for one in self._past.summaries(ask.chain.scope)
            if not one.is_continued
            and one.went_well
            and one.began_at <= ask.began_at < one.began_at + SUMMARY_DAYS * _DAY_MS
            and (not ask.session or not one.session or one.session == ask.session)
        ]
        return max(
            found,
            key=lambda one: (one.session == ask.session, _nearness(said, one.output_tokens), one.began_at),
            default=None,
        )

    # ---- the past grows ----------------------------------------------------------------------------

    def _note(self, ask: Ask, link: Link, known: int, *, start: int) -> None:
        """`known`: how much of the chain the conversation had already. What lies below `start`, the end that
        is gone on from, may not have been loaded, and is as it was."""
        chain, past = ask.chain, self._past
        talk = past.talk(link.conversation)
        assert talk is not None
        last = len(chain)
        for number in range(max(start, 1), last + 1):
            prefix = chain.prefixes[number - 1]
            place = past.place_in(prefix, talk.id)
            if place is not None and number < last:
                self._mark_continued(place, is_last_known=number == known)
            elif place is None and number > known:
                before = chain.prefixes[number - 2] if number > 1 else chain.scope
                side, size = chain.sides[number - 1], chain.sizes[number - 1]
                place = Place(prefix, talk.id, before, number, side, link.branch, size, ask.session)
                place.is_continued = number < last
                past.put_place(place)
        self._end_at(past.place_in(chain.prefixes[-1], talk.id) if chain.prefixes else None, ask)
        talk.last_at = max(talk.last_at, ask.began_at)
        talk.last_request, talk.last_branch = ask.id, link.branch
        past.put_talk(talk)

    def _mark_continued(self, place: Place, *, is_last_known: bool) -> None:
        """A request has gone on from it, also where what follows was known."""
        if (is_last_known or place.request is not None) and not place.is_continued:
            place.is_continued = True
            self._past.put_place(place)

    def _end_at(self, place: Place | None, ask: Ask) -> None:
        if place is None:
            return
        place.request = ask.id
        place.began_at, place.ended_at = ask.began_at, ask.ended_at
        place.went_well, place.output_tokens = ask.went_well, ask.output_tokens
        place.system = ask.system
        place.session = ask.session or place.session
        place.summary_scope = ask.chain.scope if ask.chain.asks_for_summary else None
        self._past.put_place(place)


def _link(ask: Ask, talk: Talk, branch: int, relation: Relation, parent: str | None) -> Link:
    prefix = ask.chain.prefixes[-1] if ask.chain.prefixes else ask.chain.scope
    return Link(ask.id, talk.id, branch, relation, parent, prefix, len(ask.chain), relation == "start")


def _is_same_talk(ask: Ask, match: _Match) -> bool:
    """Two chats may open with the same words: before the model has answered, equal words prove little."""
    if ask.chain.has_answer(match.deepest.place):
        return True
    if match.end is None or not _shares_session(ask, match.end):
        return False
    if ask.chain.has_answer(len(ask.chain)):
        return True
    if ask.chain.continues:
        return True  # nobody has the same summary twice
    # The opening again, or more of it: after a failure, or by the session that began with it.
    named_same = bool(ask.session) and ask.session == match.end.session
    began_session = named_same and match.talk.parent is None and match.end.ended_at <= ask.began_at
    return not match.end.went_well or began_session


def _shares_session(ask: Ask, place: Place) -> bool:
    return ask.session == place.session


def _rank(ask: Ask, match: _Match) -> tuple[object, ...]:
    """Of several conversations with the same longest prefix the likeliest, as the greatest."""
    end = match.end
    if end is None:
        return (ask.session == match.deepest.session, False, False, False, False, False, 0.0, 0)
    answered = sum(ask.chain.sizes[end.place : _answer_end(ask.chain, end.place)])
    return (
        ask.session == end.session,
        end.ended_at <= ask.began_at,
        match.deepest.place > end.place,  # its answer is known, and it is this one
        not end.is_continued,
        end.went_well,
        bool(ask.system) and ask.system == end.system,
        _nearness(answered, end.output_tokens),
        end.began_at,
    )


def _answer_end(chain: Chain, start: int) -> int:
    """The place of the last block of the answer that follows `start`."""
    end = start
    while end < len(chain) and chain.sides[end] == "a":
        end += 1
    return end


def _nearness(characters: int, tokens: int | None) -> float:
    """How well a text of that length fits an answer of so many tokens: 0 is best, rounded to steps."""
    if not tokens:
        return -9.0
    return -round(abs(math.log((characters / _CHARACTERS_A_TOKEN + 1) / (tokens + 1))), 1)
