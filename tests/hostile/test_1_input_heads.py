"""Strangers: heads that could be read in two ways."""

import asyncio
import re

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.hostile.asking import KEY_LINE, REQUEST, SMUGGLED, closes, code_of, head
from tests.journeys.wire import ask, connect, fetch, request


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        pytest.param(b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n", id="gzip, chunked"),
        pytest.param(b"transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n", id="chunked, identity"),
        pytest.param(b"transfer-encoding: identity\r\n", b"", id="identity"),
        pytest.param(b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n", id="xchunked"),
        pytest.param(b"transfer-encoding: \x0bchunked\r\n", b"0\r\n\r\n", id="a vertical tab before it"),
        pytest.param(b"transfer-encoding: chunked;q=1\r\n", b"0\r\n\r\n", id="chunked;q=1"),
        pytest.param(b'transfer-encoding: "chunked"\r\n', b"0\r\n\r\n", id="in quotes"),
        pytest.param(b"transfer-encoding : chunked\r\n", b"0\r\n\r\n", id="a space before the colon"),
        pytest.param(
            b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n", id="on two lines"
        ),
        pytest.param(
            b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n", id="twice"
        ),
    ],
)
async def test_transfer_encodings(
    provider: SimulatedProvider, gateway: Gateway, framing: bytes, body: bytes
) -> None:
    """A Transfer-Encoding that is not one plain `chunked` → 400, closed, nothing behind it is read"""
    await _is_refused(provider, gateway, head(framing) + body + SMUGGLED)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(head(b"transfer-encoding: chunked\r\n").replace(b"1.1", b"1.0"), id="with a body"),
        pytest.param(
            head(b"transfer-encoding: chunked\r\n", b"GET /v1/models").replace(b"1.1", b"1.0"), id="GET"
        ),
        pytest.param(
            head(b"transfer-encoding: chunked\r\n", b"GET /health").replace(b"1.1", b"1.0"),
            id="owner's route",
        ),
    ],
)
async def test_chunks_under_http_1_0(provider: SimulatedProvider, gateway: Gateway, wire: bytes) -> None:
    """Transfer-Encoding under HTTP/1.0 → 400, closed"""
    await _is_refused(provider, gateway, wire + b"0\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"content-length: 3\r\ncontent-length: 4\r\n", id="two lengths"),
        pytest.param(b"content-length: 4\r\ncontent-length: 4\r\n", id="the same twice"),
        pytest.param(b"content-length: 4, 4\r\n", id="a list"),
        pytest.param(b"content-length: 4\r\ntransfer-encoding: chunked\r\n", id="length, then chunks"),
        pytest.param(b"transfer-encoding: chunked\r\ncontent-length: 4\r\n", id="chunks, then length"),
        pytest.param(b"content-length: +4\r\n", id="+4"),
        pytest.param(b"content-length: -1\r\n", id="-1"),
        pytest.param(b"content-length: 0x4\r\n", id="0x4"),
        pytest.param(b"content-length: 4 4\r\n", id="4 4"),
        pytest.param(b"content-length: \r\n", id="empty"),
        pytest.param(b"content-length: 99999999999999999999999\r\n", id="more than 64 bits"),
        pytest.param(b"content-length: \xd9\xa4\r\n", id="another script's digit"),
    ],
)
async def test_lengths(provider: SimulatedProvider, gateway: Gateway, framing: bytes) -> None:
    """Content-Length that conflicts with itself or with chunks, or is no number → 400, closed"""
    await _is_refused(provider, gateway, head(framing) + b"0\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"POST /v1/messages", id="a provider's route"),
        pytest.param(b"GET /health", id="the owner's"),
    ],
)
@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"host: a\r\nhost: b\r\n", id="two"),
        pytest.param(b"host: a\r\nHOST: a\r\n", id="the same twice"),
        pytest.param(b"host: a b\r\n", id="a space"),
        pytest.param(b"host: a, b\r\n", id="a list"),
        pytest.param(b"host: a/b\r\n", id="a path"),
        pytest.param(b"host: user@a\r\n", id="a user"),
        pytest.param(b"host: a:b\r\n", id="no port"),
    ],
)
async def test_hosts(provider: SimulatedProvider, gateway: Gateway, hosts: bytes, path: bytes) -> None:
    """No Host, a second one, or one that is no host name → 400, closed"""
    wire = path + b" HTTP/1.1\r\n" + hosts + KEY_LINE + b"content-length: 0\r\n\r\n" + SMUGGLED
    await _is_refused(provider, gateway, wire)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(head(b"x-folded: a\r\n b\r\ncontent-length: 0\r\n"), id="a folded line"),
        pytest.param(b"POST /v1/messages HTTP/1.1\nhost: a\ncontent-length: 0\n\n", id="bare LF"),
        pytest.param(head(b"x-a: b\ncontent-length: 0\r\n"), id="one bare LF"),
        pytest.param(head(b"x-a: b\rcontent-length: 0\r\n"), id="bare CR"),
        pytest.param(head(b"x-control: a\x00b\r\n"), id="NUL"),
        pytest.param(head(b"bad name: a\r\n"), id="a space in a name"),
        pytest.param(head(b"no colon\r\n"), id="no colon"),
        pytest.param(head(b": no name\r\n"), id="no name"),
        pytest.param(b"GET  HTTP/1.1\r\n\r\n", id="no target"),
        pytest.param(b"GET /v1/models HTTP/1.1 \r\nhost: a\r\n\r\n", id="a blank behind the version"),
        pytest.param(b"GET /v1/models HTTP/3.7\r\nhost: a\r\n\r\n", id="HTTP/3.7"),
        pytest.param(b"GET /v1/models\r\nhost: a\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"G\xc3\x89T /v1/models HTTP/1.1\r\nhost: a\r\n\r\n", id="no method"),
        pytest.param(b"GET http://a/v1/models HTTP/1.1\r\nhost: a\r\n\r\n", id="an absolute target"),
        pytest.param(b"GET v1/models HTTP/1.1\r\nhost: a\r\n\r\n", id="no slash"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
async def test_broken_heads(provider: SimulatedProvider, gateway: Gateway, wire: bytes) -> None:
    """What is no HTTP/1.1 head → 400, closed"""
    await _is_refused(provider, gateway, wire + SMUGGLED)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(
            b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\n",
            id="h2c",
        ),
        pytest.param(b"connection: upgrade\r\nupgrade: websocket, h2c\r\n", id="a list"),
        pytest.param(b"connection: upgrade\r\nupgrade: websocket\r\nupgrade: h2c\r\n", id="two lines"),
        pytest.param(
            b"connection: upgrade\r\nconnection: x-other\r\nupgrade: h2c\r\n", id="two Connection lines"
        ),
        pytest.param(b"connection: upgrade\r\nupgrade: TLS/1.2\r\n", id="TLS"),
        pytest.param(b"connection: upgrade\r\nupgrade: websocket\r\n", id="a WebSocket with a body"),
    ],
)
async def test_upgrades(provider: SimulatedProvider, gateway: Gateway, wire: bytes) -> None:
    """An Upgrade to anything but a WebSocket → 400, closed, says to use HTTP/1.1"""
    answer = await _is_refused(provider, gateway, head(wire + b"content-length: 4\r\n") + b"abcd" + SMUGGLED)
    assert b"HTTP/1.1" in answer


