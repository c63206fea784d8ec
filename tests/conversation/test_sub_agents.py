"""Which conversation a tool call opened. Requests are named r0, r1, … in the order they are asked."""

import pytest

from tests.conversation.linked import LONG, Linked, call, result


@pytest.mark.parametrize("name", ["Task", "Agent"])
def test_a_call_opens_a_conversation_that_was_seen_before_it(name: str) -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("find it")
    linked.ask("a", [call("find it", name=name)], [result()])
    talk = linked.past.talk("r1")
    assert talk and (talk.kind, talk.parent, talk.parent_request, talk.parent_tool) == (
        "subagent",
        "r0",
        "r0",
        LONG,
    )


def test_a_call_opens_a_conversation_that_is_seen_later() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("find it")], [result("started")])
    linked.ask("<system-reminder>x</system-reminder>find it")
    talk = linked.past.talk("r2")
    assert talk and (talk.parent, talk.parent_request) == ("r0", "r0")


def test_another_tool_opens_nothing() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("find it")
    linked.ask("a", [call("find it", name="Search")], [result()])
    talk = linked.past.talk("r1")
    assert talk and talk.parent is None


def test_a_chat_from_before_the_call_is_not_its() -> None:
    linked = Linked()
    linked.ask("find it")
    linked.ask("a", began_at=60_000)
    linked.ask("a", [call("find it")], [result()])
    talk = linked.past.talk("r0")
    assert talk and talk.parent is None


def test_a_chat_of_the_next_day_is_not_its() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("find it")], [result()])
    linked.ask("find it", began_at=2 * 86_400_000)
    talk = linked.past.talk("r2")
    assert talk and talk.parent is None


def test_equal_prompts_side_by_side_are_two_conversations() -> None:
    linked = Linked()
    linked.ask("a", session="s")
    linked.ask("do", session="s", began_at=2000, ended_at=9000)
    linked.ask("do", session="s", began_at=2001, ended_at=9001)
    two = [call("do", id=LONG + "1"), call("do", id=LONG + "2")]
    linked.ask("a", two, [result(id=LONG + "1"), result(id=LONG + "2")], session="s")
    tools = [(talk.id, talk.parent_tool) for talk in linked.past.talks() if talk.parent]
    assert tools == [("r1", LONG + "1"), ("r2", LONG + "2")]


def test_what_else_a_session_sends_stands_beside_its_conversation() -> None:
    linked = Linked()
    linked.ask("a", session="s")
    linked.ask("a title for: a", session="s")
    talk = linked.past.talk("r1")
    assert talk and (talk.kind, talk.parent, talk.parent_request) == ("side", "r0", None)


def test_what_stood_beside_is_adopted_when_its_call_is_seen() -> None:
    linked = Linked()
    linked.ask("a", session="s")
    linked.ask("find it", session="s")
    linked.ask("a", [call("find it")], [result()], session="s")
    talk = linked.past.talk("r1")
    assert talk and (talk.kind, talk.parent_request) == ("subagent", "r0")


def test_a_call_does_not_open_what_it_lies_in() -> None:
    linked = Linked()
    linked.ask("find it")
    linked.ask("find it", [call("find it")], [result()])
    talk = linked.past.talk("r0")
    assert talk and talk.parent is None
