"""Conversations that a tool call of another one opened: found from either side, whichever is seen first.

Mostly the sub-agent is: its requests are over when the one that called for it comes back with the result, and
only then is the call in a body.
"""

from headgate.conversation.chain import Chain
from headgate.conversation.past import Link, Past, Talk, WaitingCall

WAITS_MS = 86_400_000
"""How long a call and its conversation may lie apart."""
_SLACK_MS = 2_000
"""Clocks of several gateways."""
_DEEPEST = 64


def adopt_by_call(past: Past, talk: Talk) -> bool:
    """A conversation has begun: was there a call for it?"""
    for call in past.waiting(talk.opening):
        in_time = call.at - WAITS_MS <= talk.started_at <= call.at + WAITS_MS
        if in_time and call.session == talk.session and _adopt(past, talk, call):
            past.answer(call)
            return True
    return False


def adopt_waiting(past: Past, chain: Chain, link: Link, session: bytes, now: int, *, known: int) -> None:
    """A request has brought calls, behind the first `known` blocks: which conversations did they open?
    A call that none has answered yet waits."""
    for number, call in chain.calls:
        if number <= known:
            continue
        place = past.place_in(chain.prefixes[number - 1], link.conversation) if number else None
        if place is None:
            continue
        caller = _caller_of(past, chain, link, number)
        request, since = caller or (link.request, now - WAITS_MS)
        waiting = WaitingCall(
            *(call.prompt, call.tool_id, link.conversation, request, max(since, 0)),
            *(session, chain.prefixes[number - 1]),
        )
        if _is_known(past, waiting):
            continue
        for talk in sorted(past.opened_with(call.prompt), key=lambda one: one.started_at):
            in_time = since - _SLACK_MS <= talk.started_at <= now + _SLACK_MS
            is_free = talk.parent_request is None and talk.session == session
            if in_time and is_free and _adopt(past, talk, waiting):
                past.put_talk(talk)
                past.answer(waiting)
                break
        else:
            past.put_waiting(waiting)


def _caller_of(past: Past, chain: Chain, link: Link, number: int) -> tuple[str, int] | None:
    """The request whose answer held the call that ends at `number`, and when it began; None: not seen."""
    for prefix in reversed(chain.prefixes[: number - 1]):
        end = past.place_in(prefix, link.conversation)
        if end is not None and end.request is not None:
            return end.request, end.began_at
    return None


def _is_known(past: Past, call: WaitingCall) -> bool:
    """A fork brings the calls again that were made before it."""
    return any(
        one.tool_id == call.tool_id and one.conversation == call.conversation
        for one in past.waiting(call.prompt)
    ) or any(
        talk.parent_tool == call.tool_id and talk.parent == call.conversation
        for talk in past.opened_with(call.prompt)
    )


def _adopt(past: Past, talk: Talk, call: WaitingCall) -> bool:
    """False where the call lies within what it would open."""
    above: str | None = call.conversation
    for _ in range(_DEEPEST):
        if above == talk.id:
            return False
        parent = past.talk(above) if above else None
        above = parent.parent if parent else None
    talk.kind, talk.parent, talk.parent_request, talk.parent_tool = (
        "subagent",
        call.conversation,
        call.request,
        call.tool_id,
    )
    return True
