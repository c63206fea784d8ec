"""The admin key as a hash: what is verified, in which order, and that a guesser keeps nobody out."""

import asyncio
import gc
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
from headgate.admin.entrance import Entrance
from headgate.admin.key_lock import MOST_WAITING, KeyLock, Line, offered_key
from headgate.clock import SystemClock
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
    for number in range(8):
        tasks.spawn(opens(lock, HASHED, f"guess {number}"), name="guess")
    await asyncio.sleep(0)
    assert lock.answer(HASHED, KEY) is True
    assert lock.verifications <= 2
    await tasks.cancel()


async def test_an_unknown_owner_comes_before_whoever_guessed_wrong() -> None:
    """From an address of his own, beside sixty that sent wrong keys before: soon, not as the last."""
    places = []
    for _ in range(5):
        lock, order = KeyLock(), list[str]()

        async def ask(offered: str, at: str, lock: KeyLock = lock, order: list[str] = order) -> None:
            await opens(lock, HASHED, offered, at)
            order.append(offered)

        for number in range(6 * 60):
            lock.line.note_wrong(f"10.0.0.{number % 60}")
        tasks = TaskGroup()
        asking = [tasks.spawn(ask(f"guess {one}", f"10.0.0.{one}"), name="guess") for one in range(60)]
        await asyncio.sleep(0)
        asking.append(tasks.spawn(ask(KEY, "10.0.1.1"), name="owner"))
        await asyncio.gather(*asking)
        places.append(order.index(KEY))
    assert min(places) < 10


async def test_an_owner_among_guessers_of_his_address_gets_his_turn() -> None:
    """Twenty senders of fresh wrong keys, who come again at once: he has the same lot as each."""
    lock, tasks = KeyLock(), TaskGroup()
    numbers = itertools.count()

    async def guess() -> None:
        while True:
            await opens(lock, HASHED, f"guess {next(numbers)}")

    for _ in range(20):
        tasks.spawn(guess(), name="guesser")
    await asyncio.sleep(0.05)
    before = lock.verifications
    assert await asyncio.wait_for(opens(lock, HASHED, KEY), 10)
    assert lock.verifications - before < 400
    await tasks.cancel()


async def test_the_line_is_bounded_and_who_has_no_room_is_told() -> None:
    """One of the address that has most, drawn by lot: it need be neither the oldest nor the newest."""
    line = Line()
    owner = line.join("10.0.1.1")
    turns = [line.join("10.0.0.1") for _ in range(3 * MOST_WAITING)]
    assert len(line) == MOST_WAITING
    assert not owner.done()
    refused = [turn for turn in turns if turn.done()]
    assert all(isinstance(turn.exception(), TooManyGuesses) for turn in refused)
    assert not all(turn.done() for turn in turns[:MOST_WAITING])
    assert not all(turn.done() for turn in turns[MOST_WAITING:])


async def test_the_newest_of_many_addresses_is_not_the_one_refused() -> None:
    """In a line that others filled from an address each, who comes last has the same lot as they."""
    kept = 0
    for _ in range(3):
        line = Line()
        for number in range(MOST_WAITING):
            line.join(f"10.0.0.{number}")
        kept += not line.join("10.0.1.1").done()
    assert kept


