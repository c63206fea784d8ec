"""The admin key as a hash: what is verified, in which order, and that a guesser keeps nobody out."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from headgate.admin.doors import Doors
from headgate.admin.key_lock import MOST_WAITING, MOST_WAITING_PER_ADDRESS, KeyLock, Line, offered_key
from headgate.errors import TooManyGuesses
from headgate.tasks import TaskGroup
from tests.admin.serving import served

KEY = "correct-horse-battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASHED = QUICK.hash(KEY)
SLOW = PasswordHasher(time_cost=2, memory_cost=32_768, parallelism=1).hash(KEY)
CLOSED = "/api/accounts"


async def opens(lock: KeyLock, key: str, offered: str, address: str = "10.0.0.1") -> bool:
    known = lock.answer(key, offered)
    return known if known is not None else await lock.verify(key, offered, address)


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await PlainTextResponse(b"inside " + body)(scope, receive, send)


def own(key: str) -> dict[str, str]:
    return {"x-dashboard-key": key}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"authorization": "Bearer a"}, "a"),
        ({"authorization": "Basic a"}, None),
        ({"authorization": "Bearer a", "x-management-key": "b"}, "b"),
        ({"authorization": "Bearer a", "x-management-key": "b", "x-dashboard-key": "c"}, "c"),
        ({"authorization": "Bearer a", "x-dashboard-key": " "}, "a"),
    ],
)
def test_one_header_counts(headers: dict[str, str], expected: str | None) -> None:
    """Always the same one, so that a request costs one verification at most."""
    assert offered_key(Headers(headers)) == expected


async def test_a_hash_opens_to_its_password_alone() -> None:
    """The hash itself opens nothing, and a broken one to nobody."""
    lock = KeyLock()
    assert await opens(lock, HASHED, KEY)
    assert not await opens(lock, HASHED, HASHED)
    assert not await opens(lock, HASHED, "wrong")
    assert not await opens(lock, "$argon2id$broken", KEY)


async def test_an_answer_is_kept_until_the_admin_key_changes() -> None:
    """Neither the owner nor a program with an old key costs one each time; a new hash knows none."""
    lock, other = KeyLock(), QUICK.hash("another")
    for _ in range(3):
        assert await opens(lock, HASHED, KEY)
        assert not await opens(lock, HASHED, "wrong")
    assert lock.verifications == 2
    assert lock.answer(other, KEY) is None
    assert not await opens(lock, other, KEY)
    assert lock.answer(HASHED, KEY) is None


async def test_a_known_owner_waits_for_nobody() -> None:
    """While guesses are verified and wait, the key from before opens without a verification."""
    lock = KeyLock()
    assert await opens(lock, HASHED, KEY)
    tasks = TaskGroup()
    for number in range(MOST_WAITING_PER_ADDRESS):
        tasks.spawn(opens(lock, HASHED, f"guess {number}"), name="guess")
    await asyncio.sleep(0)
    assert lock.answer(HASHED, KEY) is True
    assert lock.verifications <= 2
    await tasks.cancel()


async def test_an_unknown_owner_comes_after_the_one_that_is_verified() -> None:
    """From another address after one guess more at most, from the guesser's own as the newest."""
    for address in ("10.0.0.2", "10.0.0.1"):
        lock, order = KeyLock(), list[str]()

        async def ask(offered: str, at: str, lock: KeyLock = lock, order: list[str] = order) -> None:
            await opens(lock, HASHED, offered, at)
            order.append(offered)

        tasks = TaskGroup()
        asking = [tasks.spawn(ask(f"guess {one}", "10.0.0.1"), name="guess") for one in range(6)]
        await asyncio.sleep(0)
        asking.append(tasks.spawn(ask(KEY, address), name="owner"))
        await asyncio.gather(*asking)
        assert order.index(KEY) <= 2


async def test_the_line_is_bounded_and_its_oldest_are_told() -> None:
    """Of one address some wait, of all together not many more; who is refused learns it at once."""
    line = Line()
    turns = [line.join("10.0.0.1") for _ in range(MOST_WAITING_PER_ADDRESS + 1)]
    assert isinstance(turns[0].exception(), TooManyGuesses)
    assert not turns[1].done()
    many = [line.join(f"10.0.1.{number}") for number in range(MOST_WAITING)]
    assert len(line) == MOST_WAITING
    assert [one.done() for one in many[: MOST_WAITING - 1]] == [False] * (MOST_WAITING - 1)
    for turn in (*turns, *many):
        if turn.done():
            assert isinstance(turn.exception(), TooManyGuesses)