async def test_tunnels(provider: SimulatedProvider, gateway: Gateway) -> None:
    """CONNECT → 400, closed: this is no forward proxy"""
    await _is_refused(provider, gateway, b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n" + SMUGGLED)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"x-many: a\r\n" * 201, id="201 lines"),
        pytest.param(b"x-long: " + b"a" * 70_000 + b"\r\n", id="a long line"),
        pytest.param(b"x-many-long: " + b"a" * 1_000 + b"\r\n", id="many long lines"),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
async def test_large_heads(
    provider: SimulatedProvider, gateway: Gateway, lines: bytes, is_whole: bool
) -> None:
    """A head of more than 200 lines or 64 KiB, whole or without an end → 431, closed"""
    async with connect(gateway.url) as connection:
        many = lines * (2_000_000 // len(lines))
        connection.send(head(lines * 80 if len(lines) < 2_000 else lines) if is_whole else head(many)[:-2])
        answer = await connection.answer()
        assert (answer.status, code_of(answer)) == (431, "head_too_large")
        await closes(connection)
    assert provider.books()["count"] == 0


async def test_long_targets(provider: SimulatedProvider, gateway: Gateway) -> None:
    """A target of more than 64 KiB behind known lines → 431, closed"""
    async with connect(gateway.url) as connection:
        assert (await connection.ask(request(body=ask()))).status == 200
        connection.send(request("/v1/messages?" + "q" * 70_000, body=ask()))
        assert (await connection.answer()).status == 431
        await closes(connection)
    assert provider.books()["count"] == 1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("one", id="one long extension"),
        pytest.param("many", id="on many chunks"),
        pytest.param("trailers", id="trailers"),
        pytest.param("trailer", id="one long trailer"),
    ],
)
@pytest.mark.parametrize("path", [b"POST /v1/messages", b"POST /api/accounts"])
async def test_chunk_extensions(
    provider: SimulatedProvider, gateway: Gateway, kind: str, path: bytes
) -> None:
    """Chunk extensions or trailers of more than 16 KiB → 400, closed"""
    pieces = {
        "one": [b"1;" + b"e" * 1_000] + [b"e" * 1_000] * 400,
        "many": [(b"1;" + b"e" * 900 + b"\r\na\r\n")] * 400,
        "trailers": [b"0\r\n"] + [b"x-t: " + b"t" * 900 + b"\r\n"] * 400,
        "trailer": [b"0\r\nx-t: "] + [b"t" * 1_000] * 400,
    }
    async with connect(gateway.url) as connection:
        connection.send(head(b"transfer-encoding: chunked\r\n", path))
        for piece in pieces[kind]:
            if connection.is_closed.is_set():
                break
            connection.send(piece)
            await asyncio.sleep(0)
        if path == b"POST /v1/messages":
            assert (await connection.answer()).status == 400
        await closes(connection)
    assert provider.books()["count"] == 0


