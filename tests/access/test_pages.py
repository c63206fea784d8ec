"""What browsers are told for pages of other origins."""

import pytest

from headgate.access.pages import PageRules, asks_leave
from headgate.wire.headers import Headers

APP = "https://app.example"
FROM_APP: Headers = [(b"host", b"localhost"), (b"origin", APP.encode())]
ASKING: Headers = [*FROM_APP, (b"access-control-request-method", b"POST")]


def test_without_the_setting_there_are_no_pages() -> None:
    assert PageRules([]).page_of(FROM_APP) is None
    assert PageRules([]).leave(ASKING) is None


def test_a_named_origin_comes_before_the_star() -> None:
    """It may send cookies; the rest is told `*`."""
    rules = PageRules([APP, "*"])
    page = rules.page_of(FROM_APP)
    assert page is not None and page.is_listed and b"allow-origin: https://app.example\r\n" in page.lines
    other = rules.page_of([(b"origin", b"https://other.example")])
    assert other is not None and other.is_let_in and not other.is_listed
    assert b"allow-origin: *\r\n" in other.lines and b"credentials" not in other.lines
    assert b"vary: Origin\r\n" in other.lines


@pytest.mark.parametrize("origins", [[], [b"null"], [APP.upper().encode()], [APP.encode(), APP.encode()]])
def test_who_is_not_named_is_told_nothing(origins: list[bytes]) -> None:
    """Programs, pages without an origin, other spellings, two origins: but caches learn that it depends."""
    page = PageRules([APP]).page_of([(b"origin", origin) for origin in origins])
    assert page is not None and not page.is_let_in
    assert page.lines == b"vary: Origin\r\n"
    assert page.exposing([b"request-id"]) == b""


def test_a_provider_s_own_fields_are_shown() -> None:
    page = PageRules([APP]).page_of(FROM_APP)
    assert page is not None
    shown = page.exposing([b"content-type", b"anthropic-ratelimit-requests-limit", b"set-cookie", b"cf-ray"])
    assert shown == b"access-control-expose-headers: anthropic-ratelimit-requests-limit, cf-ray\r\n"
    assert page.exposing([b"content-type"]) == b""


@pytest.mark.parametrize(
    ("asked", "is_repeated"),
    [
        (b"x-api-key, content-type", True),
        (b"a" * 2048, True),
        (b"a" * 2049, False),
        (b"x\x00y", False),
        (b"x: y", False),
        (b"", False),
    ],
)
def test_asked_headers_are_repeated_within_bounds(asked: bytes, is_repeated: bool) -> None:
    leave = PageRules([APP]).leave([*ASKING, (b"access-control-request-headers", asked)])
    assert leave is not None
    assert (b"access-control-allow-headers: %b\r\n" % asked in leave) is is_repeated


def test_a_public_page_may_reach_this_machine_only_by_name() -> None:
    """Browsers ask that, too (Private Network Access)."""
    asking = [*ASKING, (b"access-control-request-private-network", b"true")]
    assert b"allow-private-network: true" in (PageRules([APP]).leave(asking) or b"")
    assert b"allow-private-network" not in (PageRules(["*"]).leave(asking) or b"")


def test_what_a_preflight_is() -> None:
    assert asks_leave(ASKING)
    assert not asks_leave(FROM_APP)
    assert not asks_leave([*ASKING, (b"transfer-encoding", b"chunked")])
    assert not asks_leave([line for line in ASKING if line[0] != b"origin"])
