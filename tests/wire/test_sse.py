"""Server-sent events in any line ends, cut anywhere; and what is said into a broken stream."""

import json
from itertools import pairwise

import pytest
from anthropic._streaming import SSEDecoder
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.wire.sse import EventBuffer, interrupt, read_events

TRANSCRIPT = (
    'event: message_start\ndata: {"type":"message_start","note":"Größe 水 😀"}\n\n'
    ": a comment\n\n"
    "event: ping\ndata: {}\n\n"
    'event: content_block_delta\nid: 7\ndata: {"type":"content_block_delta",\n'
    'data: "text":"接続 👩\u200d💻"}\n\n'
    'data:{"no":"name and no space"}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
).encode()
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"broken off"}}\n\n'
LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def _read(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    buffer = EventBuffer()
    found = [event for piece in pieces for event in read_events(buffer.feed(piece))]
    return found + list(read_events(buffer.rest()))


@pytest.mark.parametrize("line_end", LINE_ENDS)
@given(cuts=st.lists(st.integers(0, 2000)))
def test_any_cut_gives_the_same_events(line_end: bytes, cuts: list[int]) -> None:
    """Also inside a line end or a character; all three line ends of the standard."""
    data = TRANSCRIPT.replace(b"\n", line_end)
    assert _read(_cut(data, cuts)) == list(read_events(TRANSCRIPT))


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_one_byte_at_a_time(line_end: bytes) -> None:
    data = TRANSCRIPT.replace(b"\n", line_end)
    assert _read([bytes([byte]) for byte in data]) == list(read_events(TRANSCRIPT))


def test_events_are_read_as_the_standard_says() -> None:
    """Names, joined data lines, comments and unknown fields (WHATWG HTML, section 9.2.6)."""
    names = [name for name, _ in read_events(TRANSCRIPT)]
    assert names == [b"message_start", b"ping", b"content_block_delta", b"", b"message_stop"]
    block = b": c\nevent: a\nevent: b\nid: 1\ndata: x\ndata:y\ndata\ndata:  z\nodd\n\nevent: lonely\n\n"
    assert list(read_events(block)) == [(b"b", b"x\ny\n\n z")]


def test_events_are_handed_out_whole_and_at_once() -> None:
    """Nothing waits for the event behind it."""
    buffer = EventBuffer()
    assert buffer.feed(b"data: a\n\ndata: b") == b"data: a\n\n"
    assert (buffer.tail, buffer.is_empty) == (b"data: b", False)
    assert buffer.feed(b"\n\n") == b"data: b\n\n"
    assert (buffer.tail, buffer.is_empty) == (b"", True)


def test_an_endless_event_is_dropped_and_the_next_ones_are_read() -> None:
    """Memory is bounded, and that something was lost is known."""
    buffer = EventBuffer(limit=100)
    assert buffer.feed(b"data: " + b"x" * 200) == b""
    assert buffer.has_overflowed
    assert list(read_events(buffer.feed(b"xx\n\ndata: next\n\n")))[-1] == (b"", b"next")


# ---- interrupt -----------------------------------------------------------------------------------


def _as_the_sdk_reads(data: bytes) -> list[tuple[str | None, str]]:
    return [(event.event, event.data) for event in SSEDecoder().iter_bytes(iter([data]))]


@pytest.mark.parametrize("line_end", LINE_ENDS)
@given(cut=st.integers(0, len(TRANSCRIPT) * 2))
@example(cut=len(b"event: message_start\n"))
@example(cut=len(b"event: message_start\r\n"))
def test_a_cut_stream_ends_in_one_error_event(line_end: bytes, cut: int) -> None:
    """The SDK's decoder sees the whole events before the cut, of a half one a ping, then one error."""
    data = TRANSCRIPT.replace(b"\n", line_end)
    came = data[:cut]
    buffer = EventBuffer()
    whole = _as_the_sdk_reads(buffer.feed(came))
    seen = _as_the_sdk_reads(came + interrupt(buffer.tail, ERROR, ignored=b"ping"))
    name, text = seen.pop()
    assert name == "error"
    assert json.loads(text)["error"]["message"] == "broken off"
    assert seen[: len(whole)] == whole
    assert [name for name, _ in seen[len(whole) :]] in ([], ["ping"])


@given(text=st.text(), cut=st.integers(0, 400))
def test_a_cut_character_is_filled_up(text: str, cut: int) -> None:
    """Clients decode line by line: half a character must not spoil the line."""
    tail = (b"data: " + text.encode("utf-8", "ignore"))[: 6 + cut]
    if b"\n" not in tail and b"\r" not in tail:
        assert (tail + interrupt(tail, ERROR, ignored=b"ping")).decode().endswith(ERROR.decode())
