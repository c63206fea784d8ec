"""Small cases, one rule each. Requests are named r0, r1, … in the order they are asked."""

from headgate.conversation.past import MOST_AT_A_PREFIX, Link
from tests.conversation.linked import Linked, text

SUMMARY = "This session is being continued from a previous conversation that ran out of context. Summary: x"
WISH = "Your task is to create a detailed summary of the conversation so far, with care."


def what(link: Link) -> tuple[str, int, str, str | None]:
    return link.conversation, link.branch, link.relation, link.parent


# ---- going on ------------------------------------------------------------------------------------


def test_a_first_request_begins_a_conversation() -> None:
    assert what(Linked().ask("a")) == ("r0", 0, "start", None)


def test_the_next_turn_goes_on() -> None:
    linked = Linked()
    linked.ask("a")
    assert what(linked.ask("a", "b", "c")) == ("r0", 0, "next", "r0")


def test_turns_that_nobody_saw_between_do_not_matter() -> None:
    linked = Linked()
    linked.ask("a")
    assert what(linked.ask("a", "b", "c", "d", "e", "f", "g")) == ("r0", 0, "next", "r0")


def test_the_longest_match_wins() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    assert linked.ask("a", "b", "c", "d", "e").parent == "r1"


def test_a_beginning_with_an_answer_given_by_the_client_goes_on_too() -> None:
    linked = Linked()
    linked.ask("a", "b")
    assert what(linked.ask("a", "b", "c")) == ("r0", 0, "next", "r0")


def test_other_words_are_another_conversation() -> None:
    linked = Linked()
    linked.ask("a")
    assert what(linked.ask("b")) == ("r1", 0, "start", None)


def test_the_same_first_block_alone_is_no_conversation_in_common() -> None:
    """Clients put the same context before every question."""
    linked = Linked()
    linked.ask([text("context"), text("one")])
    assert linked.ask([text("context"), text("two")]).relation == "start"


def test_a_conversation_first_seen_in_its_middle_is_known_by_its_blocks() -> None:
    linked = Linked()
    linked.ask("a", "b", "c", "d", "e")
    assert what(linked.ask("a", "b", "x")) == ("r0", 1, "fork", None)


def test_a_message_added_before_the_answer_came_goes_on() -> None:
    linked = Linked()
    linked.ask("a", ok=False)
    assert what(linked.ask([text("a"), text("b")])) == ("r0", 0, "next", "r0")


# ---- branches ------------------------------------------------------------------------------------


def test_another_last_message_is_a_fork() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    assert what(linked.ask("a", "b", "x")) == ("r0", 1, "fork", "r0")


def test_another_answer_in_the_history_is_a_fork() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    linked.ask("a", "b", "c", "d", "e")
    assert what(linked.ask("a", "b", "c", "other", "e")) == ("r0", 1, "fork", "r1")


def test_a_fork_is_gone_on_with_in_its_branch() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    linked.ask("a", "b", "x")
    assert what(linked.ask("a", "b", "x", "y", "z")) == ("r0", 1, "next", "r2")
    assert what(linked.ask("a", "b", "c", "d", "e")) == ("r0", 0, "next", "r1")


def test_a_fork_of_a_fork_is_a_branch_of_its_own() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    linked.ask("a", "b", "x")
    linked.ask("a", "b", "x", "y", "z")
    assert what(linked.ask("a", "b", "x", "y", "w")) == ("r0", 2, "fork", "r2")


def test_three_forks_within_a_second_are_three_branches() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    branches = [linked.ask("a", "b", word, began_at=5000).branch for word in ("x", "y", "z")]
    assert branches == [1, 2, 3]


# ---- retries -------------------------------------------------------------------------------------


def test_the_same_request_again_is_a_retry() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", "c")
    assert what(linked.ask("a", "b", "c")) == ("r0", 0, "retry", "r0")


def test_what_follows_a_retry_goes_on_from_it() -> None:
    linked = Linked()
    linked.ask("a", ok=False)
    assert what(linked.ask("a")) == ("r0", 0, "retry", None)
    assert what(linked.ask("a", "b", "c")) == ("r0", 0, "next", "r1")


def test_an_opening_that_was_answered_is_another_chat_the_second_time() -> None:
    linked = Linked()
    linked.ask("hello")
    assert what(linked.ask("hello")) == ("r1", 0, "start", None)


def test_an_opening_again_in_the_session_it_began_is_a_retry() -> None:
    linked = Linked()
    linked.ask("hello", session="s")
    assert what(linked.ask("hello", session="s")) == ("r0", 0, "retry", None)


# ---- chats that look alike -----------------------------------------------------------------------


