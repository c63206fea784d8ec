"""A provider's bodies: broken framing, what swells, what comes behind the end."""

import asyncio
import gzip
import json
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard

from tests.gateway import until
from tests.hostile.far_side import EVENT_STREAM, GOOD, GOOD_BODY, PLAIN, STREAM, FarSide, answering, chunk
from tests.journeys.wire import connect
from tests.upstream.scripted import Talk

START = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":7}}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_END = b"0\r\n\r\n"
_LONG = b"e" * 100_000


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"zz\r\nbad\r\n", id="a size that is no number"),
        pytest.param(b"-4\r\nevil\r\n", id="a negative size"),
        pytest.param(b"0x4\r\nevil\r\n", id="a size in C's spelling"),
        pytest.param(b"4 \r\nevil\r\n", id="a space behind the size"),
        pytest.param(b"fffffffffffffffff\r\nevil", id="a size beyond 64 bits"),
        pytest.param(b"4\r\nevil!\r\n", id="a chunk longer than said"),
        pytest.param(b"4\nevil\n", id="bare LF"),
        pytest.param(b"\r\nevil", id="no size"),
        pytest.param(b"4;x=\0\r\nevil\r\n", id="NUL in an extension"),
        pytest.param(b"4;x=" + _LONG, id="an extension of 100 KB"),
        pytest.param(b"0\r\nx-trailer: " + _LONG, id="a trailer of 100 KB"),
        pytest.param(b"0\r\n" + b"a: b\r\n" * 20_000, id="20 000 trailers"),
        pytest.param(b"0\r\ncontent-length: 3\r\n\r\n", id="a length among the trailers"),
        pytest.param(b"0\r\nno colon\r\n\r\n", id="a trailer that is none"),
        pytest.param(b"\x00\xff\xfe garbage", id="noise"),
    ],
)
async def test_a_stream_whose_framing_breaks(far: FarSide, tail: bytes) -> None:
    """Bad chunks, extensions or trailers after the first event → an `error` event, then the end; counted"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        await proceed.wait()
        await talk.send(tail)
        await talk.gone()

    proceed = asyncio.Event()
    failed_before = far.account()["error_count"]
    async with far.says(script) as server, connect(far.gateway.url) as client:
        client.send(STREAM)
        await client.until(b"message_start")
        proceed.set()
        answer = await client.answer()
        assert (answer.status, answer.is_whole) == (200, True)
        (first, _), (last, data) = answer.events()
        assert (first, last) == ("message_start", "error")
        assert json.loads(data)["error"]["code"] == "bad_answer"
        record = far.gateway.record_of(answer.id)
        assert (record["status"], record["error"], record["account"]) == (200, "bad_answer", "far")
        assert record["usage"]["input_tokens"] == 7
        assert len(record["attempts"]) == 1
        await until(lambda: server.open_count == 0, what="The provider's connection closes")
    assert far.account()["error_count"] == failed_before + 1
    await far.is_mended()


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"2;name=value\r\nok\r\n" + _END, id="a chunk extension"),
        pytest.param(b"2\r\nok\r\n0\r\nx-trailer: late\r\nx-headgate-error: no\r\n\r\n", id="trailers"),
        pytest.param(b"0" * 100 + b"2\r\nok\r\n" + _END, id="leading zeros"),
    ],
)
async def test_framing_that_is_odd_but_legal(far: FarSide, tail: bytes) -> None:
    """Chunk extensions, trailers → the body as it is; they stay behind, and the connection serves again"""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n" + tail
    async with far.says(answering(said)) as server:
        for _ in range(2):
            answer = await far.ask()
            assert (answer.status, answer.is_whole, answer.body) == (200, True, b"ok")
            assert "x-headgate-error" not in answer.headers
        assert len(server.talks) == 1


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"\r\n\r\n\0", id="line ends and NUL"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", id="a second answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="half a second answer"),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_bytes_behind_an_answer(far: FarSide, behind: bytes, is_chunked: bool) -> None:
    """Garbage or a second answer behind the end, at once → dropped with its connection; none sees it"""
    said = GOOD
    if is_chunked:
        said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(GOOD_BODY) + _END
    async with far.says(answering(said + behind)) as server, connect(far.gateway.url) as client:
        for _ in range(3):
            answer = await client.ask(PLAIN)
            assert (answer.status, answer.is_whole, answer.body) == (200, True, GOOD_BODY)
        assert len(server.talks) == 3


@pytest.mark.parametrize(
    "unasked",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", id="an answer"),
        pytest.param(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n", id="408"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"H", id="one byte"),
    ],
)
async def test_an_answer_to_nobody(far: FarSide, unasked: bytes) -> None:
    """Something said on a connection at rest → that connection closes; the next one gets its own answer"""
    talks: list[Talk] = []

    async def script(talk: Talk) -> None:
        talks.append(talk)
        await answering(GOOD)(talk)

    async with far.says(script) as server:
        for number in range(1, 4):
            answer = await far.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)
            assert len(talks) == number
            await talks[-1].send(unasked)
            await until(lambda: server.open_count == 0, what="The connection closes")


def _memory(pid: int) -> int:
    """KiB that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def _bombs() -> dict[str, bytes]:
    """Each says 200 MB of blanks."""
    blanks = bytes(200_000_000)
    zipped = gzip.compress(blanks, 9, mtime=0)
    return {
        "gzip": zipped,
        "deflate": zlib.compress(blanks, 9),
        "br": brotli.compress(blanks, quality=5),
        "zstd": zstandard.compress(blanks, 3),
    }


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return _bombs()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    "coding",
    [
        pytest.param("gzip", id="gzip"),
        pytest.param("deflate", id="deflate"),
        pytest.param("br", id="br"),
        pytest.param("zstd", id="zstd"),
    ],
)
async def test_an_answer_that_swells(far: FarSide, bombs: dict[str, bytes], coding: str, kind: str) -> None:
    """A compressed answer of 200 MB → handed on as it came; our reading of it ends, memory is given back"""
    bomb = bombs[coding]
    said = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        kind.encode(),
        coding.encode(),
        len(bomb),
        bomb,
    )
    before = _memory(far.gateway.pid)
    async with far.says(answering(said)):
        answers = await asyncio.gather(*[far.ask() for _ in range(4)])
        for answer in answers:
            assert (answer.status, answer.is_whole) == (200, True)
            assert answer.body == bomb
    record = far.gateway.record_of(answers[0].id)
    assert (record["status"], record["error"], record["usage"]) == (200, None, None)
    await until(lambda: _memory(far.gateway.pid) < before + 150_000, what="The memory is given back")
    await far.is_mended()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param(b"gzip", b"no gzip at all", id="no gzip"),
        pytest.param(b"gzip", gzip.compress(GOOD_BODY)[:30], id="half of it"),
        pytest.param(b"br", b"\xff" * 40, id="no br"),
        pytest.param(b"zstd", b"\x28\xb5\x2f\xfd\xff\xff", id="no zstd"),
        pytest.param(b"made-up", GOOD_BODY, id="a made-up coding"),
        pytest.param(b"gzip, br", b"twice", id="two codings"),
    ],
)
async def test_a_coding_that_is_none(far: FarSide, coding: bytes, body: bytes) -> None:
    """A body that is not what Content-Encoding says → handed on as it came, without usage on record"""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: %b\r\n" % coding
    async with far.says(answering(said + b"content-length: %d\r\n\r\n%b" % (len(body), body))):
        answer = await far.ask()
        assert (answer.status, answer.is_whole, answer.body) == (200, True, body)
        record = far.gateway.record_of(answer.id)
        assert (record["status"], record["error"], record["usage"]) == (200, None, None)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"data: " + b"x" * 3_000_000 + b"\n\n", id="an event of 3 MB"),
        pytest.param(b"\n" * 100_000, id="100 000 empty lines"),
        pytest.param(b"\xff\xfe\x00" * 10_000 + b"\n\n", id="no text"),
        pytest.param(b"data: {" + b'{"a":' * 50_000 + b"\n\nevent: error\ndata: [[[\n\n", id="deep nesting"),
        pytest.param(
            b'event: message_start\ndata: {"message":{"usage":{"input_tokens":"x"}}}\n\n', id="odd usage"
        ),
    ],
)
async def test_a_stream_that_is_none(far: FarSide, body: bytes) -> None:
    """Events without measure or sense → every byte handed on, bounded memory, nothing made up on record"""
    said = EVENT_STREAM + chunk(body) + _END
    async with far.says(answering(said)):
        answer = await far.ask(STREAM)
        assert (answer.status, answer.is_whole, answer.body == body) == (200, True, True)
        assert far.gateway.record_of(answer.id)["usage"] is None
