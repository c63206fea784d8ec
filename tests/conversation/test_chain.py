"""The same in another form is the same. Requests are named r0, r1, … in the order they are asked."""

from typing import Any

import pytest

from tests.conversation.linked import Linked, call, result, text


@pytest.mark.parametrize(
    "again",
    [
        "a",
        [text("a")],
        [text("a", cache_control={"type": "ephemeral"})],
        [text("a\n"), text("")],
        [text("<system-reminder>\nbe kind\n</system-reminder>"), text("a")],
        [text("a\n\n<system-reminder>be kind</system-reminder>")],
        [text("<SYSTEM-REMINDER>x</SYSTEM-REMINDER>a<system-reminder>y</system-reminder>")],
    ],
)
def test_the_form_of_words_does_not_matter(again: Any) -> None:
    linked = Linked()
    linked.ask("a")
    assert linked.ask(again, "b", "c").parent == "r0"


def test_line_ends_do_not_matter() -> None:
    linked = Linked()
    linked.ask("a\r\nb")
    assert linked.ask("a\nb", "c", "d").parent == "r0"


def test_a_turn_of_reminders_alone_is_none() -> None:
    linked = Linked()
    linked.ask("a")
    reminder = {"role": "user", "content": "<system-reminder>x</system-reminder>"}
    assert linked.ask(reminder, {"role": "user", "content": "a"}, "b", "c").parent == "r0"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_prompt_among_the_messages_is_a_hint_too(role: str) -> None:
    """Claude Code writes date and folder there, and writes it anew in a session that is resumed."""
    linked = Linked()
    first = {"role": "user", "content": "a"}
    linked.ask(first, {"role": role, "content": "Today's date is 2026-11-26."})
    history = (first, {"role": role, "content": "Today's date is 2026-11-27."})
    assert linked.ask(*history, {"role": "assistant", "content": "b"}, "c").parent == "r0"


def test_where_messages_end_does_not_matter() -> None:
    linked = Linked()
    linked.ask([text("a"), text("b")])
    one, two = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    assert linked.ask(one, two, {"role": "assistant", "content": "c"}, "d").parent == "r0"


def test_thoughts_that_were_left_out_do_not_matter() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [{"type": "thinking", "thinking": "hm", "signature": "x"}, text("b")], "c")
    assert linked.ask("a", [text("b")], "c", "d", "e").parent == "r1"


def test_results_that_were_cleared_do_not_matter() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("p", name="Read")], [result("long " * 99)])
    history = ("a", [call("p", name="Read")], [result("[Old tool result content cleared]")])
    assert linked.ask(*history, "d", "e").parent == "r1"


def test_results_under_a_counter_are_told_apart_by_what_they_say() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("p", name="Read", id="1")], [result("x", id="1")])
    assert linked.ask("a", [call("p", name="Read", id="1")], [result("y", id="1")]).relation == "fork"


def test_a_result_is_the_same_as_words_or_as_a_block() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("p", name="Read", id="1")], [result("x", id="1")])
    history = ("a", [call("p", name="Read", id="1")], [result([text("x")], id="1")])
    assert linked.ask(*history, "d", "e").parent == "r1"


def test_the_order_of_keys_does_not_matter() -> None:
    linked = Linked()
    linked.ask("a")
    use = {"type": "tool_use", "id": "1", "name": "Read", "input": {"a": 1, "b": {"c": 2, "d": 3}}}
    other = {"input": {"b": {"d": 3, "c": 2}, "a": 1}, "name": "Read", "id": "1", "type": "tool_use"}
    linked.ask("a", [use], [result(id="1")])
    assert linked.ask("a", [other], [result(id="1")], "d", "e").parent == "r1"


def test_repeated_tool_ids_count_once() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", [call("p", name="Read")], [result()])
    history = ("a", [call("p", name="Read")], [result()], [call("p", name="Read")], [result()])
    assert linked.ask(*history, "d", "e").parent == "r1"


def test_another_image_is_something_else() -> None:
    def image(data: str) -> list[dict[str, Any]]:
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return [{"type": "image", "source": source}]

    linked = Linked()
    linked.ask(image("AAAA"))
    assert linked.ask(image("BBBB"), "b", "c").relation == "start"
    assert linked.ask(image("AAAA"), "b", "c").parent == "r0"


@pytest.mark.parametrize(
    "odd", [7, None, ["x"], {"content": "a"}, {"role": 3}, {"role": "user", "content": 5}]
)
def test_what_is_no_message_is_the_same_as_itself(odd: Any) -> None:
    linked = Linked()
    linked.ask({"role": "user", "content": "a"}, {"role": "?", "content": [odd]})
    again = ({"role": "user", "content": "a"}, {"role": "?", "content": [odd]})
    assert linked.ask(*again, {"role": "assistant", "content": "b"}, "c").parent == "r0"
