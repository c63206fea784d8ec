"""The address of a proxy: what is taken, what is refused, what may be seen of it."""

import pytest

from headgate.config.proxies import Proxy, read_proxy, shown, with_scheme


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example.com:3128", Proxy("http", "proxy.example.com", 3128)),
        ("http://proxy.example.com", Proxy("http", "proxy.example.com", 80)),
        ("https://proxy.example.com/", Proxy("https", "proxy.example.com", 443)),
        ("socks5://127.0.0.1", Proxy("socks5", "127.0.0.1", 1080)),
        ("socks5h://[::1]:9", Proxy("socks5h", "::1", 9)),
        ("socks4a://me@host:9", Proxy("socks4a", "host", 9, "me", "")),
        ("socks://host:9", Proxy("socks4", "host", 9)),
        (" http://me:p%40ss%2F@host:9 ", Proxy("http", "host", 9, "me", "p@ss/")),
        ("http://token@host:9", Proxy("http", "host", 9, "token", "")),
        ("http://müller.example:9", Proxy("http", "xn--mller-kva.example", 9)),
        ("direct", None),
        ("Direct", None),
    ],
)
def test_an_address_is_read(text: str, proxy: Proxy | None) -> None:
    """Credentials are percent-decoded, a port that is left out is the scheme's."""
    assert read_proxy(text) == proxy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "such as http://"),
        ("proxy.example.com:3128", "such as http://"),
        ("none", "the word direct"),
        ("ftp://sec-ret:sec-ret@host", "socks5h"),
        ("http://sec-ret:sec-ret@", "no host"),
        ("http://host:99999", "cannot be read"),
        ("http://host:sec-ret", "cannot be read"),
        ("http://host:0", "no port"),
        ("http://host/sec-ret", "path"),
        ("http://host?sec-ret", "path"),
        ("http://a b:9", "no host name"),
        ("http://sec-ret:x%0d%0aEvil:1@host", "control characters"),
        ("http://sec-ret%3Ax:pw@host", "colon"),
        ("http://%ff:sec-ret@host", "UTF-8"),
        ("socks5://sec-ret@host", "both"),
        ("socks5://sec-ret:ü@host", "ASCII"),
        ("socks5://sec-ret:" + "x" * 256 + "@host", "255"),
        ("socks4://sec-ret:pw@host", "SOCKS4"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str, words: str) -> None:
    """The address may hold a password: the words say what is wrong, never what was written."""
    with pytest.raises(ValueError, match=words) as refused:
        read_proxy(text)
    assert "sec-ret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("http://host:3128", "http://host:3128"),
        ("http://me:secret@host:3128", "http://***@host:3128"),
        ("socks5h://me:secret@[::1]:9", "socks5h://***@[::1]:9"),
        ("direct", "direct"),
        ("nonsense:secret", "***"),
    ],
)
def test_what_is_shown_has_no_credentials(text: str, seen: str) -> None:
    """Neither password nor user name: a token may stand in either place."""
    assert shown(text) == seen


def test_a_proxy_does_not_print_its_password() -> None:
    """In a log line, a trace, a message."""
    proxy = read_proxy("http://me:secret@host:3128")
    assert f"{proxy}" == "http://host:3128"
    assert repr(proxy) == "Proxy(http://host:3128)"


def test_a_variable_may_leave_the_scheme_out() -> None:
    """As curl takes it."""
    assert with_scheme("host:3128") == "http://host:3128"
    assert with_scheme("socks5://host") == "socks5://host"
    assert with_scheme("direct") == "direct"