def test_callers_are_kept_apart() -> None:
    linked = Linked()
    linked.ask("a", caller="ann")
    assert linked.ask("a", "b", "c", caller="bob").relation == "start"


def test_sessions_keep_equal_chats_apart() -> None:
    linked = Linked()
    linked.ask("a", session="one")
    linked.ask("a", session="two")
    assert linked.ask("a", "b", "c", session="one").parent == "r0"
    assert linked.ask("a", "b", "c", session="two").parent == "r1"


def test_a_session_goes_on_with_itself_even_where_another_one_had_the_same_answer() -> None:
    linked = Linked()
    linked.ask("a", session="one")
    linked.ask("a", "b", "c", session="one")
    linked.ask("a", session="two")
    assert linked.ask("a", "b", "c", session="two").parent == "r2"


def test_a_session_resumed_under_another_name_goes_on() -> None:
    linked = Linked()
    linked.ask("a", session="one")
    linked.ask("a", "b", "c", session="one")
    assert what(linked.ask("a", "b", "c", "d", "e", session="two")) == ("r0", 0, "next", "r1")


def test_of_two_equal_openings_the_one_without_an_answer_yet_is_gone_on_with() -> None:
    linked = Linked()
    linked.ask("hello")
    linked.ask("hello")
    linked.ask("hello", "to you", "c")
    assert linked.ask("hello", "good day", "c").conversation == "r0"


def test_of_two_equal_openings_the_one_whose_answer_is_known_is_gone_on_with() -> None:
    linked = Linked()
    linked.ask("hello")
    linked.ask("hello", "to you", "c")
    linked.ask("hello")
    assert what(linked.ask("hello", "to you", "x")) == ("r0", 1, "fork", "r0")


def test_of_two_equal_openings_the_length_of_the_answer_tells() -> None:
    linked = Linked()
    linked.ask("hello", tokens=500)
    linked.ask("hello", tokens=5)
    assert linked.ask("hello", "word " * 400, "c").parent == "r0"
    assert linked.ask("hello", "a short answer", "c").parent == "r1"


def test_of_two_equal_openings_the_system_prompt_tells() -> None:
    linked = Linked()
    linked.ask("hello", system="one")
    linked.ask("hello", system="two")
    assert linked.ask("hello", "b", "c", system="one").parent == "r0"


def test_another_system_prompt_parts_nothing() -> None:
    linked = Linked()
    linked.ask("a", system="today is Monday")
    assert linked.ask("a", "b", "c", system="today is Tuesday").parent == "r0"


def test_a_request_still_under_way_is_not_gone_on_with() -> None:
    linked = Linked()
    linked.ask("hello", began_at=0, ended_at=100)
    linked.ask("hello", began_at=50, ended_at=9000)
    assert linked.ask("hello", "b", "c", began_at=200, ended_at=300).parent == "r0"


def test_a_million_equal_openings_are_not_kept() -> None:
    linked = Linked()
    first = linked.ask("ping")
    for _ in range(20):
        linked.ask("ping")
    assert len(linked.past.places(first.prefix)) == MOST_AT_A_PREFIX


# ---- compaction ----------------------------------------------------------------------------------


def test_a_summary_goes_on_from_the_request_that_asked_for_it() -> None:
    linked = Linked()
    linked.ask("a")
    linked.ask("a", "b", WISH)
    assert what(linked.ask(SUMMARY)) == ("r0", 1, "compaction", "r1")
    assert what(linked.ask(SUMMARY, "b", "c")) == ("r0", 1, "next", "r2")


def test_a_summary_in_a_session_needs_no_wish() -> None:
    linked = Linked()
    linked.ask("a", session="s")
    linked.ask("a", "b", "c", session="s")
    assert what(linked.ask(SUMMARY, session="s")) == ("r0", 1, "compaction", "r1")


def test_a_summary_of_something_unknown_begins_a_conversation() -> None:
    assert Linked().ask(SUMMARY).relation == "start"


def test_a_summary_after_a_week_is_not_of_that_wish() -> None:
    linked = Linked()
    linked.ask("a", "b", WISH)
    assert linked.ask(SUMMARY, began_at=8 * 86_400_000).relation == "start"


def test_one_wish_has_one_summary() -> None:
    linked = Linked()
    linked.ask("a", "b", WISH)
    linked.ask(SUMMARY)
    assert linked.ask(SUMMARY + " another").relation == "start"


def test_of_two_wishes_the_length_of_the_summary_tells() -> None:
    linked = Linked()
    linked.ask("a", "b", WISH, tokens=2000)
    linked.ask("x", "y", WISH, tokens=30)
    assert linked.ask(SUMMARY + "word " * 1600).conversation == "r0"
