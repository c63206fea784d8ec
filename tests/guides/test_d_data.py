"""Guide rows D: where the history is kept, what is written there, what happens when it cannot be."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message, record_of
from tests.guides.forwarder import Forwarder
from tests.guides.powers import serve_without_root_powers

TOKENS = {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens"}


def _sql(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(statement).fetchall()


def test_d1_sqlite_in_the_data_folder(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Without a word SQLite at the platform's data folder."""
    home = {"HEADGATE_DATA_DIR": "", "XDG_DATA_HOME": str(tmp_path / "share")}
    with Gateway(tmp_path, provider=provider.url, environment=home) as gateway:
        record_of(gateway, message(gateway))
        file = tmp_path / "share" / "headgate" / "headgate.db"
        assert _sql(file, "SELECT status FROM requests") == [(200,)]


@pytest.mark.parametrize("name", ["DB_PATH", "DATABASE_URL", "storage.url"])
def test_d1_the_path_is_settable(tmp_path: Path, provider: SimulatedProvider, name: str) -> None:
    """`storage.url`, `DB_PATH` and `DATABASE_URL` name another file; its folders are made."""
    file = tmp_path / "deep" / "down" / "other.db"
    value = str(file) if name == "DB_PATH" else f"sqlite:///{file}"
    settings = {"storage": {"url": value}} if name == "storage.url" else {}
    environment = {} if settings else {name: value}
    with Gateway(tmp_path, provider=provider.url, settings=settings, environment=environment) as gateway:
        record_of(gateway, message(gateway))
        assert _sql(file, "SELECT COUNT(*) FROM requests") == [(1,)]


def test_d1_a_database_that_cannot_be_made(tmp_path: Path) -> None:
    """`Cannot create database: [path]: [reason]`, what mends it, exit code 1."""
    (tmp_path / "file").write_text("in the way")
    file = tmp_path / "file" / "headgate.db"
    refused = Gateway(tmp_path, accounts=(), database=str(file)).command("serve", "--port", "0")
    assert refused.returncode == 1
    assert f"Cannot create database: {file}: " in refused.stderr
    assert "storage.url" in refused.stderr


def test_d1_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    """`Permission denied` names path and owner, and the command that mends it."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    file = locked / "sub" / "headgate.db"
    gateway = Gateway(tmp_path, accounts=(), database=str(file))
    refused = serve_without_root_powers(gateway)
    assert refused.returncode == 1
    assert f"Permission denied: {file}" in refused.stderr
    assert f"belongs to user {os.getuid()}" in refused.stderr
    assert "sudo install -d" in refused.stderr


def test_d3_the_schema_is_made_and_kept(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """Made on the first start; later starts find it in the migrations' ledger and change nothing."""
    with Gateway(tmp_path, provider=provider.url, database=database_url) as gateway:
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        gateway.start()
        assert len(gateway.requests()) == 1
        assert gateway.admin("/health")["status"] == "ok"
        if database_url.startswith("sqlite"):
            file = Path(database_url.removeprefix("sqlite:///"))
            assert len(_sql(file, "SELECT version_num FROM alembic_version")) == 1
            assert _sql(file, "PRAGMA integrity_check") == [("ok",)]


