"""Which names and origins belong to this machine."""

import pytest

from headgate.access.origins import is_name_of_ours, refuse_foreign_pages
from headgate.errors import ForbiddenOrigin
from headgate.wire.headers import Headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("192.168.1.20", True),
        ("::1", True),
        ("headgate", True),
        ("any.localhost", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_names_that_strangers_could_point_here_are_not_ours(name: str, expected: bool) -> None:
    assert is_name_of_ours(name) is expected


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"localhost:8080")],
        [(b"host", b"[::1]:8080")],
        [(b"host", b"localhost:8080"), (b"origin", b"http://localhost:8080")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"same-origin")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"Same-Origin ")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"none")],
    ],
)
def test_programs_and_our_own_pages_pass(headers: Headers) -> None:
    refuse_foreign_pages(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"")],
        [(b"host", b"localhost@evil.example")],
        [(b"host", b"localhost:8080"), (b"origin", b"https://evil.example")],
        [(b"host", b"localhost:8080"), (b"origin", b"http://localhost:3000")],
        [(b"host", b"localhost:8080"), (b"origin", b"null")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"cross-site")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"same-site")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"Cross-Site")],
        [(b"host", b"localhost:8080"), (b"sec-fetch-site", b"same-origin, cross-site")],
        [(b"host", b"localhost:8080"), *((b"sec-fetch-site", one) for one in (b"none", b"cross-site"))],
        [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"https://evil.example")],
    ],
)
def test_pages_of_others_do_not(headers: Headers) -> None:
    """By their own name for us, by their origin, by what the browser says of them; in any case of letters,
    and in a second line as well as in the first."""
    with pytest.raises(ForbiddenOrigin):
        refuse_foreign_pages(headers)