async def test_addresses_take_turns() -> None:
    """Newest first within one; one of IPv6 that a single person has is one."""
    line = Line()
    a1, a2, b1, c1 = line.join("a"), line.join("a"), line.join("b"), line.join("c")
    line.leave(c1)
    assert [line.pop() for _ in range(4)] == [a2, b1, a1, None]


async def test_who_is_cancelled_leaves_and_stops_nobody() -> None:
    """In the line, or when its turn has just come."""
    lock, tasks = KeyLock(), TaskGroup()
    first = tasks.spawn(opens(lock, SLOW, "one"), name="first")
    await asyncio.sleep(0)
    leaving = [tasks.spawn(opens(lock, SLOW, f"two {one}"), name="leaving") for one in range(4)]
    await asyncio.sleep(0)
    for task in (*leaving, first):
        task.cancel()
    assert await asyncio.wait_for(opens(lock, SLOW, KEY), 10)
    assert lock.verifications == 2


async def answered(client: httpx.AsyncClient, done: list[str], word: str, **more: Any) -> httpx.Response:
    answer = await client.post(CLOSED, **more)
    done.append(word)
    return answer


async def test_sixty_wrong_keys_at_once_do_not_keep_the_owner_out() -> None:
    """The owner known from before is answered before most guessers; many of these hear 429."""
    app, done = Doors(inside, admin_key=lambda: SLOW), list[str]()
    async with served(app) as client:
        assert (await client.post(CLOSED, headers=own(KEY), content=b"first")).text == "inside first"
        guesses: list[Coroutine[Any, Any, httpx.Response]] = [
            answered(client, done, "guess", headers=own(f"guess {one}")) for one in range(60)
        ]
        *guessed, owner = await asyncio.gather(*guesses, answered(client, done, "owner", headers=own(KEY)))
    assert owner.text == "inside "
    statuses = [one.status_code for one in guessed]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= MOST_WAITING_PER_ADDRESS + done.index("owner") + 2
    busy = next(one for one in guessed if one.status_code == 429)
    assert busy.headers["retry-after"] == "2"
    assert busy.json()["code"] == "too_many_guesses"


async def test_an_owner_who_had_to_wait_keeps_the_body() -> None:
    """What came meanwhile is handed on, large or small."""
    app = Doors(inside, admin_key=lambda: SLOW)
    body = b"x" * 300_000
    async with served(app) as client:
        wrong, right = await asyncio.gather(
            client.post(CLOSED, headers=own("wrong"), content=body),
            client.post(CLOSED, headers=own(KEY), content=body),
        )
    assert (wrong.status_code, right.text) == (401, "inside " + body.decode())


async def test_a_guesser_is_not_asked_for_the_body() -> None:
    """The head says enough: no 100-continue before the key is known to be right."""
    async with served(Doors(inside, admin_key=lambda: SLOW)) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = "POST /api/accounts HTTP/1.1\r\nhost: localhost\r\nx-dashboard-key: guess\r\n"
        writer.write(f"{head}expect: 100-continue\r\ncontent-length: 10\r\n\r\n".encode())
        first = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await writer.wait_closed()
    assert first.startswith(b"HTTP/1.1 401")


async def test_guesses_of_clients_that_left_are_not_verified() -> None:
    """Sixty connections that are closed again cost the owner nothing."""
    app = Doors(inside, admin_key=lambda: SLOW)
    async with served(app) as client:
        port = client.base_url.port
        guess = b"GET /api/accounts HTTP/1.1\r\nhost: localhost\r\nx-dashboard-key: %d\r\n\r\n"
        for number in range(MOST_WAITING_PER_ADDRESS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(guess % number)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await client.post(CLOSED, headers=own(KEY))).status_code == 200
        assert app.key_lock.verifications <= 4


@pytest.mark.parametrize(("offered", "status"), [(KEY, 401), ("another", 200)])
async def test_a_key_that_is_changed_meanwhile_opens_nothing(offered: str, status: int) -> None:
    """The one in force when the answer is given counts: the old one no more, the new one at once."""
    in_force = itertools.chain([HASHED], itertools.repeat(QUICK.hash("another")))
    async with served(Doors(inside, admin_key=lambda: next(in_force))) as client:
        assert (await client.post(CLOSED, headers=own(offered))).status_code == status
