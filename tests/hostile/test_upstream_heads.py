"""A provider's heads: what is no HTTP, what is too much, what must not be passed on."""

import pytest

from tests.gateway import until
from tests.hostile.far_side import GOOD, GOOD_BODY, GOOD_LINES, TO_ANYBODY, FarSide, answering, error_of
from tests.journeys.wire import ask, connect, request
from tests.upstream.scripted import Talk

OK = b"HTTP/1.1 200 OK\r\n"
_FILLER = b"x-filler: %b\r\n" % (b"f" * 1000)


async def _is_no_answer(far: FarSide, said: bytes) -> None:
    """Nobody gets such an answer: alone the account fails, with another one that one serves."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(said)
        await talk.gone()

    async with far.says(script) as server:
        answer = await far.ask()
        assert (answer.status, answer.is_whole) == (502, True)
        error = error_of(answer)
        assert error["code"] == "all_accounts_failed"
        assert error["lastError"].startswith("EBADANSWER: ")
        record = far.gateway.record_of(answer.id)
        assert [one["error"] for one in record["attempts"]] == ["bad_answer"]
        assert (record["status"], record["error"], record["account"]) == (502, "all_accounts_failed", None)
        assert record["attempts"][0]["rests_until"] is not None
        far.rest()
        other = await far.ask(TO_ANYBODY)
        assert (other.status, other.is_whole) == (200, True)
        assert far.gateway.record_of(other.id)["account"] == "good"
        await until(lambda: server.open_count == 0, what="The gateway closed every such connection")
    await far.is_mended()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(OK + b"x: a\0b\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="NUL in a value"),
        pytest.param(OK + b"x: a\rset-cookie: b\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="bare CR"),
        pytest.param(OK + b"x: a\nset-cookie: b\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="bare LF"),
        pytest.param(OK + b"x: a\r\n folded\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="a folded line"),
        pytest.param(OK + b"x: \x01\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="a control character"),
        pytest.param(OK + b"x y: z\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="a space in a name"),
        pytest.param(OK + b"x : z\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="a space before the colon"),
        pytest.param(OK + b"no colon\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="a line without a colon"),
        pytest.param(OK + b": z\r\n" + GOOD_LINES + b"\r\n" + GOOD_BODY, id="an empty name"),
        pytest.param(GOOD.replace(b"OK", b"O\0K", 1), id="NUL in the reason"),
        pytest.param(GOOD.replace(b"OK", b"O\x1b[2JK", 1), id="an escape in the reason"),
        pytest.param(GOOD.replace(b" OK\r\n", b" OK\n", 1), id="a status line that ends in LF"),
    ],
)
async def test_a_head_that_smuggles(far: FarSide, said: bytes) -> None:
    """Header injection and its kin in an answer → no answer: `bad_answer`, the next account serves"""
    await _is_no_answer(far, said)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2p1\r\n", id="SSH"),
        pytest.param(b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0", id="HTTP/2 settings"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(GOOD.replace(b"HTTP/1.1", b"HTTP/2.0", 1), id="HTTP/2.0 in clear"),
        pytest.param(GOOD.replace(b"HTTP/1.1", b"HTTP/0.9", 1), id="HTTP/0.9"),
        pytest.param(GOOD.replace(b"HTTP/1.1", b"RTSP/1.0", 1), id="RTSP"),
        pytest.param(GOOD.replace(b"HTTP/1.1", b"http/1.1", 1), id="lower case"),
        pytest.param(b"<html>Bad Gateway</html>", id="a bare page"),
        pytest.param(b"\x00\xff\xfe garbage \x80\r\r\n\n", id="noise"),
        pytest.param(GOOD.replace(b"200", b"99", 1), id="status 99"),
        pytest.param(GOOD.replace(b"200", b"000", 1), id="status 000"),
        pytest.param(GOOD.replace(b"200", b"999", 1), id="status 999"),
        pytest.param(GOOD.replace(b"200", b"2000", 1), id="status 2000"),
        pytest.param(GOOD.replace(b"200", b"+20", 1), id="status +20"),
    ],
)
async def test_what_is_no_http(far: FarSide, said: bytes) -> None:
    """Another protocol, or no status → no answer: `bad_answer`, the next account serves"""
    await _is_no_answer(far, said)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(OK + _FILLER * 100, id="100 KB of lines"),
        pytest.param(OK + _FILLER * 100 + GOOD_LINES + b"\r\n" + GOOD_BODY, id="100 KB, then the end"),
        pytest.param(OK + b"a: b\r\n" * 20_000, id="20 000 lines"),
        pytest.param(OK + b"x: " + b"f" * 100_000, id="one endless line"),
        pytest.param(b"HTTP/1.1 200 " + b"O" * 100_000, id="an endless reason"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + GOOD, id="5 000 times 100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 17 + GOOD, id="17 times 103"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n" + _FILLER * 100, id="a 103 of 100 KB"),
    ],
)
async def test_a_head_without_measure(far: FarSide, said: bytes) -> None:
    """More header than 64 KiB, more than 16 interim answers → cut off: `bad_answer`, bounded memory"""
    await _is_no_answer(far, said)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"content-length: 5\r\ncontent-length: 6\r\n", id="two lengths"),
        pytest.param(b"content-length: 5\r\ncontent-length: 5\r\n", id="one length twice"),
        pytest.param(b"content-length: 5, 5\r\n", id="a list"),
        pytest.param(b"content-length: -5\r\n", id="negative"),
        pytest.param(b"content-length: +5\r\n", id="signed"),
        pytest.param(b"content-length: 0x5\r\n", id="hexadecimal"),
        pytest.param(b"content-length: 99999999999999999999999\r\n", id="beyond 64 bits"),
        pytest.param(b"content-length: \r\n", id="empty"),
        pytest.param(b"content-length: 5\r\ntransfer-encoding: chunked\r\n", id="length and chunked"),
        pytest.param(b"transfer-encoding: gzip, chunked\r\n", id="gzip, chunked"),
        pytest.param(b"transfer-encoding: identity\r\n", id="identity"),
        pytest.param(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", id="chunked twice"),
        pytest.param(b"transfer-encoding: xchunked\r\n", id="xchunked"),
    ],
)
async def test_framing_that_can_be_read_in_two_ways(far: FarSide, lines: bytes) -> None:
    """Lengths or codings that contradict each other → no answer: `bad_answer`, the next account serves"""
    await _is_no_answer(far, OK + lines + b"\r\n5\r\nhello\r\n0\r\n\r\n")


async def test_switching_protocols_unasked(far: FarSide) -> None:
    """101 Switching Protocols that nobody asked for → no answer: `bad_answer`, the connection closes"""
    await _is_no_answer(
        far, b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n\0\0\0\4"
    )


async def test_interim_answers_within_measure(far: FarSide) -> None:
    """100 and 103 before the answer → read over, the client gets the answer alone"""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    async with far.says(answering(interim + GOOD)) as server:
        for _ in range(2):
            answer = await far.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)
            assert "link" not in answer.headers
        assert len(server.talks) == 1


async def test_an_answer_of_http_1_0(far: FarSide) -> None:
    """HTTP/1.0, with a length or until the close → served, its connection not used again"""
    old = GOOD.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    async with far.says(answering(old)) as server:
        for _ in range(2):
            answer = await far.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)
        assert len(server.talks) == 2

    async def until_the_close(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + GOOD_BODY)
        talk.close()

    async with far.says(until_the_close):
        answer = await far.ask()
        assert (answer.status, answer.body, answer.is_whole) == (200, GOOD_BODY, True)


@pytest.mark.parametrize(
    ("said", "has_length"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", False, id="204"),
        pytest.param(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", False, id="204, length 0"),
        pytest.param(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", False, id="204, length 5"),
        pytest.param(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", False, id="204, a body"),
        pytest.param(
            b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            False,
            id="204, chunks",
        ),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", True, id="304, length 5"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello", True, id="304, a body"),
    ],
)
async def test_an_answer_that_has_no_body(far: FarSide, said: bytes, has_length: bool) -> None:
    """204 or 304 with a length or a body → no body, no length of a 204; the client's next answer is whole"""
    status = int(said.split()[1])
    async with far.says(answering(said)) as server, connect(far.gateway.url) as client:
        client.send(request(body=ask(), headers={"x-headgate-account": "far"}))
        await client.until(b"\r\n\r\n")
        head = bytes(client.received)
        assert head.startswith(b"HTTP/1.1 %d " % status) and head.endswith(b"\r\n\r\n")
        assert (b"content-length" in head.lower()) == has_length
        assert b"transfer-encoding" not in head.lower() and b"hello" not in head
        client.send(request(method="GET", path="/healthz"))
        await client.until(b'"status"')
        assert client.received[len(head) :].startswith(b"HTTP/1.1 200")
        if not said.endswith(b"\r\n\r\n") or b"chunked" in said:
            await until(lambda: server.open_count == 0, what="What follows such a head spoils the connection")
    await far.is_mended()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        pytest.param("https://elsewhere.example/v1/messages", id="another host"),
        pytest.param("/v1/elsewhere", id="another path"),
        pytest.param("http://127.0.0.1:{port}/v1/messages", id="itself"),
    ],
)
async def test_a_redirect(far: FarSide, status: int, location: str) -> None:
    """301, 302, 303, 307, 308 → handed on as it is; never followed, so no credential goes anywhere"""
    asked = []
    where = location.format(port=far.port)

    async def script(talk: Talk) -> None:
        while got := await talk.request():
            asked.append(got)
            await talk.send(
                b"HTTP/1.1 %d Go\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (status, where.encode())
            )

    async with far.says(script) as server:
        answer = await far.ask()
        assert (answer.status, answer.headers["location"], answer.body) == (status, where, b"")
        record = far.gateway.record_of(answer.id)
        assert (record["status"], record["account"], len(record["attempts"])) == (status, "far", 1)
        assert (len(asked), len(server.talks)) == (1, 1)
    assert far.account()["skipped_because"] is None
    assert "sk-ant-sim-far" not in str(answer.headers)
