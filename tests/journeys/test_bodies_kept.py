"""What is said is kept: in no file in clear, never more than there may be, once, whoever is killed."""

import asyncio
import random
import sqlite3
import string
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until, wait_until
from tests.guides.asking import message, record_of, run

KEEP: dict[str, Any] = {"keep": True}
MARK = "an-unlikely-word-" + "xyzzy" * 3
SECRETS = (
    "sk-ant-api03-planted0123456789abcdef",
    "ghp_planted0123456789abcdefghijklmno",
    "AKIAPLANTED123456789",
    "hunter2-planted-password",
)


def _keeping(**bodies: Any) -> dict[str, Any]:
    return {"storage": {"bodies": {**KEEP, **bodies}}}


def _body(gateway: Gateway, request_id: str, kind: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}/api/requests/{request_id}/bodies/{kind}")


def _files_with(folder: Path, *texts: str) -> list[tuple[str, str]]:
    files = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return [(file.name, text) for file, data in files.items() for text in texts if text.encode() in data]


def test_no_file_holds_what_was_said(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Neither secrets nor a word, while it runs and afterwards, though messages are handed over and answers
    say them too; and the owner reads it all but the secrets, and finds it by its words."""
    said = f"{MARK}: {SECRETS[0]} {SECRETS[1]} {SECRETS[2]} password={SECRETS[3]}"
    provider.script(reply={"text": said})
    with Gateway(tmp_path, provider=provider.url, settings=_keeping()) as gateway:
        text = "words before it, more than a title has, " * 5 + said
        answers = [message(gateway, text, stream=stream) for stream in (False, True)]
        for answer in answers:
            record = record_of(gateway, answer)
            for kind in ("request", "response"):
                body = _body(gateway, record["id"], kind).text
                assert MARK in body.replace('"}}\n\nevent', "") or kind == "response"
                assert not [secret for secret in SECRETS if secret in body]
        assert _files_with(gateway.data, MARK, *SECRETS) == []
        assert not [secret for secret in (MARK, *SECRETS) if secret in gateway.log_text()]
        found = gateway.requests(search="XYZZYxyzzyxyzzy+unlikely")
        assert {one["id"] for one in found} == {record_of(gateway, one)["id"] for one in answers}
        assert gateway.requests(search="unlikely+elephants") == []
        assert record["id"] in run(gateway, "requests", "--search", "unlikely")
        gateway.kill()
        assert _files_with(gateway.data, MARK, *SECRETS) == []
        gateway.start()
        gateway.stop(expect_code=0)
        assert _files_with(gateway.data, MARK, *SECRETS) == []


def test_never_more_than_there_may_be(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Ten times the limit in a few seconds: at no moment is there more, and the newest are there."""
    settings = _keeping(max_total_mb=1)
    letters = random.Random(7)
    texts = ["".join(letters.choices(string.ascii_letters + " ", k=130_000)) for _ in range(20)]
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        seen = []
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(message, gateway, text) for text in texts * 2]
            while not all(one.done() for one in sent):
                seen.append(gateway.admin("/status")["bodies"])
            last = record_of(gateway, sent[-1].result())
        wait_until(lambda: len(gateway.requests(limit=1_000)) == 40, what="All are on record")
        seen.append(gateway.admin("/status")["bodies"])
        assert all(one["bytes"] <= one["max_bytes"] == 1 << 20 for one in seen)
        assert seen[-1]["bytes"] > 500_000 and seen[-1]["dropped"] == 0
        kept = [gateway.record_of(one["id"])["bodies"]["request"] for one in gateway.requests(limit=1_000)]
        number = next(place for place, one in enumerate(kept) if one is None)
        assert number >= 3 and not any(kept[number + 2 :])
        assert last["bodies"]["request"] is not None
        with_bodies = [one for one in gateway.requests(limit=1_000) if one["status"] == 200]
        assert len(with_bodies) == 40


