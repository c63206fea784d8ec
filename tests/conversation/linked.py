"""What was told, linked in memory, and compared with the truth that stands beside it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.conversation.chain import Chain, GrowingChain, scoped
from headgate.conversation.facts import Facts
from headgate.conversation.linking import Ask, Linker
from headgate.conversation.past import Link, Past
from headgate.dialects.anthropic_turns import read_facts
from headgate.testing.sessions import Sent, Told

SCOPE = bytes(16)
LONG = "toolu_01ABCDEFGHJKLMNPQRSTUVWX"


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(prompt: str, *, id: str = LONG, name: str = "Task") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": {"prompt": prompt, "description": "d"}}


def result(content: Any = "done", *, id: str = LONG) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def scope_of(caller: str) -> bytes:
    return scoped(SCOPE, caller.encode())


def chain_of(history: Iterable[Facts], scope: bytes) -> Chain:
    """From the start."""
    growing = GrowingChain(scope)
    for facts in history:
        growing.add(facts)
    return growing.chain()


class Linked:
    """Requests linked one after the other, in the order given."""

    def __init__(self) -> None:
        self.past = Past()
        self.links: dict[str, Link] = {}
        self._linker = Linker(self.past)
        self._now = 0

    def ask(
        self,
        *messages: Any,
        id: str | None = None,
        caller: str = "somebody",
        session: str | None = None,
        ok: bool = True,
        system: str = "",
        tokens: int | None = None,
        began_at: int | None = None,
        ended_at: int | None = None,
    ) -> Link:
        """`messages` in turns of the user and the model, where they are no objects with a role."""
        began_at = self._now if began_at is None else began_at
        ended_at = began_at + 500 if ended_at is None else ended_at
        self._now = max(self._now, ended_at) + 1000
        scope = scope_of(caller)
        chain = chain_of([read_facts(msgspec.json.encode(one)) for one in _with_roles(messages)], scope)
        link = self._linker.link(
            Ask(
                id or f"r{len(self.links)}",
                chain,
                began_at,
                ended_at,
                ok,
                scoped(scope, session.encode()) if session else b"",
                system.encode(),
                tokens,
            )
        )
        self.links[link.request] = link
        return link

    def tell(self, one: Sent) -> Link:
        return self.ask(
            *one.body["messages"],
            id=str(one.number),
            caller=one.caller,
            session=one.session,
            ok=one.status == 200,
            system=str(one.body["system"]),
            tokens=one.output_tokens,
            began_at=one.began_at,
            ended_at=one.ended_at,
        )


def _with_roles(messages: tuple[Any, ...]) -> list[Any]:
    roles = ("user", "assistant")
    return [
        one if isinstance(one, dict) and "role" in one else {"role": roles[at % 2], "content": one}
        for at, one in enumerate(messages)
    ]


Tree = tuple[dict[int, tuple[Any, ...]], dict[Any, tuple[Any, int | None]]]


def truth(told: Told) -> Tree:
    """By request: conversation and branch, each named after its first request, relation and parent; by
    conversation the one above it and the request that opened it."""
    first: dict[Any, int] = {}
    for one in told.sent:
        first.setdefault((one.caller, one.talk), one.number)
        first.setdefault((one.caller, one.talk, one.branch), one.number)
    requests = {
        one.number: (
            first[one.caller, one.talk],
            first[one.caller, one.talk, one.branch],
            one.relation,
            one.parent,
        )
        for one in told.sent
    }
    by_name = {one.talk: one.caller for one in told.sent}
    above = {
        first[by_name[name], name]: (first[by_name[parent], parent], request)
        for name, (parent, request) in told.opened_by.items()
    }
    return requests, above


def tree(links: dict[str, Link], past: Past) -> Tree:
    """The same of what was linked."""
    first: dict[Any, int] = {}
    for number, link in sorted((int(request), link) for request, link in links.items()):
        first.setdefault((link.conversation, link.branch), number)
    requests = {
        int(link.request): (
            int(link.conversation),
            first[link.conversation, link.branch],
            link.relation,
            int(link.parent) if link.parent is not None else None,
        )
        for link in links.values()
    }
    above: dict[Any, tuple[Any, int | None]] = {
        int(talk.id): (int(talk.parent), int(talk.parent_request))
        for talk in past.talks()
        if talk.parent is not None and talk.parent_request is not None
    }
    return requests, above