async def test_line_ends_in_values(provider: SimulatedProvider, gateway: Gateway) -> None:
    """Escaped line ends in paths, queries, models, sessions → no header of an answer comes from them"""
    evil = "%0d%0aset-cookie:%20evil=1"
    bodies = [ask(model="m\r\nset-cookie: evil=1"), ask(metadata={"user_id": "a_session_b\r\nevil: 1"})]
    wires = [
        request(f"/v1/{evil}?{evil}", method="GET"),
        request(f"/{evil}?{evil}", method="GET"),
        request(f"/api/accounts/{evil}", method="GET"),
        *[request(f"/v1/messages?x={evil}", body=body) for body in bodies],
    ]
    for wire in wires:
        answer = await fetch(gateway.url, wire)
        assert not [name for name in answer.headers if "evil" in name or name == "set-cookie"]
        assert not [value for value in answer.headers.values() if "evil" in value]
    heads = [one["head"] for one in provider.received()]
    assert not [head for head in heads if b"\r\nset-cookie" in head or b"\r\nevil" in head]


async def test_plain_small_chunks_pass(provider: SimulatedProvider, gateway: Gateway) -> None:
    """A body in chunks of one byte, with a short extension and a trailer → served"""
    body = request(body=ask("say 5 words"), chunks=1_000_000).replace(
        b"\r\n0\r\n\r\n", b"\r\n0;end\r\nx-t: 1\r\n\r\n"
    )
    async with connect(gateway.url) as connection:
        for start in range(0, len(body), 100):
            connection.send(body[start : start + 100])
            await asyncio.sleep(0)
        assert (await connection.answer()).status == 200


async def _is_refused(provider: SimulatedProvider, gateway: Gateway, wire: bytes) -> bytes:
    """One answer, then the end; the provider has seen nothing, and the next caller is served."""
    async with connect(gateway.url) as connection:
        connection.send(wire)
        answer = await connection.answer()
        assert answer.status == 400, answer.body
        assert code_of(answer) in ("malformed_request", "invalid_request")
        assert answer.headers["connection"] == "close"
        assert answer.json()["error"]["hint"]
        await closes(connection)
        assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", connection.received)) == 1
    assert provider.books()["count"] == 0
    assert (await fetch(gateway.url, REQUEST)).status == 200
    assert CLIENT_KEY.encode() not in answer.body
    return answer.body


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"POST /v1/messages RTSP/1.0", id="RTSP/1.0"),
        pytest.param(b"GET /v1/models RTSP/1.0", id="RTSP/1.0, GET"),
        pytest.param(b"POST /v1/messages RTSP/1.1", id="RTSP/1.1"),
        pytest.param(b"GET /v1/models RTSP/1.0\r\nx-a: /v1/models HTTP/1.0", id="with HTTP in another line"),
    ],
)
async def test_other_protocols_first_lines(
    provider: SimulatedProvider, gateway: Gateway, line: bytes
) -> None:
    """A first line of RTSP, which parsers take for HTTP → 400, closed"""
    await _is_refused(provider, gateway, line + b"\r\nhost: a\r\n" + KEY_LINE + b"\r\n" + SMUGGLED)


@pytest.mark.parametrize("method", [b"SOURCE", b"PURGE", b"PROPFIND", b"LINK", b"TRACE", b"M-SEARCH"])
async def test_methods_of_no_api(provider: SimulatedProvider, gateway: Gateway, method: bytes) -> None:
    """A method that no provider's API has → 400 or 405, never relayed"""
    async with connect(gateway.url) as connection:
        connection.send(method + b" /v1/messages HTTP/1.1\r\nhost: localhost\r\n" + KEY_LINE + b"\r\n")
        assert (await connection.answer()).status in (400, 405)
    assert provider.books()["count"] == 0


@pytest.mark.parametrize("cut", [0, 10, 24, 27, 30, 33])
async def test_http_1_0_is_still_served(provider: SimulatedProvider, gateway: Gateway, cut: int) -> None:
    """A plain HTTP/1.0 request, in one piece or cut anywhere → served as ever"""
    wire = REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0")
    async with connect(gateway.url) as connection:
        connection.send(wire[:cut])
        await asyncio.sleep(0.05 if cut else 0)
        connection.send(wire[cut:])
        assert (await connection.answer()).status == 200


async def test_rtsp_in_pieces(provider: SimulatedProvider, gateway: Gateway) -> None:
    """The same, cut within its first line → 400 as well"""
    async with connect(gateway.url) as connection:
        connection.send(b"POST /v1/messages RT")
        await asyncio.sleep(0.05)
        connection.send(b"SP/1.0\r\nhost: a\r\n" + KEY_LINE + b"\r\n")
        assert (await connection.answer()).status == 400
