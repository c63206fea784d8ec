"""Sessions told with their truth go through journal and recorder, and the database holds that truth."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.conversation.past import MOST_AT_A_PREFIX
from headgate.dialects.anthropic import read_request
from headgate.dialects.usage import Usage
from headgate.record import replay as replaying
from headgate.record.journal import Journal
from headgate.record.links import scope_of
from headgate.record.replay import Replay
from headgate.record.spans import Spans
from headgate.storage.database import Database
from headgate.storage.history import clear_before
from headgate.storage.schema import conversations, request_links, spans, turns
from headgate.storage.spans import forget_spans
from headgate.testing.sessions import Sent, Told, coding_session, tell_session
from tests.conversation.linked import Tree, truth
from tests.record.samples import recorded, request


class Gateway:
    """What the relay does with a request, as far as the journal sees it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder, "g", SystemClock())
        self.restart()

    def restart(self) -> None:
        self.spans = Spans(self.journal.offer, SystemClock().monotonic, seed=7)

    def serve(self, one: Sent, **more: Any) -> None:
        facts = read_request(msgspec.json.encode(one.body), hashing=self.spans)
        fields = {
            "at_ms": one.began_at,
            "duration_ms": float(one.ended_at - one.began_at),
            "caller": one.caller,
            "session": one.session or facts.session,
            "status": one.status,
            "usage": Usage(1, one.output_tokens, 0, 0, 0),
            "spans": facts.spans,
        }
        self.journal.append(request(str(one.number), **(fields | more)))


async def stored(database: Database) -> Tree:
    async with database.read() as connection:
        links = (await connection.execute(sa.select(request_links))).all()
        talks = (await connection.execute(sa.select(conversations))).all()
    first: dict[Any, int] = {}
    for link in sorted(links, key=lambda one: int(one.request_id)):
        first.setdefault((link.conversation_id, link.branch), int(link.request_id))
    requests = {
        int(link.request_id): (
            int(link.conversation_id),
            first[link.conversation_id, link.branch],
            link.relation,
            int(link.parent_request_id) if link.parent_request_id is not None else None,
        )
        for link in links
    }
    above: dict[Any, tuple[Any, int | None]] = {
        int(talk.id): (int(talk.parent_id), int(talk.parent_request_id))
        for talk in talks
        if talk.parent_request_id is not None
    }
    return requests, above


async def replayed(folder: Path, database: Database) -> None:
    await Replay(folder, database, lambda records, rows: None).drain()


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("session", [None, "3f1c"])
async def test_a_session_is_stored_as_the_tree_it_was(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, session: str | None
) -> None:
    """However many records a batch holds."""
    monkeypatch.setattr(replaying, "BATCH_RECORDS", at_once)
    told = coding_session(3, session=session)
    gateway = Gateway(tmp_path)
    for one in told.in_order_of_ends():
        gateway.serve(one)
    await replayed(tmp_path, database)
    assert await stored(database) == truth(told)


async def test_recorders_and_gateways_may_begin_anew_at_any_time(database: Database, tmp_path: Path) -> None:
    told = Told(5)
    tell_session(told, "ann's", caller="ann")
    tell_session(told, "bob's", caller="bob", session="1")
    gateway = Gateway(tmp_path)
    for count, one in enumerate(told.in_order_of_ends()):
        gateway.serve(one)
        if count % 5 == 0:
            await replayed(tmp_path, database)
        if count % 11 == 0:
            gateway.restart()
    await replayed(tmp_path, database)
    assert await stored(database) == truth(told)


async def test_a_conversation_has_its_sums_and_title(database: Database, tmp_path: Path) -> None:
    told = Told()
    talk_title = "mend\nthe  parser"
    tell_session(told, "work")
    told.sent[1].body["messages"][0]["content"] = talk_title
    gateway = Gateway(tmp_path)
    for one in told.sent[1:3]:
        gateway.serve(one, model="claude-sonnet-4-5", key_id=4, domain="a.example")
        await replayed(tmp_path, database)
    async with database.read() as connection:
        row = (await connection.execute(sa.select(conversations).order_by(conversations.c.id))).first()
    assert row is not None
    assert (row.title, row.key_id, row.domain) == ("mend the parser", 4, "a.example")
    assert (row.requests, row.failed, row.input_tokens) == (1, 0, 1)
    assert row.nano_usd > 0 and row.unpriced == 0


async def test_messages_that_were_stored_before_their_request_ended_stay(
    database: Database, tmp_path: Path
) -> None:
    """An answer may take minutes, and the recorder may begin anew behind it: it has to find them."""
    told = Told()
    tell_session(told, "work")
    gateway = Gateway(tmp_path)
    one = told.sent[0]
    facts = read_request(msgspec.json.encode(one.body), hashing=gateway.spans)
    gateway.journal.commit()
    await replayed(tmp_path, database)
    await forget_spans(database, round(SystemClock().now() * 1000))
    gateway.journal.append(request(str(one.number), spans=facts.spans, session=facts.session))
    await replayed(tmp_path, database)
    async with database.read() as connection:
        titles = (await connection.execute(sa.select(conversations.c.title))).scalars().all()
    assert len(titles) == 1 and titles[0]


