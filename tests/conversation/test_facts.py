"""What a message comes to, whatever its form."""

import time
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.conversation.chain import MOST_CALLS
from headgate.conversation.facts import MOST_UNITS, Facts, said_hash
from headgate.dialects.anthropic_turns import read_facts
from tests.conversation.linked import chain_of

_words = st.text(st.characters(codec="utf-8"), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_text_blocks = st.builds(lambda text: {"type": "text", "text": text}, _words)
_calls = st.builds(
    lambda id, name, value: {"type": "tool_use", "id": id, "name": name, "input": value},
    *(_words, _words, st.dictionaries(_words, _json, max_size=3)),
)
_results = st.builds(
    lambda id, content: {"type": "tool_result", "tool_use_id": id, "content": content},
    *(_words, _words | st.lists(_text_blocks, max_size=2)),
)
_blocks = st.lists(_text_blocks | _calls | _results, max_size=4)
_messages = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        *(st.sampled_from(["user", "assistant"]), _blocks | _words),
    ),
    max_size=5,
)


def _chain(messages: list[Any]) -> tuple[bytes, ...]:
    return chain_of([read_facts(msgspec.json.encode(one)) for one in messages], b"").prefixes


@settings(max_examples=40)
@given(_messages, st.randoms(use_true_random=False))
def test_equal_forms_have_one_chain(messages: list[Any], dice: Any) -> None:
    """Messages in pieces, strings as blocks, keys in another order, marks and reminders here and there."""
    assert _chain(_in_other_words(messages, dice)) == _chain(messages)


@settings(max_examples=25)
@given(_messages, _messages)
def test_a_longer_history_has_the_prefixes_of_the_shorter(messages: list[Any], more: list[Any]) -> None:
    short = _chain(messages)
    assert _chain(messages + more)[: len(short)] == short


@given(st.binary(max_size=60))
def test_any_bytes_come_to_something(span: bytes) -> None:
    facts = read_facts(span)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=Facts) == facts


def _in_other_words(messages: list[Any], dice: Any) -> list[Any]:
    said = []
    for message in messages:
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        blocks = [_reordered(block, dice) for block in blocks]
        if message["role"] == "user" and dice.random() < 0.5:
            blocks.insert(0, {"type": "text", "text": "<system-reminder>x</system-reminder>"})
        while len(blocks) > 1 and dice.random() < 0.5:
            said.append({"content": [blocks.pop(0)], "role": message["role"]})
        said.append({"content": blocks, "role": message["role"]})
    return said


def _reordered(block: dict[str, Any], dice: Any) -> dict[str, Any]:
    items = list(block.items())
    dice.shuffle(items)
    if dice.random() < 0.3:
        items.append(("cache_control", {"type": "ephemeral"}))
    return dict(items)


def test_a_prompt_and_the_words_that_open_with_it_are_equal() -> None:
    words = "  Look\r\nfor it <system-reminder>x</system-reminder>"
    facts = read_facts(msgspec.json.encode({"role": "user", "content": words}))
    assert facts.said == said_hash("Look\nfor it")


def test_a_title_is_one_short_line() -> None:
    facts = read_facts(msgspec.json.encode({"role": "user", "content": "a\n\n b " + "c" * 900}))
    assert facts.title is not None and facts.title.startswith("a b ccc") and len(facts.title) == 120


def test_half_a_surrogate_pair_is_no_obstacle() -> None:
    assert read_facts(rb'{"role":"user","content":"\ud800"}').units


def test_deep_nesting_is_opaque() -> None:
    deep = b'{"role":"user","content":[{"type":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    assert len(read_facts(deep).units) == 16


def test_a_megabyte_of_openings_takes_a_moment() -> None:
    """Not the square of its length."""
    began = time.process_time()
    for words in ("<system-reminder>" * 60_000, " " * 1_000_000 + "x", "<" * 1_000_000):
        read_facts(msgspec.json.encode({"role": "user", "content": words}))
    assert time.process_time() - began < 2


def test_a_message_of_very_many_blocks_has_a_bounded_number_that_count() -> None:
    blocks = [{"type": "text", "text": str(number)} for number in range(5_000)]
    one, other = (
        read_facts(msgspec.json.encode({"role": "user", "content": some})) for some in (blocks, blocks[:-1])
    )
    assert len(one.sides) == MOST_UNITS == len(one.units) // 16 == len(one.ids) // 16
    assert one.units != other.units and one.units[:-16] == other.units[:-16]


def test_of_very_many_calls_the_latest_count() -> None:
    use = {"type": "tool_use", "name": "Task"}
    messages = [
        {"role": "assistant", "content": [{**use, "id": f"{at}", "input": {"prompt": f"p{at}"}}]}
        for at in range(MOST_CALLS + 50)
    ]
    chain = chain_of([read_facts(msgspec.json.encode(one)) for one in messages], b"")
    assert len(chain.calls) == MOST_CALLS and chain.calls[-1][0] == len(messages)
