"""Ledger row W3, conversations: told by a client that does nothing for it, shown to the owner."""

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from headgate.testing.sessions import Talk, Told, day_of_work
from tests.conversation.linked import truth
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import TIMEOUT_SECONDS


def _told() -> Told:
    told = Told(4)
    talk = Talk(told, "work")
    talk.say("mend the parser")
    talk.use_tool()
    talk.run_agents([told.words(6), told.words(7)])
    other = talk.fork(1, "otherwise")
    other.say("another way")
    talk.say(told.words(4))
    talk.retry()
    talk.compact("after summary")
    talk.use_tool()
    return told


def _send(gateway: Gateway, body: dict[str, Any]) -> str:
    sent = {"x-api-key": CLIENT_KEY, "content-type": "application/json"}
    url, content = gateway.url + "/v1/messages", msgspec.json.encode(body)
    answer = httpx.post(url, content=content, headers=sent, timeout=TIMEOUT_SECONDS, verify=NO_TLS)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-headgate-request-id"]


def _shape(tree: dict[str, Any], numbers: dict[str, int]) -> dict[int, tuple[Any, ...]]:
    """By request: conversation and branch by their first requests, relation, what it continues."""
    found = {}
    for branch in tree["branches"]:
        first = numbers[branch["turns"][0]["id"]]
        for turn in branch["turns"]:
            parent = None if turn["continues"] is None else numbers[turn["continues"]]
            found[numbers[turn["id"]]] = (numbers[tree["id"]], first, turn["relation"], parent)
    for below in tree["sub_conversations"]:
        found |= _shape(below, numbers)
    return found


def test_w3_conversations_are_the_tree_they_were_whoever_is_killed(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A session with sub-agents, a fork, a retry, a compaction is listed once and shown as the tree it was.

    W3. Gateway and recorder are killed in between; commands show the same, running or stopped."""
    told = _told()
    sent: dict[str, int] = {}
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for count, one in enumerate(told.sent):
            sent[_send(gateway, one.body)] = one.number
            if count in (3, 9):
                gateway.kill_recorder()
            if count == 6:
                gateway.kill()
                gateway.start()

        def listed() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = gateway.admin("/api/conversations?all=true")["conversations"]
            return found

        wait_until(
            lambda: sum(one["request_count"] for one in listed()) == len(sent), what="all in conversations"
        )
        roots = gateway.admin("/api/conversations")["conversations"]
        assert [(one["title"], one["conversations_below"]) for one in roots] == [("mend the parser", 2)]
        tree = gateway.admin(f"/api/conversations/{roots[0]['id']}")
        requests, above = truth(told)
        assert _shape(tree, sent) == requests
        opened = {
            sent[one["id"]]: (sent[one["parent"]], sent[one["opened_by"]])
            for one in tree["sub_conversations"]
        }
        assert opened == above and tree["left_out"] == 0
        of_requests = {one["id"]: one["conversation"] for one in gateway.requests(limit=100)}
        assert {sent[its]: sent[whose] for its, whose in of_requests.items()} == {
            number: place[0] for number, place in requests.items()
        }
        shown = gateway.command("conversations", roots[0]["id"]).stdout
        assert all(its in shown for its in sent) and "compaction" in shown and "sub-agent" in shown
        as_json = json.loads(gateway.command("conversations", roots[0]["id"], "--json").stdout)
        gateway.stop()
        stopped = json.loads(gateway.command("conversations", roots[0]["id"], "--json").stdout)
        assert stopped == as_json == tree
        anew = json.loads(gateway.command("db", "relink", "--json").stdout)
        assert anew == {"scopes": 1, "requests": len(sent), "moved": 0, "left": 0}
        assert json.loads(gateway.command("conversations", roots[0]["id"], "--json").stdout) == tree


def test_w3_three_hours_of_work_are_one_tree(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Some 400 requests of a session of three hours, sub-agents and compactions among them: one tree. W3."""
    told = day_of_work(seed=5)
    clock = SharedClock(tmp_path / "clock")
    sent: dict[str, int] = {}
    with Gateway(tmp_path, provider=provider.url, clock=tmp_path / "clock") as gateway:
        began = clock.now()
        for one in told.sent:
            clock.advance(max(0.0, began + one.began_at / 1000 - clock.now()))
            sent[_send(gateway, one.body)] = one.number

        def linked() -> int:
            found = gateway.admin("/api/conversations?all=true&limit=500")["conversations"]
            return sum(one["request_count"] for one in found)

        wait_until(lambda: linked() == len(sent), what="all in conversations")
        (root,) = gateway.admin("/api/conversations")["conversations"]
        assert root["last_at"] - root["started_at"] > 3 * 3_600_000 - 60_000
        tree = gateway.admin(f"/api/conversations/{root['id']}")
    clock.close()
    requests, above = truth(told)
    assert _shape(tree, sent) == requests and tree["left_out"] == 0
    assert _openings(tree, sent) == above


def _openings(tree: dict[str, Any], numbers: dict[str, int]) -> dict[int, tuple[int, int]]:
    """By conversation the one above it, and the request whose answer called for it."""
    found = {}
    for one in tree["sub_conversations"]:
        found[numbers[one["id"]]] = (numbers[one["parent"]], numbers[one["opened_by"]])
        found |= _openings(one, numbers)
    return found


def test_w3_without_linking_nothing_is_kept(tmp_path: Path, provider: SimulatedProvider) -> None:
    """With `storage.conversations.link: false` no request is linked, and no message is kept. W3."""
    settings = {"storage": {"conversations": {"link": False}}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        its = _send(gateway, _told().sent[0].body)
        assert gateway.record_of(its)["conversation"] is None
        assert gateway.admin("/api/conversations")["conversations"] == []