async def test_without_titles_no_word_is_kept(database: Database, tmp_path: Path) -> None:
    told = coding_session()
    gateway = Gateway(tmp_path)
    gateway.spans.keeps_titles = False
    for one in told.sent[:9]:
        gateway.serve(one)
    await replayed(tmp_path, database)
    async with database.read() as connection:
        assert not (await connection.execute(sa.select(conversations.c.title).distinct())).scalar()
        kept = b"".join((await connection.execute(sa.select(spans.c.facts))).scalars())
    assert b"parser" not in kept and b"journal" not in kept


async def test_a_message_that_was_not_handed_over_is_the_same_as_itself(
    database: Database, tmp_path: Path
) -> None:
    """The journal had no room for it, or its record was damaged."""
    gateway = Gateway(tmp_path)
    hashes = [bytes([number]) * 16 for number in range(6)]
    for name, length in (("0", 2), ("1", 4), ("2", 6)):
        gateway.journal.append(request(name, spans=b"".join(hashes[:length]), session=None, at_ms=int(name)))
    await replayed(tmp_path, database)
    requests, _ = await stored(database)
    assert [requests[number][0] for number in range(3)] == [0, 0, 0]


async def test_a_popular_opening_is_not_kept_without_end(database: Database, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    ping = b'{"model":"m","messages":[{"role":"user","content":"ping"}]}'
    for number in range(30):
        named = read_request(ping, hashing=gateway.spans).spans
        gateway.journal.append(request(str(number), spans=named, session=None, at_ms=number * 1000))
        if number % 4 == 0:
            await replayed(tmp_path, database)
    await replayed(tmp_path, database)
    async with database.read() as connection:
        assert (await connection.execute(sa.select(sa.func.count()).select_from(turns))).scalar() == 8


@pytest.mark.parametrize(
    "one, other",
    [
        ({"key_id": 1}, {"key_id": 2}),
        ({"caller": "a"}, {"caller": "b"}),
        ({"apart": b"a"}, {"apart": b"b"}),
        ({"domain": "a"}, {"domain": "b"}),
    ],
)
def test_callers_and_domains_are_scopes_of_their_own(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert scope_of(request("x", **one)) != scope_of(request("x", **other))
    assert scope_of(request("x", **one)) == scope_of(request("y", **one))


def test_a_key_that_was_renamed_is_the_same_caller() -> None:
    assert scope_of(request("x", key_id=1, caller="a")) == scope_of(request("x", key_id=1, caller="b"))


def test_a_caller_with_a_key_of_its_own_is_the_same_whoever_served_it() -> None:
    names = ("anonymous", "own-credential")
    assert len({scope_of(request("x", apart=b"a", caller=name)) for name in names}) == 1


async def test_conversations_go_with_their_requests(database: Database, tmp_path: Path) -> None:
    told = coding_session(2)
    gateway = Gateway(tmp_path)
    for one in told.in_order_of_ends():
        gateway.serve(one)
    await replayed(tmp_path, database)
    middle = told.sent[len(told.sent) // 2].began_at
    await clear_before(database, middle, most=10_000)
    requests, _ = await stored(database)
    assert sorted(requests) == [one.number for one in told.sent if one.began_at >= middle]
    async with database.read() as connection:
        names = set((await connection.execute(sa.select(conversations.c.id))).scalars())
        assert set((await connection.execute(sa.select(turns.c.conversation_id))).scalars()) <= names
    assert "0" in names
    await clear_before(database, told.now + 1, most=10_000)
    async with database.read() as connection:
        for table in (conversations, turns, request_links):
            assert not (await connection.execute(sa.select(table))).first()


async def test_a_history_of_very_many_blocks_is_stored_without_links(
    database: Database, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path)
    message = {"role": "user", "content": [{"type": "text", "text": str(at)} for at in range(1_000)]}
    other = {"role": "user", "content": "short"}
    for name, messages in (("0", [message] * 9), ("1", [other])):
        body = msgspec.json.encode({"model": "m", "messages": messages})
        named = read_request(body, hashing=gateway.spans).spans
        gateway.journal.append(request(name, spans=named, session=None))
    await replayed(tmp_path, database)
    assert sorted((await stored(database))[0]) == [1]
    assert await recorded(database) == ["0", "1"]


@pytest.mark.parametrize("at_once", [3, 1000])
async def test_of_many_that_open_alike_the_last_are_remembered(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Those that were let go of are gone from the database as well, in whichever batch they came."""
    monkeypatch.setattr(replaying, "BATCH_RECORDS", at_once)
    gateway = Gateway(tmp_path)
    count = 3 * MOST_AT_A_PREFIX
    for number in range(count):
        body = {"model": "m", "messages": [{"role": "user", "content": "Are you there?"}]}
        began_at, talk = 1000 * number, f"check {number}"
        gateway.serve(
            Sent(number, body, "monitor", None, began_at, began_at + 500, 200, 4, talk, "", "start", None)
        )
    await replayed(tmp_path, database)
    async with database.read() as connection:
        talks = (await connection.execute(sa.select(sa.func.count()).select_from(conversations))).scalar()
        kept = (await connection.execute(sa.select(turns.c.conversation_id))).scalars().all()
    assert talks == count
    assert sorted(map(int, kept)) == list(range(count - MOST_AT_A_PREFIX, count))
