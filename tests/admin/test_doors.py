"""The door of the owner's side: who passes and who does not."""

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from headgate.admin.doors import FORWARDING_HEADERS, OPEN_PATHS, Doors
from headgate.admin.entrance import Entrance
from headgate.clock import SystemClock
from tests.admin.serving import served

KEY = "correct-horse-battery"
CLOSED = "/api/accounts"


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/broken":
        raise RuntimeError("sk-ant-secret must not leave")
    await PlainTextResponse("inside")(scope, receive, send)


def doors(key: str | None) -> Doors:
    return Doors(inside, entrance=Entrance(lambda: key, SystemClock()))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"x-dashboard-key": KEY},
        {"x-management-key": KEY},
        {"authorization": "Bearer a-client-key", "x-dashboard-key": KEY},
    ],
)
async def test_the_admin_key_opens_in_each_of_three_headers(headers: dict[str, str]) -> None:
    """A client that must send another Authorization can still name the owner's key beside it."""
    async with served(doors(KEY)) as client:
        assert (await client.get(CLOSED, headers=headers)).text == "inside"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"x-api-key": KEY},
        {"x-dashboard-key": ""},
        {"x-dashboard-key": KEY + "x"},
        {"x-dashboard-key": "wrong", "authorization": f"Bearer {KEY}"},
    ],
)
async def test_a_wrong_or_missing_key_is_refused_with_the_mend(headers: dict[str, str]) -> None:
    """401 as a problem document; the caller learns where the key belongs, not what it is."""
    async with served(doors(KEY)) as client:
        answer = await client.get(CLOSED, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "admin_key_required"
    assert "X-Dashboard-Key" in answer.json()["hint"]
    assert KEY not in answer.text


async def test_open_paths_need_no_key_and_nothing_like_them_does_either() -> None:
    """The list is compared exactly: no prefix, no trailing slash, no other case opens."""
    async with served(doors(KEY)) as client:
        for path in OPEN_PATHS:
            assert (await client.get(path)).text == "inside"
            for other in (path + "/", path + "/x", path.upper(), "/api" + path, path + "%2f"):
                assert (await client.get(other)).status_code == 401


@pytest.mark.parametrize("key", ["schlüssel", "voilà", "Å"])
async def test_a_key_with_other_letters_than_ascii_opens_as_utf8(key: str) -> None:
    """Header values arrive as bytes, the last of which may look like a space; the setting is text."""
    async with served(doors(key)) as client:
        for sent in ({b"x-dashboard-key": key.encode()}, {b"authorization": b"Bearer " + key.encode()}):
            assert (await client.get(CLOSED, headers=sent)).text == "inside"


async def test_without_a_key_this_machine_comes_in() -> None:
    """Loopback peer, loopback Host, no foreign Origin."""
    async with served(doors(None)) as client:
        assert (await client.get(CLOSED)).text == "inside"
        port = client.base_url.port
        for headers in (
            {"host": f"localhost:{port}"},
            {"host": "[::1]"},
            {"origin": f"http://127.0.0.1:{port}"},
        ):
            assert (await client.get(CLOSED, headers=headers)).text == "inside"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8080"},
        {"host": "localhost.evil.example"},
        {"host": "evil.example@127.0.0.1"},
        {"host": "["},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "Cross-Site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        *({name: "for=10.0.0.1"} for name in FORWARDING_HEADERS),
    ],
)
async def test_without_a_key_web_pages_and_proxies_stay_out(headers: dict[str, str]) -> None:
    """A name that was pointed at 127.0.0.1, a page of another origin, a proxy on this machine."""
    async with served(doors(None)) as client:
        answer = await client.post(CLOSED, headers=headers)
    assert answer.status_code == 401
    assert "admin.key" in answer.json()["hint"]


async def test_of_lines_that_are_there_twice_one_foreign_one_is_enough() -> None:
    """Whatever stands between browser and gateway may have put another one before it."""
    async with served(doors(None)) as client:
        own = f"http://{client.base_url.netloc.decode()}"
        for name, ours, foreign in (
            ("origin", own, "https://evil.example"),
            ("sec-fetch-site", "same-origin", "cross-site"),
        ):
            twice = [(name, ours), (name, foreign)]
            assert (await client.post(CLOSED, headers=[(name, ours)] * 2)).status_code == 200
            assert (await client.post(CLOSED, headers=twice)).status_code == 401
            assert (await client.get(CLOSED, headers=twice[::-1])).status_code == 401


async def test_a_link_on_another_page_may_lead_here() -> None:
    """Somebody looks, in a window of its own: nothing is changed and nothing is read by that page."""
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    async with served(doors(None)) as client:
        assert (await client.get(CLOSED, headers=link)).status_code == 200
        assert (await client.get(CLOSED, headers=link | {"sec-fetch-dest": "iframe"})).status_code == 401


async def test_a_link_on_another_page_begins_no_sign_in() -> None:
    """A provider that knows its person asks no more: the link alone would change an account. Whoever typed
    the address, or follows a link of ours, begins one."""
    visit = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    async with served(doors(None)) as client:
        for site, status in (("cross-site", 401), ("same-site", 401), ("none", 200), ("same-origin", 200)):
            answer = await client.get("/oauth/authorize", headers={**visit, "sec-fetch-site": site})
            assert answer.status_code == status


async def through(peer: tuple[str, int] | None, **more: Any) -> int:
    """The status for a request whose connection came from `peer`."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": CLOSED, "client": peer, **more}
    scope.setdefault("headers", [(b"host", b"localhost")])
    await doors(None)(scope, receive, send)
    return int(sent[0]["status"])


async def test_without_a_key_other_machines_stay_out() -> None:
    """Only the address of the connection counts, never what the caller claims."""
    assert await through(("127.0.0.1", 4)) == 200
    assert await through(("::1", 4)) == 200
    assert await through(("192.168.1.9", 4)) == 401
    assert await through(None) == 401


async def test_the_unix_socket_needs_no_key_and_no_host() -> None:
    """The listener's mark must be True itself: nothing a client sends can set it."""
    assert await through(None, headers=[], **{"headgate.local_owner": True}) == 200
    assert await through(None, headers=[], **{"headgate.local_owner": "yes"}) == 401


async def test_an_unexpected_exception_is_a_problem_with_an_id_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller gets an id and no inside; the log has the stack trace under the same id."""
    async with served(doors(None)) as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "sk-ant" not in answer.text
    record = next(one for one in caplog.records if "Unexpected error" in one.message)
    assert answer.headers["x-headgate-request-id"] in record.message
    assert record.exc_info is not None
