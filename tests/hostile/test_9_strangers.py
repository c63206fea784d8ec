"""Fuzzing: strangers, and clients who would be the owner, at every route there is.

Every example sends a crowd of connections at once, each with requests that were made up from a seed.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil
from hypothesis import given
from hypothesis import strategies as st

from headgate.admin.sessions import COOKIE
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.hostile.crowds import HASTE, open_clients, send_all
from tests.hostile.fuzzing import fuzzed
from tests.hostile.planted import Planted
from tests.hostile.strangers import ANSWERS, CLIENTS, OWNERS, Cast, just, make_up, near
from tests.journeys.wire import fetch, request

_CROWD = 60
"""Connections at once: most of a crowd's time is that one of them waits for a timeout."""
_WARM = 0.4
"""Share of the examples after which the gateway has all that it keeps: caches, buffers, code."""
_GROWTH_BYTES = 8_000_000
"""What the allocator keeps; of ten times as many cases, too, where a kilobyte of each would show."""
_HEALTH = {"status", "version", "uptime", "accounts", "code", "reason", "troubles"}
_SESSION = {"is_owner": False, "how": None, "key_is_set": True, "csrf_token": None}
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


class Fort:
    """A gateway with all that is worth having, and a provider behind it that nobody is to reach."""

    def __init__(self, folder: Path, provider: SimulatedProvider) -> None:
        self.planted = Planted()
        mark = self.planted.mark
        self.declared_key = f"hg_{mark('a client key of the settings')}"
        self.stored_key = f"hg_{mark('a client key of the database')}"
        self.admin_key = f"admin-{mark('the admin key')}"
        self.account_keys = {
            "one": f"sk-ant-sim-{mark('the key of an account')}",
            "odd": mark("a key without a known form"),
        }
        self.domain_key = f"sk-ant-sim-{mark('the key of a domain')}"
        self.domain_file = folder / "credentials" / "one.example.com.credentials.json"
        self.domain_file.parent.mkdir()
        self.domain_file.touch(mode=0o600)
        credential = {"type": "api_key", "accountId": "acc_one", "api_key": self.domain_key}
        self.domain_file.write_text(json.dumps(credential), encoding="utf-8")
        self.provider = provider
        self.gateway = Gateway(
            folder,
            provider=provider.url,
            accounts=[{"name": name, "api_key": key} for name, key in self.account_keys.items()],
            settings={
                "server": {**HASTE, "cors_origins": ["https://pages.example"]},
                "access": {"api_keys": [self.declared_key]},
                "admin": {"key": self.admin_key},
                "sources": {"credentials_dir": str(self.domain_file.parent)},
                "log": {"level": "debug"},
            },
        )
        self.cookie = self.csrf_token = ""

    def furnish(self) -> None:
        """A key in the database, and somebody who is logged in."""
        owner = {"x-dashboard-key": self.admin_key}
        wanted = {"name": "laptop", "key": self.stored_key, "limits": {"rpm": 10, "daily_usd": 1}}
        status, _ = self.gateway.ask("POST", "/api/keys", headers=owner, body=json.dumps(wanted).encode())
        assert status == 201
        wire = request("/api/session", {"key": self.admin_key}, headers={"content-type": "application/json"})
        answer = asyncio.run(fetch(self.gateway.url, wire))
        self.cookie = answer.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
        self.csrf_token = answer.json()["csrf_token"]
        # The other half of a log-in opens nothing alone, and strangers write it where they like: into a path.
        self.planted.marks |= {self.cookie: "a cookie"}

    @property
    def secrets(self) -> list[str]:
        keys = [self.declared_key, self.stored_key, self.admin_key, self.domain_key, self.cookie]
        return [*keys, *self.account_keys.values()]


