"""`headgate requests` with real requests through a real gateway."""

import asyncio
import json
from functools import partial

import httpx
import pytest

from headgate.cli.requests import _of_body
from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import Command
from tests.gateway import NO_TLS, Gateway, until

BODY = {"model": "claude-sonnet-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}


async def send(gateway: Gateway) -> str:
    """One request through the gateway; its id."""
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False) as client:
        answer = await client.post("/v1/messages", json=BODY)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-headgate-request-id"]


async def test_followed_requests_appear_as_they_happen(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """With --json one object a line; Ctrl+C ends it. Later they are history, also when nothing runs."""
    added = await headgate.add("work", "--base-url", provider.url)
    assert added.code == 0, added.err
    first = await send(gateway)
    following = await headgate.start("requests", "--follow", "--json")
    assert following.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert json.loads(await following.stdout.readline())["id"] == first
            second = await send(gateway)
            shown = json.loads(await following.stdout.readline())
    finally:
        following.terminate()
        await following.wait()
    assert (shown["id"], shown["account"], shown["status"]) == (second, "work", 200)
    assert shown["usage"]["output_tokens"] > 0
    gateway.stop()
    listed = (await headgate("requests", "--json")).json()
    assert [one["id"] for one in listed["requests"]] == [second, first]
    table = (await headgate("requests", "--limit", "1", COLUMNS="120")).out
    assert "claude-sonnet-4-5" in table
    assert "No requests that match" in (await headgate("requests", "--status", "error")).out


async def test_one_request_is_shown_with_its_attempts(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """By the id that the error's own mend names; on a running gateway and on a stopped one alike."""
    provider.script("*", rules=[{"fault": "refuse"}])
    for name in ("work", "team"):
        assert (await headgate.add(name, "--base-url", provider.url)).code == 0
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False, timeout=30) as client:
        error = (await client.post("/v1/messages", json=BODY)).json()
    request_id = error["request_id"]
    assert "`headgate requests ID`" in error["error"]["hint"]
    await until(lambda: is_recorded(gateway, request_id), what="a record of the request")
    running = await headgate("requests", request_id, COLUMNS="200")
    as_json = (await headgate("requests", request_id, "--json")).json()
    gateway.stop()
    assert await headgate("requests", request_id, COLUMNS="200") == running
    assert (await headgate("requests", request_id, "--json")).json() == as_json
    attempts = as_json["attempts"]
    assert {one["account"] for one in attempts} == {"work", "team"}
    facts, _, table = running.out.partition("\n\n")
    assert ["request", "POST", "/v1/messages"] in [line.split() for line in facts.splitlines()]
    headings = table.splitlines()[0].split()
    assert headings == ["account", "status", "error", "reason", "started", "duration", "rests_until"]
    shown = [line.split()[0] for line in table.splitlines() if line.startswith(("work", "team"))]
    assert shown == [one["account"] for one in attempts]
    narrow = await headgate("requests", request_id, COLUMNS="80")
    assert max(map(len, narrow.out.splitlines())) <= 80


async def test_an_account_is_found_where_another_took_over(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """The list names who served and marks that the account asked for failed; so do followed lines."""
    await headgate.add("work", "--base-url", provider.url)
    await headgate.add("spare", "--base-url", provider.url, "--priority", "1")
    provider.script("sk-ant-sim-work", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    request_id = await send(gateway)
    await until(partial(is_recorded, gateway, request_id), what="the record")
    listed = (await headgate("requests", "--account", "work", COLUMNS="200")).out.splitlines()
    assert "spare (work failed)" in listed[2]
    assert request_id in listed[2]
    by_spare = (await headgate("requests", "--account", "spare", COLUMNS="200")).out
    assert request_id in by_spare
    assert "failed" not in by_spare
    assert (
        "No requests that match" in (await headgate("requests", "--account", "work", "--status", "error")).out
    )
    following = await headgate.start("requests", "--follow", "--account", "work")
    assert following.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert b"spare (work failed)" in await following.stdout.readline()
    finally:
        following.terminate()
        await following.wait()


async def test_a_request_says_why_nobody_could_serve(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """As it was then; the accounts may be mended by now."""
    asked = {"json": BODY, "headers": {"content-type": "application/json"}}
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False, timeout=30) as client:
        none = (await client.post("/v1/messages", **asked)).headers["x-headgate-request-id"]
        for number in range(7):
            await headgate.add(f"work-{number}", "--base-url", provider.url)
            await headgate("account", "pause", f"work-{number}")
        paused = (await client.post("/v1/messages", **asked)).headers["x-headgate-request-id"]
    await headgate("account", "resume", "work-0")
    await until(partial(is_recorded, gateway, paused), what="the record")
    assert "There was no account that could be asked" in (await headgate("requests", none)).out
    said = (await headgate("requests", paused)).out
    assert "Passed by at that time:\n  work-0: paused\n" in said
    assert said.splitlines()[-1] == "  and 2 more"


async def is_recorded(gateway: Gateway, request_id: str) -> bool:
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False) as client:
        return (await client.get(f"/api/requests/{request_id}")).status_code == 200


async def test_followed_lines_say_what_was_asked(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Method and path, columns one below the other, and no word about what is not known."""
    await headgate.add("work", "--base-url", provider.url)
    ids = [await send(gateway)]
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False) as client:
        answer = await client.get("/v1/models")
    ids.append(answer.headers["x-headgate-request-id"])
    ids.append(await send(gateway))
    for request_id in ids:
        await until(partial(is_recorded, gateway, request_id), what=f"a record of {request_id}")
    following = await headgate.start("requests", "--follow")
    assert following.stdout is not None
    try:
        async with asyncio.timeout(30):
            lines = [(await following.stdout.readline()).decode().rstrip() for _ in ids]
    finally:
        following.terminate()
        await following.wait()
    assert [line.split()[-1] for line in lines] == ids
    assert [" ".join(line.split("work")[1].split()[:2]) for line in lines] == [
        "POST /v1/messages",
        "GET /v1/models",
        "POST /v1/messages",
    ]
    assert [" in " in line and " out " in line for line in lines] == [True, False, True]
    assert " - " not in lines[1]
    assert lines[1].index("hgr_") == lines[2].index("hgr_") == lines[0].index("hgr_")


async def test_a_request_without_a_model_shows_its_path_and_every_id_fits(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """The id is what one copies: a narrow terminal keeps it and gives up numbers; a wide one shows all."""
    await headgate.add("work", "--base-url", provider.url)
    async with httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False) as client:
        answer = await client.get("/v1/models")
    request_id = answer.headers["x-headgate-request-id"]
    await until(lambda: is_recorded(gateway, request_id), what="the record")
    wide = (await headgate("requests", COLUMNS="200")).out.splitlines()
    assert wide[0].split() == [
        "time",
        "account",
        "model",
        "status",
        "id",
        "error",
        "duration",
        "cost",
        "in",
        "out",
        "client",
    ]
    assert wide[2].split()[1:5] == ["work", "/v1/models", "200", request_id]
    narrow = (await headgate("requests", COLUMNS="70")).out
    assert request_id in narrow.split()
    assert max(map(len, narrow.splitlines())) <= 70


async def test_what_still_runs_is_said_below(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """It is in no list yet; programs ask /status."""
    provider.script("*", rules=[{"fault": "hang", "stage": "mid_body", "event": 2}])
    await headgate.add("work", "--base-url", provider.url)
    async with (
        httpx.AsyncClient(verify=NO_TLS, base_url=gateway.url, trust_env=False) as client,
        client.stream("POST", "/v1/messages", json={**BODY, "stream": True}) as answer,
    ):
        pieces = answer.aiter_raw()  # held: a forgotten iterator closes the answer
        assert await anext(pieces)
        listed = await headgate("requests")
        assert listed.out == "No requests yet\n1 request running now; each is listed once it has ended\n"
        assert "running" not in (await headgate("requests", "--json")).out
        assert "1 request in flight, 1 stream among them" in (await headgate("status")).out


async def test_an_account_is_found_under_its_old_name(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Its history stays with it, whichever of its names is asked for; a name that is none has near ones."""
    await headgate.add("old", "--base-url", provider.url)
    before = await send(gateway)
    await until(lambda: is_recorded(gateway, before), what="the first record")
    assert (await headgate("account", "rename", "old", "new")).code == 0
    after = await send(gateway)
    await until(lambda: is_recorded(gateway, after), what="the second record")
    for name in ("old", "new"):
        listed = await headgate("requests", "--account", name, "--json")
        assert ([one["id"] for one in listed.json()["requests"]], listed.err) == ([after, before], "")
        used = await headgate("usage", "--account", name, "--json")
        assert used.json()["total"]["requests"] == 2
    unknown = await headgate("usage", "--account", "nex")
    assert unknown.err == "warning: There is no account named nex; did you mean new?\n"


async def test_a_name_that_no_account_has_is_said(headgate: Command, gateway: Gateway) -> None:
    """With those that are near; it is no error, for a history outlives its account."""
    await headgate.add("work")
    listed = await headgate("requests", "--account", "wrk")
    assert (listed.code, listed.out) == (0, "No requests that match\n")
    assert listed.err == "warning: There is no account named wrk; did you mean work?\n"
    assert (await headgate("requests", "--account", "work")).err == ""
    following = await headgate.start("requests", "--follow", "--account", "wrk")
    assert following.stderr is not None
    try:
        async with asyncio.timeout(30):
            assert (await following.stderr.readline()).decode() == listed.err
    finally:
        following.terminate()
        await following.wait()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("stream",), 2, "is no request id"),
        (("hgr_1", "--status", "error"), 2, "an ID names one request"),
        (("hgr_1", "--follow"), 2, "an ID names one request"),
        (("hgr_1",), 1, "No request has the id hgr_1"),
    ],
)
async def test_an_id_that_cannot_be_shown_is_explained(
    headgate: Command, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """A word that is none is wrong usage, one that nobody has is a failure; neither hangs."""
    await headgate.add("work")
    outcome = await headgate("requests", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert why in outcome.err


async def test_following_needs_a_running_gateway(headgate: Command) -> None:
    """Where nothing runs nothing will come: said at once, not waited for."""
    await headgate.add("work")
    outcome = await headgate("requests", "--follow")
    assert outcome.code == 1
    assert "no gateway is running" in outcome.err


async def test_a_wrong_filter_is_wrong_usage(headgate: Command) -> None:
    await headgate.add("work")
    outcome = await headgate("requests", "--status", "bad")
    assert (outcome.code, "Invalid status: bad" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("kept", "size", "said"),
    [(1048576, 2400102, "1,048,576 of 2,400,102 bytes kept"), (1546, 503, "1,546 bytes kept, 503 passed")],
)
def test_an_unpacked_body_may_be_longer_than_what_passed(kept: int, size: int, said: str) -> None:
    assert _of_body({"kept": kept, "size": size, "redacted": 0, "note": None}) == said
