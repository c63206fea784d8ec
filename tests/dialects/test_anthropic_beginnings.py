"""A body whose beginning is known is read as it would be by itself."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import xxhash

from headgate.dialects import anthropic_beginnings as module
from headgate.dialects.anthropic import read_request
from headgate.dialects.anthropic_beginnings import LEFT_OUT, STEP_BYTES, Beginnings
from headgate.errors import InvalidRequest
from headgate.record.events import SpanRecord
from headgate.record.spans import HASH_BYTES, MOST_SPANS, Spans
from headgate.testing.conversations import coding_request, conversation

STEP = 512
"""Small, so that short conversations have many."""


class Reader:
    """One gateway's memory of bodies and of messages."""

    def __init__(self, *, step_bytes: int = STEP) -> None:
        self.records: list[SpanRecord] = []
        self.spans = Spans(self._offer, lambda: 0.0, seed=5)
        self.beginnings = Beginnings(self.spans.hasher, step_bytes=step_bytes)

    def _offer(self, record: SpanRecord) -> bool:
        self.records.append(record)
        return True

    def read(self, body: bytes) -> Any:
        """The facts, or what the caller is told."""
        return _outcome(body, self.spans, self.beginnings)

    def found(self, body: bytes) -> int:
        """How many messages are not read again."""
        before = self.beginnings.find(self.beginnings.digests(body))
        return 0 if before is None else len(before.hashes)


def _outcome(body: bytes, spans: Spans, beginnings: Beginnings | None = None) -> Any:
    try:
        return read_request(body, hashing=spans, beginnings=beginnings)
    except InvalidRequest as error:
        return error.message, error.hint


def _alone(body: bytes) -> Any:
    return _outcome(body, Reader().spans)


def _written(dice: random.Random, request: dict[str, Any]) -> Any:
    """A way to write requests down: the order of their fields, blanks, escapes; the same for all turns."""
    names = list(request)
    dice.shuffle(names)
    blanks = dice.choice([(",", ":"), (", ", ": "), (" , ", " :\t"), (",\n", ":\r\n")])
    is_ascii = dice.random() < 0.3

    def write(turn: dict[str, Any]) -> bytes:
        ordered = {name: turn[name] for name in names}
        return json.dumps(ordered, separators=blanks, ensure_ascii=is_ascii).encode()

    return write


def _turns(seed: int, turns: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    write = None
    for request in conversation(seed, turns=turns):
        if dice.random() < 0.4:
            request["metadata"] = None  # the opening names the conversation
        write = write or _written(dice, request)
        yield write(request)


# ---- the same facts ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_turn_by_turn_all_is_read_as_if_alone(seed: int) -> None:
    """However a client writes its bodies; each message is handed over once, only the first one as first."""
    reader, other = Reader(), Reader()
    for body in _turns(seed, 12):
        assert reader.read(body) == _outcome(body, other.spans)
    assert reader.records == other.records
    assert reader.found(body) >= 12


@pytest.mark.parametrize("seed", range(40))
def test_what_is_wrong_is_told_as_if_alone(seed: int) -> None:
    """One byte other than it was, anywhere, before and behind what is known: the same answer, good or bad."""
    dice = random.Random(seed)
    reader = Reader()
    *_, last = (body for body in _turns(seed, 8) if reader.read(body))
    assert reader.found(last)
    refused = 0
    for _ in range(150):
        damaged = bytearray(last)
        where = dice.randrange(len(last))
        match dice.randrange(3):
            case 0:
                damaged[where] = dice.choice(b'{}[],:"\\\x00\xff0a ')
            case 1:
                del damaged[where : where + dice.choice((1, 2, 700))]
            case _:
                damaged[where:where] = dice.choice((b",", b"]", b"\xc3", b'"messages":[7],', b"\\ud800"))
        told = _alone(bytes(damaged))
        assert reader.read(bytes(damaged)) == told
        refused += isinstance(told, tuple)
    assert refused > 50
    assert reader.read(last) == _alone(last)


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"]}", id="a list that ends in a comma"),
        pytest.param(b"}", id="no end of the list"),
        pytest.param(b'{"role":"user"}]', id="no end of the body"),
        pytest.param(
            b'{"role":"user"}],"messages":[{"role":"user","content":"x"}]}', id="another list behind"
        ),
        pytest.param(b'{"role":"user"}],"messages":7}', id="no list behind"),
        pytest.param(b'{"role":"user"}],"messages":[]}', id="an empty list behind"),
        pytest.param(b'{"role":"user","content":"\xff"}]}', id="no text"),
        pytest.param(b"7]}", id="a number"),
        pytest.param(b'{"role":"user"} , {"role":"user"} ] , "stream" : true }', id="in order"),
    ],
)
def test_whatever_follows_a_known_beginning(tail: bytes) -> None:
    messages = [{"role": "user", "content": f"{number} {'x' * 200}"} for number in range(20)]
    head = b'{"model":"m","messages":' + json.dumps(messages).encode()[:-1] + b", "
    reader = Reader()
    for _ in range(2):
        reader.read(head + b"".join(b'{"n":%d},' % number for number in range(LEFT_OUT)) + b"{}]}")
    assert reader.found(head + tail) >= 18
    assert reader.read(head + tail) == _alone(head + tail)


