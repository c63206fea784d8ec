"""Log-ins by a browser: guesses, stolen and old cookies, and pages that would act for who is logged in."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from headgate.tasks import TaskGroup
from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, until, wait_until
from tests.journeys.wire import ask

KEY = "correct-horse-battery"
HOURS = 3600.0


@contextmanager
def locked(folder: Path, **more: Any) -> Iterator[Gateway]:
    with Gateway(folder, settings={"admin": {"key": KEY}}, **more) as gateway:
        yield gateway


def browser(gateway: Gateway) -> httpx.Client:
    """Keeps cookies, and says of its own pages what browsers say."""
    own = {"origin": gateway.url, "sec-fetch-site": "same-origin"}
    return httpx.Client(verify=NO_TLS, base_url=gateway.url, headers=own, trust_env=False, timeout=60)


def log_in(page: httpx.Client, key: str = KEY) -> str:
    """The token that goes with the cookie."""
    answer = page.post("/api/session", json={"key": key})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["csrf_token"])


_EVIL = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
_NEIGHBOUR = {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"}
_LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

PAGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "a form": ("POST", "/api/accounts/one/pause", _EVIL),
    "a form of another port": ("POST", "/api/accounts/one/pause", _NEIGHBOUR),
    "a page without origin": ("POST", "/api/accounts/one/pause", {"origin": "null"}),
    "a script": ("DELETE", "/api/accounts/one", _EVIL),
    "a script of another port": ("PUT", "/api/config", _NEIGHBOUR),
    "a log-out": ("DELETE", "/api/session", _EVIL),
    "an image": ("GET", "/api/requests", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}),
    "a script that reads": ("GET", "/api/accounts", _NEIGHBOUR),
    "a link that begins a sign-in": ("GET", "/oauth/authorize", {**_LINK, "sec-fetch-site": "same-site"}),
    "an old browser": ("POST", "/api/accounts/one/pause", {}),
}
"""Method, path, and what a browser adds. The last says nothing of the page."""


@pytest.mark.parametrize("way", PAGES)
def test_pages_that_use_a_log_in(tmp_path: Path, provider: SimulatedProvider, way: str) -> None:
    """A page's request with the cookie of its visitor, should a browser send it → 403, nothing is done"""
    method, path, told = PAGES[way]
    with locked(tmp_path, provider=provider.url) as gateway, browser(gateway) as page:
        token = log_in(page)
        page.headers.clear()
        answer = page.request(method, path, headers=told, content=b"{}" if method != "GET" else None)
        code = "forbidden_origin" if told else "csrf_token_required"
        assert (answer.status_code, answer.json()["code"]) == (403, code)
        assert "access-control-allow-origin" not in answer.headers
        own = {"origin": gateway.url, "x-headgate-csrf": token}
        assert page.get("/api/accounts/one").json()["status"] == "active"
        assert page.post("/api/accounts/one/pause", headers=own).status_code == 200
        (row,) = page.get("/api/audit").json()["changes"]
        assert (row["who"], row["action"]) == ("session", "account.pause")


def test_pages_that_log_their_visitors_in(tmp_path: Path) -> None:
    """A page that logs its visitor in by a key of its own, or sends guesses → 403, no cookie"""
    with locked(tmp_path, accounts=()) as gateway:
        for told, kind in itertools.product((_EVIL, _NEIGHBOUR), ("text/plain", "application/json")):
            body = json.dumps({"key": KEY}).encode()
            answer = httpx.post(
                f"{gateway.url}/api/session", content=body, headers={**told, "content-type": kind}
            )
            assert answer.status_code in ({403} if kind == "application/json" else {400, 403})
            assert "set-cookie" not in answer.headers


