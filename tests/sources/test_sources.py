"""Files of accounts as a gateway holds them; what they bring about is in the guides' tests."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from headgate.access.hosts import Doors
from headgate.clock import SystemClock
from headgate.config.sources import SourceSettings
from headgate.pool.pool import Pool
from headgate.sources.hosts import Hosts
from headgate.sources.sources import Sources
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database
from headgate.storage.secrets import SecretBox
from tests.gateway import until


async def test_what_fails_once_is_looked_at_again(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong with one look, the files are followed as before."""
    clock = SystemClock()
    store = AccountStore(database, SecretBox.open_or_create(tmp_path), clock)
    folder = tmp_path / "credentials"
    sources = Sources(SourceSettings(credentials_dir=str(folder)), store, Pool(clock, {}), clock)
    await sources.open()
    failures = iter([RuntimeError("nobody thought of this")])

    def fail_once(hosts: Hosts | None, doors: Doors | None) -> None:
        for failure in failures:
            raise failure

    sources.on_hosts = fail_once
    following = asyncio.ensure_future(sources.follow())
    try:
        with caplog.at_level(logging.ERROR, "headgate.sources"):
            _put(folder / "one.example.com.credentials.json", "one")
            await until(lambda: "nobody thought of this" in caplog.text, what="the failure")
        _put(folder / "two.example.com.credentials.json", "two")

        async def are_both_there() -> bool:
            return {one.name for one in await store.list()} == {"one.example.com", "two.example.com"}

        await until(are_both_there, what="the later file")
    finally:
        following.cancel()
        await sources.close()


def _put(file: Path, key: str) -> None:
    file.write_text(json.dumps({"type": "api_key", "api_key": f"sk-ant-sim-{key}"}))
