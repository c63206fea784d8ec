"""Strangers: callers without a key, web pages, and bodies that cannot be read."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from headgate.tasks import TaskGroup
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.hostile.asking import REQUEST, closes, code_of
from tests.journeys.wire import ask, connect, fetch, request

_PAGE = {"origin": "https://evil.example", "content-type": "text/plain"}


@pytest.fixture(scope="module")
def open_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """As it is shipped: no client key is needed on this machine."""
    folder = tmp_path_factory.mktemp("open")
    with Gateway(folder, provider=running_provider.url, settings={"access": {"api_keys": []}}) as running:
        yield running


# ---- who is not let in ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/files", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("key", [pytest.param("", id="no key"), pytest.param("hg_wrong", id="a wrong one")])
async def test_strangers_are_refused_by_their_head(
    provider: SimulatedProvider, gateway: Gateway, path: str, key: str
) -> None:
    """A stranger's body → 401 before a byte of it is read, and no 100-continue"""
    wire = request(path, b" " * 300_000, key=key, headers={"expect": "100-continue"})
    async with connect(gateway.url) as connection:
        connection.send(wire.rstrip(b" "))
        answer = await connection.answer()
        assert (answer.status, code_of(answer)) == (401, "invalid_client_key")
        assert b"100 Continue" not in connection.received
        await closes(connection)
    assert provider.books()["count"] == 0


async def test_the_owners_routes_are_refused_by_their_head(
    provider: SimulatedProvider, gateway: Gateway
) -> None:
    """A stranger's body to an owner's route → 401 at once, no 100-continue; closed when none comes"""
    wire = request("/api/accounts", b" " * 300_000, headers={"host": "headgate.evil.example"}).rstrip(b" ")
    async with connect(gateway.url) as connection, connect(gateway.url) as silent:
        silent.send(wire)
        connection.send(wire.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        answer = await connection.answer()
        assert (answer.status, answer.json()["code"]) == (401, "admin_key_required")
        assert b"100 Continue" not in connection.received
        assert answer.headers["connection"] == "close"
        await closes(connection)
        assert (await silent.answer()).status == 401
        await asyncio.wait_for(silent.is_closed.wait(), 10)
        assert silent.received.count(b"HTTP/1.1 ") == 1


async def test_guesses_at_the_admin_key(tmp_path: Path) -> None:
    """Twenty guesses at a hashed admin key → 401 or 429 each; the owner is answered before them"""
    old, new = PasswordHasher().hash("old"), PasswordHasher().hash("new")
    with Gateway(tmp_path, accounts=(), settings={"admin": {"key": old}}) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60) as client:

            async def status(key: str) -> int:
                return (await client.get("/status", headers={"x-dashboard-key": key})).status_code

            assert await status("old") == 200
            tasks = TaskGroup()
            guesses = [tasks.spawn(status(f"guess {one}"), name="guess") for one in range(20)]
            await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
            assert await status("old") == 200
            assert not all(one.done() for one in guesses)
            changed = await asyncio.to_thread(gateway.command, "config", "set", "admin.key", new)
            assert changed.returncode == 0, changed.stderr
            assert await status("old") in {401, 429}  # a guess like the others from now on

            async def is_in() -> bool:
                """With a key that nobody has shown yet he waits among those who guess."""
                return await status("new") == 200

            await until(is_in, what="the owner, by the new key")
            assert set(await asyncio.gather(*guesses)) <= {401, 429}
            assert await status("old") == 401


@pytest.mark.parametrize("addresses", [1, 60])
async def test_floods_of_admin_keys(tmp_path: Path, addresses: int) -> None:
    """20 senders of ever new admin keys from the owner's address, or 60 from as many → he is in soon"""
    key = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash("mine")
    numbers = itertools.count()
    with Gateway(tmp_path, accounts=(), settings={"admin": {"key": key}}) as gateway:

        def client_at(address: str) -> httpx.AsyncClient:
            transport = httpx.AsyncHTTPTransport(local_address=address)
            return httpx.AsyncClient(base_url=gateway.url, transport=transport, timeout=60)

        async def ask(client: httpx.AsyncClient, key: str) -> int:
            return (await client.get("/status", headers={"x-dashboard-key": key})).status_code

        async def guess(address: str) -> None:
            async with client_at(address) as client:
                while True:
                    assert await ask(client, f"guess {next(numbers)}") in {401, 429}

        tasks = TaskGroup()
        for one in range(max(20, addresses)):
            tasks.spawn(guess(f"127.0.0.{1 + one % addresses}"), name="guesser")
        await until(lambda: next(numbers) >= 60)
        answers: list[int] = []
        async with client_at("127.0.0.1" if addresses == 1 else "127.0.1.1") as owner:
            while 200 not in answers and len(answers) < 6:
                answers.append(await ask(owner, "mine"))
            assert answers[-1] == 200
            assert await ask(owner, "mine") == 200
        await tasks.cancel()


