"""What trusted proxies say of their callers, and what nobody is believed."""

import pytest

from headgate.access.forwarding import Forwarded, TrustedProxies
from headgate.wire.headers import Headers

PROXY, INNER, CALLER, LIAR = "10.0.0.5", "10.0.0.6", "203.0.113.7", "198.51.100.9"
TRUSTED = TrustedProxies(["10.0.0.0/24", "fd00::/64"])


def told(*values: str, peer: str = PROXY, name: bytes = b"x-forwarded-for") -> str | None:
    read = TRUSTED.read(peer, [(name, value.encode("latin-1")) for value in values])
    assert read is not None
    return read.address if read.is_by_proxy else None


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ([CALLER], CALLER),
        ([f"{LIAR}, {CALLER}"], CALLER),
        ([LIAR, CALLER], CALLER),
        ([f"{LIAR},{CALLER} , {INNER}"], CALLER),
        ([f"{INNER}, {PROXY}"], INNER),
        ([f"{CALLER}:4711"], CALLER),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:DB8::7]:4711"], "2001:db8::7"),
        ([f"::ffff:{CALLER}"], CALLER),
        ([f"{LIAR}, unknown"], PROXY),
        ([f"{LIAR}, unknown, {INNER}"], INNER),
        ([f"{LIAR}, "], PROXY),
        (["fe80::1%\x1b[31m"], PROXY),
        ([""], PROXY),
        ([], PROXY),
        ([", ".join([LIAR] + [INNER] * 40)], INNER),
    ],
)
def test_the_last_that_is_no_proxy_is_the_caller(values: list[str], address: str) -> None:
    """What stands before it he has written himself; what is no address ends the search."""
    assert told(*values) == address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (f"for={CALLER}", CALLER),
        (f'For="{CALLER}:80";Proto=HTTPS;by={PROXY}', CALLER),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        (f"for={LIAR}, for={CALLER};proto=https, for={INNER};proto=http", CALLER),
        (f'for="{LIAR}, for={CALLER}', CALLER),
        (f"for={LIAR}, for=_hidden", PROXY),
        (f"for={LIAR}, proto=https", PROXY),
        ("nonsense", PROXY),
    ],
)
def test_the_standard_header_is_read_alike(value: str, address: str) -> None:
    """A quote that a stranger left open does not swallow what his proxy says behind it."""
    assert told(value, name=b"forwarded") == address


def test_two_headers_that_differ_are_none() -> None:
    """A proxy writes one and may hand on the other, which anybody may have sent: nobody is named by it."""
    both: Headers = [(b"x-forwarded-for", CALLER.encode()), (b"forwarded", b"for=" + LIAR.encode())]
    assert TRUSTED.read(PROXY, both) == Forwarded(PROXY, is_by_proxy=True)
    alike: Headers = [(b"x-forwarded-for", CALLER.encode()), (b"forwarded", b"for=" + CALLER.encode())]
    assert TRUSTED.read(PROXY, alike) == Forwarded(CALLER, is_by_proxy=True)


@pytest.mark.parametrize("peer", [CALLER, "127.0.0.1", "local", "10.0.1.5"])
def test_nobody_else_is_believed(peer: str) -> None:
    lines: Headers = [(b"x-forwarded-for", LIAR.encode()), (b"x-forwarded-proto", b"https")]
    assert TRUSTED.read(peer, lines) == Forwarded(peer)


@pytest.mark.parametrize("peer", [PROXY, f"::ffff:{PROXY}", "fd00::9"])
def test_proxies_are_known_in_either_form(peer: str) -> None:
    assert told(CALLER, peer=peer) == CALLER


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        ([(b"x-forwarded-proto", b"HTTPS")], "https"),
        ([(b"x-forwarded-proto", b"https, http")], "https"),
        ([(b"x-forwarded-proto", b"wss")], None),
        ([(b"forwarded", f"for={CALLER};proto=https, for={INNER};proto=http".encode())], "https"),
        ([(b"forwarded", f"for={LIAR};proto=https, for={CALLER};proto=http".encode())], "http"),
        ([], None),
    ],
)
def test_the_scheme_is_that_of_the_caller(lines: Headers, scheme: str | None) -> None:
    read = TRUSTED.read(PROXY, lines)
    assert read is not None and read.scheme == scheme


def test_without_the_setting_nothing_is_read() -> None:
    none = TrustedProxies()
    assert none.read(PROXY, [(b"x-forwarded-for", CALLER.encode())]) is None
    assert not none.holds(PROXY)