def test_without_the_key_nothing_is_kept(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The key is lost: the gateway serves those who bring a credential of their own, keeps nothing in clear,
    and says so."""
    settings = {**_keeping(), "providers": {"anthropic": {"base_url": provider.url}}}
    settings["access"] = {"api_keys": [], "own_credentials": "fallback"}
    with Gateway(tmp_path, accounts=(), settings=settings) as gateway:
        add = ("account", "add", "work", "--provider", "anthropic", "--api-key-stdin", "--base-url")
        run(gateway, *add, provider.url, stdin="sk-ant-sim-work\n")
        first = record_of(gateway, message(gateway, MARK, key="sk-ant-sim-own"))
        assert first["bodies"]["request"]["kept"]
        gateway.stop(expect_code=0)
        (gateway.data / "secret.key").unlink()
        gateway.start()
        second = record_of(gateway, message(gateway, MARK, key="sk-ant-sim-own"))
        assert second["status"] == 200
        assert second["bodies"] == {"request": None, "response": None}
        told = gateway.admin("/status")["bodies"]
        assert not told["keeping"] and "key is missing" in told["refusal"]
        assert "not kept: the encryption key is missing" in run(gateway, "status")
        closed = _body(gateway, first["id"], "request")
        assert closed.status_code == 404 and "key is missing" in closed.json()["detail"]
        assert not (gateway.data / "secret.key").exists()


async def test_whoever_is_killed_bodies_are_there_once(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """The recorder is killed again and again while requests come: each has its own two bodies, whole, and the
    sum is what there is."""
    settings = _keeping()
    long = "".join(random.Random(3).choices(string.printable, k=900_000))
    with Gateway(tmp_path, provider=provider.url, settings=settings, database=database_url) as gateway:
        ids: dict[str, str] = {}

        def send(number: int) -> None:
            text = f"number {number} {long if number % 8 == 0 else ''}"
            ids[message(gateway, text).headers["x-headgate-request-id"]] = text

        sending = asyncio.gather(*(asyncio.to_thread(send, number) for number in range(16)))
        killed: set[int | None] = {None}
        for _ in range(2):
            await until(lambda: gateway.recorder_pid() not in killed, what="another recorder")
            killed.add(gateway.kill_recorder())
        await sending
        for request_id, text in ids.items():
            record = await asyncio.to_thread(gateway.record_of, request_id)
            assert record["bodies"]["request"]["error"] is None
            body = await asyncio.to_thread(_body, gateway, request_id, "request")
            assert body.json()["messages"][0]["content"].startswith(text[:10])
            assert record["bodies"]["request"]["size"] > len(text)
            assert record["bodies"]["response"]["kept"] > 0
        assert gateway.admin("/status")["bodies"]["bodies"] == 2 * len(ids)


def test_keeping_begins_and_ends_while_it_runs(tmp_path: Path, provider: SimulatedProvider) -> None:
    """From the next request on; a smaller limit holds for the next one, too."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        off = record_of(gateway, message(gateway))
        run(gateway, "config", "set", "storage.bodies.keep", "true")
        on = record_of(gateway, message(gateway))
        run(gateway, "config", "set", "storage.bodies.max_bytes", "65536")
        cut = record_of(gateway, message(gateway, "a" * 100_000))
        run(gateway, "config", "set", "storage.bodies.keep", "false")
        off_again = record_of(gateway, message(gateway))
        assert [one["bodies"]["request"] is not None for one in (off, on, cut, off_again)] == [
            *(False, True, True, False)
        ]
        assert cut["bodies"]["request"]["note"] == "Buffer truncated at 64KB"
        assert cut["bodies"]["request"]["kept"] == 65_536
        assert "2 of" not in run(gateway, "requests", on["id"])
        assert "Buffer truncated at 64KB" in run(gateway, "requests", cut["id"])
        run(gateway, "history", "clear", "--yes")
        assert gateway.admin("/status")["bodies"]["bodies"] == 0


def test_they_go_by_age_and_their_requests_stay(tmp_path: Path, provider: SimulatedProvider) -> None:
    """After `storage.bodies.retention_days`; the owner is told that there was something."""
    with Gateway(tmp_path, provider=provider.url, settings=_keeping(retention_days=1)) as gateway:
        old, new = (record_of(gateway, message(gateway))["id"] for _ in range(2))
        gateway.stop(expect_code=0)
        with closing(sqlite3.connect(gateway.data / "headgate.db")) as database:
            this = "seq = (SELECT seq FROM requests WHERE id = ?)"
            database.execute(f"UPDATE bodies SET created_at = created_at - 90000000 WHERE {this}", [old])
            database.commit()
        gateway.start()
        wait_until(lambda: gateway.admin("/status")["bodies"]["bodies"] == 2, what="The old ones are gone")
        assert _body(gateway, old, "request").status_code == 404
        assert _body(gateway, new, "request").status_code == 200
        assert gateway.record_of(old)["bodies"] == {"request": None, "response": None}
        assert "bodies" in run(gateway, "db", "check")
        assert "Kept bodies" in run(gateway, "db", "info")