async def test_guessers_that_left(tmp_path: Path) -> None:
    """Guessers that wait for `100 Continue`, and leave, one after the other → the owner comes next"""
    key = PasswordHasher(time_cost=10, memory_cost=65_536, parallelism=1).hash("mine")
    guess = b"GET /status HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nx-dashboard-key: %d\r\n\r\n"
    with Gateway(tmp_path, accounts=(), settings={"admin": {"key": key}}) as gateway:
        for number in range(300):
            with socket.create_connection(gateway.address) as connection:
                connection.sendall(guess % number)
        status, _ = gateway.ask("GET", "/status", headers={"x-dashboard-key": "mine"})
        assert status == 200


async def test_floods_of_wrong_keys(provider: SimulatedProvider, tmp_path: Path) -> None:
    """Thousands of requests with a wrong key → 401 each, some hundred records, and a line that says so"""
    wire = request(body=ask(), key="hg_wrong")
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        for _ in range(2_000):
            async with connect(gateway.url) as connection:
                assert (await connection.ask(wire)).status == 401
        served = await fetch(gateway.url, REQUEST)
        gateway.record_of(served.id)
        assert len(gateway.requests()) < 500
        assert "Strangers send more than is recorded" in gateway.log_text()


# ---- web pages, while no key is needed -------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(_PAGE, id="a page of another site"),
        pytest.param({"origin": "null"}, id="a page without origin"),
        pytest.param({"origin": "http://localhost:3000"}, id="a page of another port"),
        pytest.param({"sec-fetch-site": "cross-site"}, id="an image or script"),
        pytest.param({"host": "evil.example"}, id="a foreign name"),
        pytest.param({"host": "evil.example", "origin": "http://evil.example"}, id="DNS rebinding"),
        pytest.param({"host": "127.0.0.1.evil.example"}, id="a name that begins like an address"),
        pytest.param({"host": ""}, id="an empty Host"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/messages"), ("GET", "/v1/models"), ("POST", "/v1/files")]
)
async def test_web_pages(
    provider: SimulatedProvider, open_gateway: Gateway, headers: dict[str, str], method: str, path: str
) -> None:
    """A web page's request while no client key is needed → 403, nothing is spent"""
    body = ask() if path == "/v1/messages" else b""
    answer = await fetch(open_gateway.url, request(path, body, method=method, key="x", headers=headers))
    assert (answer.status, code_of(answer)) == (403, "forbidden_origin")
    assert "access-control-allow-origin" not in answer.headers
    assert provider.books()["count"] == 0


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost:8080", id="localhost"),
        pytest.param("127.0.0.1", id="an address"),
        pytest.param("[::1]:8080", id="an IPv6 address"),
        pytest.param("headgate:8080", id="a name without dots"),
    ],
)
async def test_programs(provider: SimulatedProvider, open_gateway: Gateway, host: str) -> None:
    """A program's request by a name of this machine → served"""
    answer = await fetch(open_gateway.url, request(body=ask(), key="x", headers={"host": host}))
    assert answer.status == 200
    assert provider.books()["count"] == 1


async def test_web_pages_with_a_key(provider: SimulatedProvider, gateway: Gateway) -> None:
    """A web page that has a client key → served: the key is what counts"""
    answer = await fetch(gateway.url, request(body=ask(), headers=_PAGE))
    assert answer.status == 200


async def test_a_page_behind_a_program(provider: SimulatedProvider, open_gateway: Gateway) -> None:
    """A page's request on a connection that a program used → 403 as well"""
    async with connect(open_gateway.url) as connection:
        assert (await connection.ask(request(body=ask(), key="x"))).status == 200
        answer = await connection.ask(request(body=ask(), key="x", headers=_PAGE))
        assert answer.status == 403
    assert provider.books()["count"] == 1