@contextmanager
def _fort(folder: Path, provider: SimulatedProvider) -> Iterator[Fort]:
    """Afterwards nobody was at the provider, nothing is left open, and no secret was written."""
    fort = Fort(folder, provider)
    with fort.gateway as gateway:
        fort.furnish()
        yield fort
        wait_until(lambda: open_clients(gateway) == 0, what="the end of every connection")
        assert provider.books()["count"] == 0
        assert (
            gateway.ask("POST", "/v1/messages", headers={"x-api-key": fort.stored_key}, body=b"{}")[0] == 400
        )
        gateway.stop(expect_code=0)
    assert "Unexpected error" not in gateway.log_text()
    assert "Traceback" not in gateway.output_text(), gateway.output_text()
    leaks = fort.planted.found_in_files(folder, but=[gateway.config, fort.domain_file])
    assert leaks == [], "\n".join(leaks)


def test_strangers(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Nearly a key, in every place, on every route → 401, or what is open to all; no more is said"""
    with _fort(tmp_path, provider) as fort:
        credentials = [near(secret) for secret in fort.secrets]
        cast = Cast([*OWNERS, *CLIENTS * 4], [*credentials, just(fort.csrf_token)])
        _let_come(fort, cast, share=1.2)


def test_clients_who_would_be_the_owner(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A good client key, in every place, on every route of the owner's → 401, or what is open to all"""
    with _fort(tmp_path, provider) as fort:
        _let_come(
            fort, Cast(OWNERS, [just(fort.stored_key), just(fort.declared_key)], is_wild=False), share=0.4
        )


def _let_come(fort: Fort, cast: Cast, *, share: float) -> None:
    process = psutil.Process(fort.gateway.pid)
    resident: list[int] = []

    @fuzzed(share=share / _CROWD)
    @given(st.integers(0, 2**64 - 1))
    def run(seed: int) -> None:
        random = Random(seed)
        made_up = [make_up(random, cast) for _ in range(_CROWD)]
        answers = asyncio.run(send_all(fort.gateway, [wire for wire, _ in made_up], patience_seconds=0.5))
        for (wire, allowed), received in zip(made_up, answers, strict=True):
            _check(fort, b"".join(wire.pieces), received, allowed)
        resident.append(process.memory_info().rss)

    run()
    warm = resident[int(len(resident) * _WARM)]
    assert resident[-1] - warm < _GROWTH_BYTES, f"{warm} bytes became {resident[-1]}"


def _check(fort: Fort, sent: bytes, received: bytes, allowed: frozenset[int]) -> None:
    answers = _answers_in(received)
    for number, (status, head, body) in enumerate(answers, 1):
        is_end = number == len(answers) and status == 200  # what is sent last asks for the health
        assert status in (ANSWERS if is_end else allowed), (sent, received)
        assert status >= 400 or _is_open_to_all(sent, head, body), (sent, received)
    for secret in fort.planted.found_in("an answer", received):
        raise AssertionError(secret, sent, received)


def _answers_in(received: bytes) -> list[Answer]:
    """One after the other, by their lengths; to HEAD there is no body."""
    found, at = [], 0
    while at < len(received):
        status = _STATUS.match(received, at)
        assert status is not None, received
        head, _, _ = received[at:].partition(b"\r\n\r\n")
        at += len(head) + 4
        if (code := int(status[1])) == 100:
            continue
        length = _LENGTH.search(head)
        size = 0 if length is None or _STATUS.match(received, at) else int(length[1])
        found.append(Answer(code, head, received[at : at + size]))
        at += size
    return found


def _is_open_to_all(sent: bytes, head: bytes, body: bytes) -> bool:
    """Health, readiness, providers that nobody asked, whether one is logged in: as a stranger is told."""
    if not body:
        return b"HEAD " in sent or b"OPTIONS" in sent
    if b"text/html" in head:
        return b"/oauth/callback" in sent
    said = json.loads(body)
    if "uptime" in said:
        return said.keys() <= _HEALTH and all(type(count) is int for count in said["accounts"].values())
    return said in ({"status": "ready"}, {}, {"ended": False}) or said.items() >= _SESSION.items()
