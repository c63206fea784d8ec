"""What is handed to the recorder: each message once."""

from typing import Any

import msgspec

from headgate.dialects.anthropic import read_request
from headgate.record import spans as handing
from headgate.record.events import SpanRecord
from headgate.record.spans import FORGET_SECONDS, HASH_BYTES, LONGEST_SPAN, MOST_BYTES, MOST_SPANS, Spans
from headgate.testing.conversations import coding_request, conversation


class Taken:
    """Stands where the journal does."""

    def __init__(self, *, has_room: bool = True) -> None:
        self.has_room = has_room
        self.now = 1000.0
        self.records: list[SpanRecord] = []
        self.spans = Spans(self.offer, lambda: self.now, seed=2**64 - 1)

    def offer(self, record: SpanRecord) -> bool:
        if self.has_room:
            self.records.append(record)
        return self.has_room

    def serve(self, body: Any) -> bytes:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return read_request(data, hashing=self.spans).spans

    @property
    def bytes(self) -> int:
        return sum(len(one.span) for one in self.records)


def _said(*texts: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}


def test_a_message_is_handed_over_as_it_was_sent_and_once() -> None:
    taken = Taken()
    first = taken.serve(b'{"model":"m","messages":[ {"role": "user", "content":"\\u0041"} ],"system":"x"}')
    assert taken.records == [
        SpanRecord(first[16:], b'{"role": "user", "content":"\\u0041"}', 36, "anthropic", is_first=True)
    ]
    assert (
        taken.serve(b'{"model":"m","messages":[{"role": "user", "content":"\\u0041"}],"system":"x"}') == first
    )
    assert len(taken.records) == 1


def test_a_turn_brings_what_is_new_alone() -> None:
    taken = Taken()
    for body in conversation(seed=2, turns=6):
        assert len(taken.serve(body)) == HASH_BYTES * (1 + len(body["messages"]))
    # Of each turn two messages, and the last one of the turn before once more, whose mark has moved.
    assert len(taken.records) == 1 + 6 * 2 + 5


def test_a_long_history_costs_the_journal_once() -> None:
    taken = Taken()
    body = coding_request(turns=50, history_bytes=220_000)
    taken.serve(body)
    whole = taken.bytes
    for _ in range(20):
        taken.serve(body)
    assert taken.bytes == whole > 150_000


def test_other_seeds_give_other_hashes() -> None:
    """A stranger cannot know which messages have one hash."""
    body = msgspec.json.encode(_said("a"))
    one, other = (Spans(lambda record: True, lambda: 0.0, seed=seed) for seed in (1, 2))
    assert read_request(body, hashing=one).spans != read_request(body, hashing=other).spans


def test_what_the_journal_did_not_take_is_offered_again() -> None:
    taken = Taken(has_room=False)
    taken.serve(_said("a"))
    taken.has_room = True
    taken.serve(_said("a"))
    assert len(taken.records) == 1


def test_of_a_message_that_is_too_long_goes_the_hash() -> None:
    taken = Taken()
    taken.serve(_said("a" * LONGEST_SPAN))
    assert [(one.span, one.size) for one in taken.records] == [(b"", LONGEST_SPAN + 28)]
    taken.serve(_said("a" * LONGEST_SPAN))
    assert len(taken.records) == 1


def test_one_request_brings_no_more_than_its_share() -> None:
    """The rest comes with the next one."""
    taken = Taken()
    body = _said(*(f"{number}" + "a" * 1_000_000 for number in range(10)))
    taken.serve(body)
    assert 3_000_000 < taken.bytes <= MOST_BYTES
    for _ in range(3):
        taken.serve(body)
    assert len(taken.records) == 10


def test_too_many_messages_are_not_linked() -> None:
    taken = Taken()
    assert taken.serve(_said(*["a"] * (MOST_SPANS + 1))) == b""
    assert len(taken.serve(_said(*["a"] * MOST_SPANS))) == HASH_BYTES * (1 + MOST_SPANS)


def test_a_body_of_millions_of_numbers_is_not_taken_apart() -> None:
    """Their list alone would take a gigabyte."""
    taken = Taken()
    assert taken.serve(b'{"model":"m","messages":[' + b"1," * 600_000 + b"1]}") == b""


def test_messages_that_are_no_list_are_the_providers_to_judge() -> None:
    for messages in (b"7", b'"a"', b"{}", b"null", b"[]"):
        assert Taken().serve(b'{"model":"m","messages":' + messages + b"}") == b""


def test_after_half_a_day_everything_is_handed_over_again() -> None:
    """The recorder keeps it for a week from then."""
    taken = Taken()
    taken.serve(_said("a"))
    taken.now += FORGET_SECONDS + 1
    taken.serve(_said("a", "b"))
    assert [msgspec.json.decode(one.span)["content"] for one in taken.records] == ["a", "a", "b"]


def test_what_is_used_stays_known_and_the_rest_goes(monkeypatch: Any) -> None:
    monkeypatch.setattr(handing, "MOST_KNOWN", 10)
    taken = Taken()
    taken.serve(_said("kept"))
    for number in range(100):
        taken.serve(_said("kept", str(number)))
    contents = [msgspec.json.decode(one.span)["content"] for one in taken.records]
    assert contents.count("kept") == 1 and len(contents) == 101
    taken.serve(_said("0"))
    assert len(taken.records) == 102


def test_without_titles_no_message_is_the_first() -> None:
    taken = Taken()
    taken.spans.keeps_titles = False
    taken.serve(_said("a"))
    assert [one.is_first for one in taken.records] == [False]


def test_the_session_of_an_opening_is_the_same_either_way() -> None:
    """Whether messages are taken apart or not: accounts are chosen by it."""
    for body in (coding_request(3), _said("a"), _said("a" * 2_000_000), {"model": "m", "messages": [1, []]}):
        data = msgspec.json.encode({**body, "metadata": None})
        with_spans = read_request(data, hashing=Taken().spans).session
        assert with_spans is not None and with_spans.startswith("opening-")
        if len(data) < 1_000_000:
            assert with_spans == read_request(data).session