# ---- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "it is empty", id="empty"),
        pytest.param(b'{"model":"m",', "at byte 13", id="cut off"),
        pytest.param(b'{"model":"m"}}', "byte 14", id="more behind it"),
        pytest.param(b'{"model":"m","a":NaN}', "byte 17", id="NaN"),
        pytest.param(b"'model'", "byte 0", id="no JSON"),
        pytest.param(b"\xef\xbb\xbf{}", "byte 0", id="a byte order mark"),
        pytest.param('{"model":"m"}'.encode("utf-16"), "byte 0", id="UTF-16"),
        pytest.param(b'{"model":"m\xff"}', "byte 11", id="no UTF-8 in the model"),
        pytest.param(b'{"model":"m","messages":"\xc3("}', "byte 25", id="no UTF-8 elsewhere"),
        pytest.param(b'{"model":"m","a":"\x01"}', "byte 18", id="a control character"),
        pytest.param(b'{"model":"m","a":' + b"[" * 100_000, "nested too deeply", id="100 000 brackets"),
        pytest.param(b'{"model":"m","metadata":{"user_id":' + b'{"a":' * 50_000, "nested", id="in metadata"),
        pytest.param(b"[" * 100_000, "must be a JSON object", id="brackets alone"),
        pytest.param(b"[]", "must be a JSON object", id="an array"),
        pytest.param(b"null", "must be a JSON object", id="null"),
        pytest.param(b'"text"', "must be a JSON object", id="a text"),
        pytest.param(b"{}", "model: Field required", id="no model"),
        pytest.param(b'{"model":null}', "model: Expected `str`, got `null`", id="model null"),
        pytest.param(b'{"model":7}', "model: Expected `str`, got `int`", id="model a number"),
        pytest.param(b'{"model":["m"]}', "model: Expected `str`, got `array`", id="model a list"),
        pytest.param(b'{"model":"m","stream":"yes"}', "stream: Expected `bool", id="stream a text"),
        pytest.param(b'{"model":"m","stream":1}', "stream: Expected `bool", id="stream a number"),
        pytest.param(b'{"model":"m","metadata":[]}', "metadata: Expected `object", id="metadata a list"),
        pytest.param(
            b'{"model":"m","x":"\\ud800","metadata":7}', "metadata: Expected", id="behind half a pair"
        ),
    ],
)
async def test_unreadable_bodies(
    provider: SimulatedProvider, gateway: Gateway, body: bytes, words: str
) -> None:
    """A body that is no JSON object, or a field of the wrong type → 400 with field and position"""
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = await fetch(gateway.url, request(path, body))
        assert (answer.status, code_of(answer)) == (400, "invalid_request")
        assert words in answer.json()["error"]["message"]
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert provider.books()["count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b'{"model":"claude-sonnet-5-5","x":"\\ud800","messages":[]}', id="half a surrogate pair"
        ),
        pytest.param(b'{"model":1,"model":"claude-sonnet-5-5"}', id="a key given twice"),
        pytest.param(b'{"model":"claude-sonnet-5-5","max_tokens":"many"}', id="a wrong number"),
        pytest.param(b'{"model":"claude-sonnet-5-5","messages":7}', id="no messages"),
        pytest.param(b'{"model":"no such model \xf0\x9f\x98\x80"}', id="an unknown model"),
        pytest.param(
            b'{"model":"claude-sonnet-5-5","n":1e999999,"i":' + b"9" * 5_000 + b"}", id="huge numbers"
        ),
    ],
)
async def test_readable_bodies(provider: SimulatedProvider, gateway: Gateway, body: bytes) -> None:
    """A body that is JSON, whatever it says → the provider judges it, byte for byte"""
    answer = await fetch(gateway.url, request(body=body))
    assert "x-headgate-error" not in answer.headers
    assert [one["body"] for one in provider.received()] == [body]


async def test_the_next_one_is_served(provider: SimulatedProvider, gateway: Gateway) -> None:
    """After all of these → the next request is served"""
    assert (await fetch(gateway.url, REQUEST)).status == 200