def test_d3_one_command_makes_the_schema(tmp_path: Path, empty_database_url: str) -> None:
    """`headgate db upgrade` runs what is missing and can be run again and again."""
    gateway = Gateway(tmp_path, accounts=(), database=empty_database_url)
    first, second = (gateway.command("db", "upgrade") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith("Ran ")
    assert "is up to date" in second.stdout
    assert ":@" not in first.stdout  # the address is shown without its credentials


def test_d5_a_locked_database_holds_nobody_up(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Writes are off the request's path: while the file is locked requests are served, then stored."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        with closing(sqlite3.connect(gateway.data / "headgate.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(20):
                assert message(gateway).status_code == 200
            assert len(gateway.requests()) == 1
            other.execute("ROLLBACK")
        wait_until(lambda: len(gateway.requests()) == 21)


def test_d5_a_failed_write_is_said_and_tried_again(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """Database away: `Failed to execute DB job: [reason]`, requests go on; back again: all is stored."""
    with (
        Forwarder.to_postgres(postgres_url) as line,
        Gateway(tmp_path, provider=provider.url, database=line.url) as gateway,
    ):
        record_of(gateway, message(gateway))
        line.cut()
        for _ in range(5):
            assert message(gateway).status_code == 200
        reason = logged(gateway, r"ERROR: \[async-db-writer\] Failed to execute DB job: \S+")
        assert str(line.port) in reason
        wait_until(lambda: gateway.admin("/status")["recorder"]["failure"])
        line.mend()
        wait_until(lambda: len(gateway.requests()) == 6)
        wait_until(lambda: gateway.admin("/status")["recorder"]["failure"] is None)
        assert gateway.admin("/status")["journal"]["dropped"] == 0


def test_d5_the_queue_is_flushed_at_shutdown(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What was just answered is in the database when the gateway has stopped."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for _ in range(30):
            assert message(gateway).status_code == 200
        gateway.stop(expect_code=0)
        assert _sql(gateway.data / "headgate.db", "SELECT COUNT(*) FROM requests") == [(30,)]
        assert "Async DB writer queue flushed" in gateway.log_text()


UNCUT: dict[str, Any] = {"reply": {}, "rules": [], "coding": ""}
CUTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "single bytes": {"reply": {"write_bytes": 1, "words": 6}},
    "odd pieces": {"reply": {"write_bytes": 7}},
    "drip": {"rules": [{"fault": "drip", "bytes": 3, "delay_ms": 0}], "reply": {"words": 6}},
    "gzip": {"coding": "gzip"},
    "brotli": {"coding": "br"},
}


def test_d7_usage_from_json_and_sse(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Input, output, cache read and write as the provider counted, however its answer is cut."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for cut, script in CUTS.items():
            provider.script("sk-ant-sim-one", **UNCUT | script)
            text = f"{cut} " * 50
            system = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
            for stream in (False, True):
                answer = message(gateway, system=system, stream=stream)
                assert answer.status_code == 200
                told = provider.books()["requests"][answer.headers["request-id"]]["usage"]
                usage = record_of(gateway, answer)["usage"]
                assert usage.keys() >= TOKENS
                assert usage["input_tokens"] == told["input_tokens"] > 0
                assert usage["output_tokens"] == told["output_tokens"] > 0
                assert usage["cache_read_tokens"] == told["cache_read_input_tokens"]
                assert (usage["cache_read_tokens"] > 0) is stream  # the second request reads the first's
                written = usage["cache_write_5m_tokens"]
                assert written == told["cache_creation"]["ephemeral_5m_input_tokens"]
                assert (written > 0) is not stream
                assert usage["service_tier"] == "standard"
        provider.script("sk-ant-sim-one", **UNCUT | {"reply": {"write_bytes": 5}})
        tools = [{"type": "web_search_20250305", "name": "web_search"}]
        asked = [{"role": "user", "content": "search the web for prices"}]
        for stream in (False, True):
            answer = message(gateway, messages=asked, tools=tools, stream=stream)
            assert record_of(gateway, answer)["usage"]["other"]["web_search_requests"] == 1


def test_d10_a_missing_key_is_explained_at_start(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`secret.key` lost: said with the mend; what needs no secret works, other accounts serve."""
    with Gateway(tmp_path, provider=provider.url, accounts=("declared",)) as gateway:
        for name in ("one", "two"):
            new = {"name": name, "api_key": f"sk-ant-sim-{name}", "base_url": provider.url}
            gateway.admin("/api/accounts", method="POST", body=new)
        gateway.stop(expect_code=0)
        (gateway.data / "secret.key").unlink()
        listed = gateway.command("account", "list")
        assert (listed.returncode, listed.stdout.count("needs_reauth")) == (0, 3)
        assert "The encryption key is missing" in listed.stderr
        for command in (("requests",), ("strategy", "get"), ("account", "pause", "two")):
            assert gateway.command(*command).returncode == 0
        assert not (gateway.data / "secret.key").exists()
        gateway.start()
        assert "one, two" in logged(gateway, "WARN.*encryption key was missing.*headgate account reauth NAME")
        assert message(gateway).status_code == 200
        assert "does not open" in gateway.account("one")["skipped_because"]
        mended = gateway.command("account", "reauth", "one", "--api-key-stdin", stdin="sk-ant-sim-one\n")
        assert (mended.returncode, gateway.account("one")["status"]) == (0, "active"), mended.stderr
        assert gateway.command("account", "remove", "two", "--yes").returncode == 0
        gateway.stop(expect_code=0)
        gateway.start()
        assert gateway.account("one")["status"] == "active"
