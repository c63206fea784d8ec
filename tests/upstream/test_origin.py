"""Addresses of the settings are read once, and refused where they are no base."""

import pytest

from headgate.errors import SettingsError
from headgate.upstream.origin import Origin


@pytest.mark.parametrize(
    ("url", "origin", "base_path", "authority"),
    [
        ("https://api.anthropic.com", ("https", "api.anthropic.com", 443), "", "api.anthropic.com"),
        ("HTTPS://API.Example.com/", ("https", "api.example.com", 443), "", "api.example.com"),
        ("http://127.0.0.1:9000/a/b/", ("http", "127.0.0.1", 9000), "/a/b", "127.0.0.1:9000"),
        (" http://localhost:443 ", ("http", "localhost", 443), "", "localhost:443"),
        ("https://[::1]/v1", ("https", "::1", 443), "/v1", "[::1]"),
        ("https://[::1]:8443", ("https", "::1", 8443), "", "[::1]:8443"),
        ("https://bücher.example", ("https", "xn--bcher-kva.example", 443), "", "xn--bcher-kva.example"),
    ],
)
def test_an_address_is_an_origin_and_a_base_path(
    url: str, origin: tuple[str, str, int], base_path: str, authority: str
) -> None:
    """`Host` names the port only where it is not the scheme's own."""
    parsed, path = Origin.parse(url)
    assert (tuple(parsed), path, parsed.authority) == (origin, base_path, authority)
    assert str(parsed) == f"{origin[0]}://{authority}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "neither http:// nor https://"),
        ("api.anthropic.com", "neither http:// nor https://"),
        ("ftp://example.com", "neither http:// nor https://"),
        ("https://", "names no host"),
        ("https://:443", "names no host"),
        ("https://example.com:99999", "Invalid base URL"),
        ("https://example.com:port", "Invalid base URL"),
        ("https://[::1", "Invalid base URL"),
        ("https://example.com/?key=hunter2", "query"),
        ("https://example.com/#hunter2", "fragment"),
        ("https://me:hunter2@example.com", "user name or password"),
        ("https://hunter2@example.com", "user name or password"),
        ("https://me:hunter2/x@example.com", "host or port cannot be read"),
        ("https://bü\u3002\u3002cher.example", "no host name"),
    ],
)
def test_what_is_no_base_is_refused_without_repeating_it(url: str, words: str) -> None:
    """It may carry a password."""
    with pytest.raises(SettingsError, match=words) as caught:
        Origin.parse(url)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
