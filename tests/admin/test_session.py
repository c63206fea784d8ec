"""`/api/session`, and what a request by its cookie needs: over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from headgate.admin.app import build_app
from headgate.admin.owner import Owner
from tests.admin.conftest import set_up
from tests.admin.serving import served

KEY = "schlüssel-horse-battery"
PAUSE = "/api/accounts/nobody/pause"
"""Changes something; answered 400 where the door was open, for there is no such account."""


@pytest.fixture
async def locked(owner: Owner) -> AsyncIterator[httpx.AsyncClient]:
    set_up(owner, admin={"key": KEY})
    async with served(build_app(owner=owner)) as client:
        yield client


async def log_in(client: httpx.AsyncClient, key: str = KEY, **headers: str) -> httpx.Response:
    return await client.post("/api/session", json={"key": key}, headers=headers)


async def token_of(client: httpx.AsyncClient) -> str:
    """Logs in; the cookie is the client's from then on, as a browser's."""
    answer = await log_in(client)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["csrf_token"])


async def test_a_log_in_opens_the_owners_routes(locked: httpx.AsyncClient) -> None:
    """The key is said once; afterwards the cookie is enough to look, and to change with the token."""
    assert (await locked.get("/status")).status_code == 401
    token = await token_of(locked)
    assert (await locked.get("/status")).status_code == 200
    assert (await locked.post(PAUSE, headers={"x-headgate-csrf": token})).status_code == 400
    known = (await locked.get("/api/session")).json()
    assert (known["is_owner"], known["how"], known["csrf_token"]) == (True, "session", token)
    assert known["ends_at"] > known["idle_ends_at"] > 0


@pytest.mark.parametrize(
    ("headers", "secure"),
    [({}, False), ({"origin": "http://{host}"}, False), ({"origin": "https://{host}"}, True)],
)
async def test_no_page_can_read_the_cookie_or_have_it_sent(
    locked: httpx.AsyncClient, headers: dict[str, str], secure: bool
) -> None:
    """HttpOnly, SameSite=Strict, for the whole address; `Secure` where the browser came by TLS."""
    host = locked.base_url.netloc.decode()
    answer = await log_in(locked, **{name: value.format(host=host) for name, value in headers.items()})
    (line,) = answer.headers.get_list("set-cookie")
    pair, *attributes = line.split("; ")
    name, _, value = pair.partition("=")
    assert (name, len(value)) == ("headgate_session", 43)
    wanted = {"httponly", "samesite=strict", "path=/"} | ({"secure"} if secure else set())
    assert {one.lower() for one in attributes} == wanted
    assert answer.headers["cache-control"] == "no-store"
    assert value not in answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize("sent", [None, "", "wrong", "two"])
async def test_a_change_by_the_cookie_alone_is_refused(locked: httpx.AsyncClient, sent: str | None) -> None:
    """A page that can have the cookie sent cannot know the token."""
    token = await token_of(locked)
    lines = {None: [], "two": [token, "wrong"]}.get(sent, [sent or ""])
    for method, path in (("POST", PAUSE), ("PUT", "/api/strategy"), ("DELETE", "/api/session")):
        answer = await locked.request(method, path, headers=[("x-headgate-csrf", one) for one in lines])
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_token_required")
        assert "csrf_token" in answer.json()["hint"]
    assert (await locked.get("/status")).status_code == 200


async def test_the_token_of_another_session_is_none(locked: httpx.AsyncClient) -> None:
    other = await token_of(locked)
    locked.cookies.clear()
    await token_of(locked)
    answer = await locked.post(PAUSE, headers={"x-headgate-csrf": other})
    assert answer.json()["code"] == "csrf_token_required"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_pages_of_other_origins_have_no_part_in_a_session(
    locked: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """Not to look, not to change even with the token, not to log in or out; their own key still counts."""
    token = await token_of(locked)
    for method, path in (
        ("GET", "/status"),
        ("POST", PAUSE),
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
    ):
        sent = {**headers, "x-headgate-csrf": token}
        answer = await locked.request(
            method, path, headers=sent, json=None if method == "GET" else {"key": KEY}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_origin"), (method, path)
    assert (await locked.get("/api/session", headers=headers)).json()["is_owner"] is False
    assert (await locked.get("/health", headers=headers)).status_code == 200
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    with_key = await locked.get("/status", headers=[*lines, (b"x-dashboard-key", KEY.encode())])
    assert with_key.status_code == 200
    assert (await locked.get("/status")).status_code == 200


async def test_a_key_in_a_header_needs_no_token(locked: httpx.AsyncClient) -> None:
    """Also beside a cookie; a wrong one does not fall back on it."""
    await token_of(locked)
    right, wrong = ({b"x-dashboard-key": key.encode()} for key in (KEY, "wrong"))
    assert (await locked.post(PAUSE, headers=right)).status_code == 400
    assert (await locked.get("/status", headers=wrong)).status_code == 401
    known = (await locked.get("/api/session", headers=right)).json()
    assert (known["how"], known["csrf_token"]) == ("admin_key", None)


async def test_a_log_out_ends_the_session_for_whoever_has_its_token(locked: httpx.AsyncClient) -> None:
    token = await token_of(locked)
    cookie = locked.cookies["headgate_session"]
    answer = await locked.delete("/api/session", headers={"x-headgate-csrf": token})
    assert answer.json() == {"ended": True}
    assert "headgate_session" not in locked.cookies
    stolen = {"cookie": f"headgate_session={cookie}"}
    assert (await locked.get("/status", headers=stolen)).status_code == 401
    assert (await locked.delete("/api/session")).json() == {"ended": False}


async def test_another_admin_key_ends_every_session(owner: Owner, locked: httpx.AsyncClient) -> None:
    """By whichever way it is changed, at once; also where it is changed back before anybody asks."""
    token = await token_of(locked)
    headers = {"x-headgate-csrf": token}
    changed = await locked.put("/api/config", json={"admin.key": "another-long-key"}, headers=headers)
    assert changed.status_code == 200, changed.text
    await owner.change_settings({"admin.key": KEY})
    answer = await locked.get("/status")
    assert (answer.status_code, answer.json()["code"]) == (401, "admin_key_required")
    assert "log-in" in answer.json()["detail"]


@pytest.mark.parametrize("end", ["a log-out", "another key"])
@pytest.mark.parametrize("path", ["/api/requests/stream", "/api/logs/stream"])
async def test_a_stream_ends_with_its_log_in(
    owner: Owner,
    locked: httpx.AsyncClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    end: str,
) -> None:
    """Before its next word, be it the sign of life of a quiet one; that is no failure of ours."""
    for module in ("requests", "logs"):
        monkeypatch.setattr(f"headgate.admin.{module}.KEEPALIVE_SECONDS", 0.01)
    log = tmp_path / "headgate.log"
    log.touch()
    set_up(owner, admin={"key": KEY}, log={"file": str(log)})
    token = await token_of(locked)
    async with locked.stream("GET", path) as stream:
        words = stream.aiter_lines()
        async with asyncio.timeout(10):
            while await anext(words) != ": still here":
                pass
            if end == "a log-out":
                await locked.delete("/api/session", headers={"x-headgate-csrf": token})
            else:
                set_up(owner, admin={"key": "another-long-key"})
            async for _ in words:
                pass
    assert not [one for one in caplog.records if "Unexpected error" in one.message]


async def test_a_new_log_in_ends_the_one_before_in_the_same_browser(locked: httpx.AsyncClient) -> None:
    await token_of(locked)
    old = locked.cookies["headgate_session"]
    await token_of(locked)
    assert locked.cookies["headgate_session"] != old
    locked.cookies.clear()
    answer = await locked.get("/status", headers={"cookie": f"headgate_session={old}"})
    assert answer.status_code == 401


async def test_a_planted_cookie_does_not_hide_ours(locked: httpx.AsyncClient) -> None:
    """A page on another port of this host may set one of our name."""
    await token_of(locked)
    cookie = locked.cookies["headgate_session"]
    locked.cookies.clear()
    both = {"cookie": f"headgate_session=planted; headgate_session={cookie}"}
    assert (await locked.get("/status", headers=both)).status_code == 200


@pytest.mark.parametrize("key", ["wrong", KEY + "x", " ", KEY.upper()])
async def test_a_wrong_key_is_refused_in_a_form_to_log_in_from(locked: httpx.AsyncClient, key: str) -> None:
    """401 as at every other route: code, hint, and which scheme."""
    answer = await log_in(locked, key)
    assert (answer.status_code, answer.json()["code"]) == (401, "admin_key_required")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["hint"]
    assert "set-cookie" not in answer.headers
    assert (await locked.get("/api/session")).json() == {
        **dict.fromkeys(("how", "csrf_token", "ends_at", "idle_ends_at")),
        "is_owner": False,
        "key_is_set": True,
    }


@pytest.mark.parametrize("body", [b"", b"{}", b'{"key": ""}', b'{"key": 7}', b'{"key": "a", "x": 1}', b"[]"])
async def test_a_body_that_names_no_key(locked: httpx.AsyncClient, body: bytes) -> None:
    answer = await locked.post("/api/session", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_strangers_body_is_small(locked: httpx.AsyncClient, chunked: bool) -> None:
    """Nobody needs a key to send one: 413 beyond 8 KiB, announced or not."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    content: Any = pieces() if chunked else b" " * 20_000
    answer = await locked.post("/api/session", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


async def test_without_a_key_there_is_nothing_to_log_in_with(client: httpx.AsyncClient) -> None:
    """409 in words: this machine is open already."""
    answer = await log_in(client)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "admin.key" in answer.json()["hint"]
    known = (await client.get("/api/session")).json()
    assert (known["is_owner"], known["how"], known["key_is_set"]) == (True, "this_machine", False)


async def test_a_hashed_key_opens_by_what_it_is_the_hash_of(owner: Owner) -> None:
    """And a guess at the log-in is verified in the same line as one in a header."""
    hashed = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(KEY)
    set_up(owner, admin={"key": hashed})
    app = build_app(owner=owner)
    async with served(app) as client:
        assert (await log_in(client, hashed)).status_code == 401
        assert (await log_in(client, "guess")).status_code == 401
        header = {"x-dashboard-key": "guess"}
        assert (await client.get("/status", headers=header)).status_code == 401
        assert app.state.entrance.key_lock.verifications == 2, "what is known to be wrong costs nothing"
        assert (await log_in(client)).status_code == 200
        assert (await client.get("/status", headers={b"x-dashboard-key": KEY.encode()})).status_code == 200
        assert app.state.entrance.key_lock.verifications == 3