async def test_the_lot_is_drawn_of_addresses_first() -> None:
    """One that sends much delays itself; a wrong key makes an address weigh less, never nothing."""
    line = Line()
    many = {line.join("a") for _ in range(100)}
    one = line.join("b")
    popped = 0
    while line.pop() in many:
        popped += 1
    assert popped < 50
    assert not one.done()
    for _ in range(100):
        line.note_wrong("a")
    line.leave(next(iter(many)))
    assert line.pop() in many


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who drew no lot in time is told to ask again, and stops nobody."""
    monkeypatch.setattr("headgate.admin.key_lock.LONGEST_WAIT_SECONDS", 0.01)
    lock, tasks = KeyLock(), TaskGroup()
    first = tasks.spawn(opens(lock, SLOW, "one"), name="first")
    await asyncio.sleep(0)
    with pytest.raises(TooManyGuesses):
        await opens(lock, SLOW, "two")
    assert not await first
    assert await opens(lock, SLOW, KEY)


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


async def test_many_wrong_keys_at_once_do_not_keep_the_owner_out() -> None:
    """The owner known from before is answered before most guessers, who wait for their lot."""
    app, done = Doors(inside, entrance=Entrance(lambda: SLOW, SystemClock())), list[str]()
    async with served(app) as client:
        client.timeout = httpx.Timeout(60)
        assert (await client.post(CLOSED, headers=own(KEY), content=b"first")).text == "inside first"
        guesses: list[Coroutine[Any, Any, httpx.Response]] = [
            answered(client, done, "guess", headers=own(f"guess {one}")) for one in range(20)
        ]
        *guessed, owner = await asyncio.gather(*guesses, answered(client, done, "owner", headers=own(KEY)))
    assert owner.text == "inside "
    statuses = [one.status_code for one in guessed]
    assert set(statuses) <= {401, 429}
    assert done.index("owner") < 15


async def test_who_is_refused_hears_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with `Retry-After`."""
    monkeypatch.setattr("headgate.admin.key_lock.MOST_WAITING", 1)
    async with served(Doors(inside, entrance=Entrance(lambda: SLOW, SystemClock()))) as client:
        guesses = [client.post(CLOSED, headers=own(f"guess {one}")) for one in range(8)]
        answers = await asyncio.gather(*guesses)
    busy = next(one for one in answers if one.status_code == 429)
    assert busy.headers["retry-after"] == "2"
    assert busy.json()["code"] == "too_many_guesses"


async def test_who_is_refused_leaves_no_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector comes seldom: a refusal that led back to itself would keep its body until then."""
    monkeypatch.setattr("headgate.admin.key_lock.LONGEST_WAIT_SECONDS", 0.0)
    gc.collect()
    gc.disable()
    try:
        async with served(Doors(inside, entrance=Entrance(lambda: SLOW, SystemClock()))) as client:
            guesses = [client.post(CLOSED, headers=own(str(n)), content=b"x" * 10_000) for n in range(5)]
            answers = await asyncio.gather(*guesses)
        left = [one for one in gc.get_objects() if isinstance(one, TooManyGuesses)]
    finally:
        gc.enable()
    assert 429 in {answer.status_code for answer in answers}
    assert not left


async def test_an_owner_who_had_to_wait_keeps_the_body() -> None:
    """What came meanwhile is handed on, large or small."""
    app = Doors(inside, entrance=Entrance(lambda: SLOW, SystemClock()))
    body = b"x" * 300_000
    async with served(app) as client:
        wrong, right = await asyncio.gather(
            client.post(CLOSED, headers=own("wrong"), content=body),
            client.post(CLOSED, headers=own(KEY), content=body),
        )
    assert (wrong.status_code, right.text) == (401, "inside " + body.decode())


async def test_a_guesser_is_not_asked_for_the_body() -> None:
    """The head says enough: no 100-continue before the key is known to be right."""
    async with served(Doors(inside, entrance=Entrance(lambda: SLOW, SystemClock()))) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = "POST /api/accounts HTTP/1.1\r\nhost: localhost\r\nx-dashboard-key: guess\r\n"
        writer.write(f"{head}expect: 100-continue\r\ncontent-length: 10\r\n\r\n".encode())
        first = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await writer.wait_closed()
    assert first.startswith(b"HTTP/1.1 401")


async def test_guesses_of_clients_that_left_are_not_verified() -> None:
    """Sixty connections that are closed again cost the owner nothing."""
    entrance = Entrance(lambda: SLOW, SystemClock())
    async with served(Doors(inside, entrance=entrance)) as client:
        port = client.base_url.port
        guess = b"GET /api/accounts HTTP/1.1\r\nhost: localhost\r\nx-dashboard-key: %d\r\n\r\n"
        for number in range(8):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(guess % number)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await client.post(CLOSED, headers=own(KEY))).status_code == 200
        assert entrance.key_lock.verifications <= 4


@pytest.mark.parametrize(("offered", "status"), [(KEY, 401), ("another", 200)])
async def test_a_key_that_is_changed_meanwhile_opens_nothing(offered: str, status: int) -> None:
    """The one in force when the answer is given counts: the old one no more, the new one at once."""
    in_force = itertools.chain([HASHED], itertools.repeat(QUICK.hash("another")))
    async with served(Doors(inside, entrance=Entrance(lambda: next(in_force), SystemClock()))) as client:
        assert (await client.post(CLOSED, headers=own(offered))).status_code == status