def test_the_name_elsewhere_is_not_the_list() -> None:
    """A tool whose argument is called so, before the list, with the same first message in its example."""
    first = {"role": "user", "content": "a" * 600}
    tools = [{"name": "send", "input_schema": {"messages": [first, {"role": "user", "content": "other"}]}}]
    said = [first] + [{"role": "user", "content": f"{n} {'b' * 300}"} for n in range(9)]
    reader = Reader()
    for number in range(5, 10):
        body = msgspec.json.encode({"model": "m", "tools": tools, "messages": said[:number]})
        assert reader.read(body) == _alone(body)


# ---- what is remembered --------------------------------------------------------------------------


def test_what_comes_once_is_only_noted() -> None:
    """A conversation of which there was one turn yet, or whoever never asks twice."""
    reader = Reader()
    bodies = [list(_turns(seed, 6))[-1] for seed in range(30)]
    for body in bodies:
        reader.read(body)
        assert not reader.found(body)
    reader.read(body)
    assert reader.found(body)


def test_there_is_an_end_to_what_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SEEN", 100)
    reader = Reader()
    for seed in range(30):
        reader.read(list(_turns(seed, 2))[-1])
        assert len(reader.beginnings._seen) < 100 + 200


def test_most_of_a_long_history_is_not_read_again() -> None:
    """All but one step and the last messages."""
    reader = Reader(step_bytes=STEP_BYTES)
    body = msgspec.json.encode(coding_request(turns=60, history_bytes=220_000))
    for _ in range(2):
        reader.read(body)
    before = reader.beginnings.find(reader.beginnings.digests(body))
    assert before is not None
    assert len(before.cut_out_of(body)) < 40_000 + STEP_BYTES


def test_a_message_that_the_recorder_may_have_forgotten_is_read_again() -> None:
    """It is handed over anew, not only named."""
    reader = Reader()
    *_, body = (body for body in _turns(1, 8) if reader.read(body))
    told = len(reader.records)
    reader.spans = Spans(reader._offer, lambda: 0.0, seed=5)
    assert reader.read(body) == _alone(body)
    assert len(reader.records) == 2 * told - 7  # the moved marks of seven turns are gone


def test_more_messages_than_are_linked() -> None:
    messages = [{"role": "user", "content": str(number)} for number in range(MOST_SPANS)]
    reader = Reader()
    body = msgspec.json.encode({"model": "m", "messages": messages})
    for _ in range(2):
        assert len(reader.read(body).spans) == HASH_BYTES * (1 + MOST_SPANS)
    longer = msgspec.json.encode({"model": "m", "messages": [*messages, {"role": "user", "content": "x"}]})
    assert reader.found(longer)
    assert reader.read(longer).spans == b""


def test_there_is_an_end_to_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for the longest time goes; what is used stays."""
    monkeypatch.setattr(module, "MOST_HASHES", 100)
    reader = Reader()
    bodies = [list(_turns(seed, 6))[-1] for seed in range(30)]
    for body in bodies:
        for one in (body, body, bodies[0]):
            reader.read(one)
    known = [bool(reader.found(body)) for body in bodies]
    assert known[0] and known[-1] and not any(known[1:15])
    assert reader.beginnings._held == sum(len(one.hashes) for one in reader.beginnings._known.values()) <= 100


def test_digests_are_those_of_the_bytes_before_each_step() -> None:
    body = random.Random(3).randbytes(5 * STEP + 7)
    reader = Reader()
    expected = [xxhash.xxh3_128_digest(body[:end], 5) for end in range(STEP, len(body), STEP)]
    assert reader.beginnings.digests(body) == expected