def test_cookies_that_are_over(tmp_path: Path) -> None:
    """A cookie after its log-out, 12 idle hours, a week, another admin key, a restart → 401, says so"""
    clock = SharedClock(tmp_path / "clock")
    with locked(tmp_path, accounts=(), clock=tmp_path / "clock") as gateway, browser(gateway) as page:

        def is_open() -> bool:
            answer = page.get("/status")
            assert answer.status_code in {200, 401}
            assert answer.status_code == 200 or "its log-in has ended" in answer.json()["detail"]
            return answer.status_code == 200

        token = log_in(page)
        cookie = page.cookies["headgate_session"]
        assert page.delete("/api/session", headers={"x-headgate-csrf": token}).status_code == 200
        page.cookies.set("headgate_session", cookie, domain="127.0.0.1")
        assert not is_open()
        page.cookies.clear()
        log_in(page)
        clock.advance(11 * HOURS)
        assert is_open()
        clock.advance(12 * HOURS + 1)
        assert not is_open()
        page.cookies.clear()
        log_in(page)
        for _ in range(16):
            clock.advance(10 * HOURS)
            assert is_open()
        clock.advance(10 * HOURS)
        assert not is_open()
        page.cookies.clear()
        log_in(page)
        assert gateway.command("config", "set", "admin.key", "another-long-key").returncode == 0
        assert not is_open()
        page.cookies.clear()
        log_in(page, "another-long-key")
        assert is_open()
        gateway.stop(expect_code=0)
        gateway.start()
        assert not is_open()


async def test_guesses_at_the_log_in(tmp_path: Path) -> None:
    """Twenty senders of ever new keys at the log-in of a hashed key → 401 or 429; the owner is in soon"""
    key = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(KEY)
    numbers = itertools.count()
    with Gateway(tmp_path, accounts=(), settings={"admin": {"key": key}}) as gateway:

        async def post(client: httpx.AsyncClient, key: str) -> int:
            return (await client.post("/api/session", json={"key": key})).status_code

        async def guess() -> None:
            async with httpx.AsyncClient(
                verify=NO_TLS, base_url=gateway.url, trust_env=False, timeout=60
            ) as client:
                while True:
                    assert await post(client, f"guess {next(numbers)}") in {401, 429}

        tasks = TaskGroup()
        for _ in range(20):
            tasks.spawn(guess(), name="guesser")
        await until(lambda: next(numbers) >= 60)
        answers: list[int] = []
        async with httpx.AsyncClient(
            verify=NO_TLS, base_url=gateway.url, trust_env=False, timeout=60
        ) as owner:
            while 200 not in answers and len(answers) < 6:
                answers.append(await post(owner, KEY))
            assert answers[-1] == 200
            assert (await owner.get("/status")).status_code == 200
        await tasks.cancel()


@pytest.mark.parametrize(
    "announced", [pytest.param(True, id="announced"), pytest.param(False, id="in chunks")]
)
def test_large_bodies_to_the_log_in(tmp_path: Path, announced: bool) -> None:
    """A body of more than 8 KiB to the log-in, which needs no key → 413"""
    body: Any = b" " * 9_000 if announced else iter([b" " * 1_000] * 9)
    with locked(tmp_path, accounts=()) as gateway:
        answer = httpx.post(
            f"{gateway.url}/api/session", content=body, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_where_a_log_in_is_never_seen(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The cookie on a provider's route → not sent on; cookie, key and token are in no log, file or record"""
    with locked(tmp_path, provider=provider.url) as gateway, browser(gateway) as page:
        token = log_in(page)
        cookie = page.cookies["headgate_session"]
        key = {"x-api-key": CLIENT_KEY, "anthropic-version": "2023-06-01"}
        answer = page.post("/v1/messages", json=ask("say 5 words"), headers=key)
        assert answer.status_code == 200, answer.text
        (sent_on,) = provider.received()
        assert page.post("/api/accounts/one/pause", headers={"x-headgate-csrf": token}).status_code == 200
        wait_until(lambda: len(page.get("/api/requests").json()["requests"]) == 1, what="a record")
        told = repr(sent_on) + gateway.log_text() + gateway.output_text()
        told += page.get("/api/requests").text + page.get("/api/audit").text
        kept = [file.read_bytes() for file in gateway.data.rglob("*") if file.is_file()]
        assert "Logged in from 127.0.0.1" in told
        for secret in (cookie, token, KEY):
            assert secret not in told
            assert not any(secret.encode() in one for one in kept)
