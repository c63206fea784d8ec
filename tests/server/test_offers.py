"""Another protocol is offered: the same request, without the offer."""

import pytest

from headgate.server.offers import without_offer
from headgate.wire.headers import Headers


@pytest.mark.parametrize(
    ("connection", "kept"),
    [
        (b"Upgrade, HTTP2-Settings", b""),
        (b"close, upgrade", b"close"),
        (b"Upgrade , x-hop, Keep-Alive", b"x-hop, Keep-Alive"),
    ],
)
def test_nothing_but_the_offer_is_missing(connection: bytes, kept: bytes) -> None:
    """Order, repeats and the other words of `Connection` stay."""
    headers: Headers = [
        (b"host", b"a"),
        (b"upgrade", b"h2c"),
        (b"connection", connection),
        (b"http2-settings", b"AAMAAABk"),
        (b"x", b"1"),
        (b"x", b"2"),
    ]
    assert without_offer(b"GET", b"/a?b", "1.1", headers, None) == (
        b"GET /a?b HTTP/1.1\r\nhost: a\r\nconnection: " + kept + b"\r\nx: 1\r\nx: 2\r\n\r\n"
    )


def test_the_bodys_length_is_kept() -> None:
    """The protocol holds it beside the other lines. So is the version: an old client stays one."""
    assert without_offer(b"POST", b"/", "1.0", [], b"7") == b"POST / HTTP/1.0\r\ncontent-length: 7\r\n\r\n"
