"""Guide rows D: the owner's commands for the database, the guides' own SQL, what an upgrade does."""

import json
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from headgate.storage.migrations.revision import newest
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import lines_of, logged, message, record_of, run
from tests.guides.forwarder import Forwarder

LAST_HOUR = "SELECT COUNT(*) FROM requests WHERE timestamp > strftime('%s','now','-1 hour')*1000"
AVERAGE = "SELECT AVG(response_time_ms), MAX(response_time_ms) FROM api_requests WHERE created_at > {}"


def _sql(file: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        return [database.execute(statement).fetchall() for statement in statements]


def _sqlite_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.db"))


def test_d4_the_guides_sql_on_sqlite(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The guides' own SQL works on the SQLite file, also while the gateway runs."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        last_hour, times, integrity, requests, accounts, tier = _sql(
            gateway.data / "headgate.db",
            LAST_HOUR,
            AVERAGE.format("datetime('now','-1 hour')"),
            "PRAGMA integrity_check",
            "SELECT COUNT(*) FROM requests",
            "SELECT COUNT(*) FROM accounts",
            "SELECT account_tier FROM accounts",
        )
        assert last_hour == requests == accounts == [(1,)]
        assert times[0][0] == times[0][1] > 0
        assert (integrity, tier) == ([("ok",)], [(1,)])


def test_d12_how_long_the_history_is_kept_is_settable(tmp_path: Path, provider: SimulatedProvider) -> None:
    """D12: `storage.retention_days`, while running too; the guides' STORAGE_ADAPTER_* shorten nothing."""
    with Gateway(
        tmp_path, provider=provider.url, environment={"STORAGE_ADAPTER_RETENTION_MS": "1"}
    ) as gateway:
        first = record_of(gateway, message(gateway))["id"]
        second = record_of(gateway, message(gateway))["id"]
        day_ms = 86_400_000
        _sql(
            gateway.data / "headgate.db",
            f"UPDATE requests SET timestamp = timestamp - 60 * {day_ms} WHERE id = '{first}'",
            f"UPDATE requests SET timestamp = timestamp - 10 * {day_ms} WHERE id = '{second}'",
        )
        count = "SELECT id FROM requests ORDER BY timestamp"
        assert _sql(gateway.data / "headgate.db", count) == [[(first,), (second,)]]
        gateway.command("config", "set", "storage.retention_days", "30")
        wait_until(
            lambda: _sql(gateway.data / "headgate.db", count) == [[(second,)]],
            what="the end of the older one",
        )
        assert logged(gateway, "older than 30 days")


async def test_d4_the_guides_sql_on_postgresql(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """On PostgreSQL the tables are in `public` and `created_at` is a real timestamp."""
    with Gateway(tmp_path, provider=provider.url, database=postgres_url) as gateway:
        record_of(gateway, message(gateway))
        connection = await asyncpg.connect(postgres_url)
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            assert {"requests", "accounts", "attempts"} <= {row["tablename"] for row in tables}
            times = await connection.fetchrow(AVERAGE.format("NOW() - INTERVAL '1 hour'"))
            assert times[0] == times[1] > 0
            kind = "SELECT pg_typeof(created_at)::text FROM api_requests"
            assert await connection.fetchval(kind) == "timestamp with time zone"
        finally:
            await connection.close()


async def test_d2_postgresql_by_database_url(
    tmp_path: Path, provider: SimulatedProvider, empty_postgres_url: str
) -> None:
    """`DATABASE_URL` alone puts the history into PostgreSQL: nothing is written to a file of SQLite."""
    environment = {"DATABASE_URL": empty_postgres_url}
    with Gateway(tmp_path, provider=provider.url, environment=environment) as gateway:
        seen = record_of(gateway, message(gateway))
        connection = await asyncpg.connect(empty_postgres_url)
        try:
            kept = await connection.fetch("SELECT id, status FROM requests")
        finally:
            await connection.close()
        assert [(row["id"], row["status"]) for row in kept] == [(seen["id"], 200)]
        assert _sqlite_files(tmp_path) == []


def test_d2_doctor_asks_the_database(
    tmp_path: Path, provider: SimulatedProvider, empty_postgres_url: str
) -> None:
    """`headgate doctor`: `SELECT 1` of the database, with reason and mend, exit code 1, where it is away."""
    with Forwarder.to_postgres(empty_postgres_url) as line:
        gateway = Gateway(tmp_path, provider=provider.url, database=line.url.replace("@", ":hidden@"))
        said = run(gateway, "doctor")
        assert "answers SELECT 1 in " in said and "its schema is not made yet" in said
        assert "gateway: none is running headgate serve starts it." in said
        with gateway:
            found = json.loads(gateway.command("doctor", "--json").stdout)
            checks = [(one["check"], one["state"]) for one in found["findings"]]
            assert (found["ok"], checks) == (
                True,
                [(name, "ok") for name in ("settings", "database", "gateway")],
            )
            line.cut()
            said = run(gateway, "doctor", code=1)
            assert f"wrong database: Database error: postgresql://127.0.0.1:{line.port}" in said
            assert "See that the database can be reached" in said and "hidden" not in said
            gateway.config.write_text("{server: {port: none}}")
            assert "wrong settings: " in run(gateway, "doctor", code=1)
            line.mend()


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("command", ["history clear", "clear-history"])
def test_d9_history_is_cleared_and_accounts_stay(
    tmp_path: Path, provider: SimulatedProvider, is_running: bool, command: str
) -> None:
    """`history clear` (also `clear-history`) deletes the requests, those on their way too; accounts stay."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for _ in range(3):
            assert message(gateway).status_code == 200
        if not is_running:
            gateway.stop(expect_code=0)
        assert gateway.command(*command.split()).returncode == 2  # nobody there to ask
        kept = gateway.command(*command.split(), "--before", "1h", "--yes", "--json")
        assert json.loads(kept.stdout)["deleted"] == 0
        cleared = gateway.command(*command.split(), "--yes")
        assert (cleared.returncode, "Deleted 3 requests" in cleared.stdout) == (0, True), cleared.stderr
        if not is_running:
            gateway.start()
        assert gateway.requests() == []
        assert gateway.account("one")["request_count"] == 3
        record_of(gateway, message(gateway))
        assert len(gateway.requests()) == 1


@pytest.mark.parametrize("command", ["stats reset", "reset-stats"])
def test_d9_stats_are_reset_and_the_history_stays(
    tmp_path: Path, provider: SimulatedProvider, command: str
) -> None:
    """`stats reset` (also `reset-stats`) sets the counters to zero; the history stays; restarts keep both."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        gateway.start()
        assert gateway.account("one")["request_count"] == 1
        record_of(gateway, message(gateway))
        assert gateway.account("one")["request_count"] == 2
        done = gateway.command(*command.split())
        assert (done.returncode, done.stdout) == (0, "Counters of 1 account are zero; the history stays\n")
        assert gateway.account("one")["request_count"] == 0
        gateway.stop(expect_code=0)
        assert gateway.command(*command.split(), "--json").stdout == '{\n  "accounts": 1\n}\n'
        gateway.start()
        assert gateway.account("one")["request_count"] == 0
        assert len(gateway.requests()) == 2


def test_d9_limits_outlive_a_restart(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The quota windows that a provider stated are known after a restart, until their own reset."""
    provider.script("sk-ant-sim-one", subscription={"five_hour_tokens": 5000, "seven_day_tokens": 90000})
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        before = _stated(gateway.account("one"))
        assert before[0]["utilization"] > 0
        gateway.stop(expect_code=0)
        shown = json.loads(gateway.command("account", "show", "one", "--json").stdout)
        assert _stated(shown) == before
        gateway.start()
        assert _stated(gateway.account("one")) == before


def _stated(account: dict[str, Any]) -> list[dict[str, Any]]:
    """Its windows without what is expected of them, which changes with time."""
    return [{**window, "forecast": None} for window in account["windows"]]


def test_d10_a_backup_while_it_runs(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`db backup` copies database, key and settings, 0600, while the gateway runs; it overwrites nothing."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        new = {"name": "two", "api_key": "sk-ant-sim-two", "base_url": provider.url}
        gateway.admin("/api/accounts", method="POST", body=new)
        record_of(gateway, message(gateway))
        target = tmp_path / "copy.db"
        made = gateway.command("db", "backup", str(target))
        assert made.returncode == 0, made.stderr
        files = [target, tmp_path / "copy.db.secret.key", tmp_path / "copy.db.config.yaml"]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
        assert _sql(target, "PRAGMA integrity_check", "SELECT COUNT(*) FROM requests") == [[("ok",)], [(1,)]]
        again = gateway.command("db", "backup", str(target))
        assert (again.returncode, "--force" in again.stderr) == (1, True)
        assert gateway.command("db", "backup", str(target), "--force").returncode == 0
    (tmp_path / "moved" / "data").mkdir(parents=True)
    with Gateway(tmp_path, provider=provider.url) as gateway:
        (tmp_path / "set").mkdir()
        assert gateway.command("db", "backup", str(tmp_path / "set")).returncode == 0
    moved = Gateway(tmp_path / "moved", provider=provider.url)
    for name in ("headgate.db", "secret.key"):
        (tmp_path / "set" / name).rename(moved.data / name)
    with moved:
        assert moved.account("two")["status"] == "active"
        assert len(moved.requests()) == 1


def test_d10_postgresql_is_backed_up_by_its_own_tool(tmp_path: Path, postgres_url: str) -> None:
    """On PostgreSQL `db backup` says the `pg_dump` command, without the password."""
    gateway = Gateway(
        tmp_path, accounts=(), database=postgres_url.replace("://postgres:@", "://postgres:hidden@")
    )
    refused = gateway.command("db", "backup", str(tmp_path / "x.dump"))
    assert refused.returncode == 1
    assert f"pg_dump --format=custom --file={tmp_path / 'x.dump'}" in refused.stderr
    assert "hidden" not in refused.stderr


def test_d4_the_database_is_looked_at_and_checked(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """`db info`, `db check` and `db vacuum` work while the gateway runs; a problem is exit code 1."""
    with Gateway(tmp_path, provider=provider.url, database=database_url) as gateway:
        record_of(gateway, message(gateway))

        def info() -> dict[str, Any]:
            shown: dict[str, Any] = json.loads(gateway.command("db", "info", "--json").stdout)
            return shown

        # A record is in the database a moment before the recorder has said so.
        wait_until(lambda: info()["journal_lag_bytes"] == 0, what="a journal that is read to its end")
        found = info()
        assert (found["rows"]["requests"], found["revision"]) == (1, found["newest_revision"])
        assert found["oldest_request_at"] == found["newest_request_at"]
        assert "Newest request" in gateway.command("db", "info").stdout
        assert "in order" in gateway.command("db", "check").stdout
        assert gateway.command("db", "vacuum").returncode == 0
        assert json.loads(gateway.command("db", "check", "--json").stdout)["ok"] is True
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        if database_url.startswith("sqlite"):
            _sql(Path(database_url.removeprefix("sqlite:///")), "DROP TABLE objects")
            broken = gateway.command("db", "check")
            assert (broken.returncode, "objects is missing" in broken.stdout) == (1, True)


def test_d15_a_reading_command_makes_no_database(tmp_path: Path) -> None:
    """`Database file not found: [path]`, and none is made; exit code 1 where no first step can be named."""
    gateway = Gateway(tmp_path, accounts=(), settings={"access": {"api_keys": []}})
    file = gateway.data / "headgate.db"
    for command in (
        "account show work",
        "requests",
        "db info",
        "db check",
        "db vacuum",
        f"db backup {tmp_path}/x",
    ):
        refused = gateway.command(*command.split())
        assert refused.returncode == 1
        assert f"Database file not found: {file}" in refused.stderr
    for kind, words in (
        ("account", "No accounts yet. Put one in:"),
        ("key", "No client keys yet. Make one:"),
    ):
        empty = gateway.command(kind, "list")
        assert (empty.returncode, empty.stdout.startswith(words)) == (0, True)
        assert f"Database file not found: {file};" in empty.stderr
        assert json.loads(gateway.command(kind, "list", "--json").stdout) == {f"{kind}s": []}
        # What is asked for by name, or comes with the settings, is not said to be nothing.
        elsewhere = gateway.command(kind, "list", HEADGATE_STORAGE__URL=str(tmp_path / "other.db"))
        assert elsewhere.returncode == 1
    assert gateway.command("key", "list", HEADGATE_ACCESS__API_KEYS="a-client-key").returncode == 1
    assert not gateway.data.exists()


def test_d16_a_newer_schema_names_the_version_that_it_needs(tmp_path: Path) -> None:
    """A schema of a newer Headgate is refused with that version, exit code 1; nothing is changed."""
    with Gateway(tmp_path, accounts=()) as gateway:
        gateway.stop(expect_code=0)
        newer = "INSERT INTO schema_history VALUES ('9999', '7.8.9', 0)"
        _sql(gateway.data / "headgate.db", "UPDATE alembic_version SET version_num = '9999'", newer)
        refused = gateway.command("serve")
        assert refused.returncode == 1
        assert re.search(r"schema 9999, made by Headgate 7\.8\.9, which is newer", refused.stderr)
        assert "headgate>=7.8.9" in refused.stderr


def test_d16_a_failing_migration_changes_nothing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`Migration failed: [revision]: [reason]`, exit code 1, all as before; a copy is made first."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        file = gateway.data / "headgate.db"
        _sql(file, "UPDATE alembic_version SET version_num = '0001'", "ALTER TABLE attempts RENAME TO hidden")
        before = _sql(file, "SELECT sql FROM sqlite_master ORDER BY name")
        refused = gateway.command("serve")
        assert refused.returncode == 1
        assert "Migration failed: 0002: no such table: attempts" in refused.stderr
        assert _sql(file, "SELECT sql FROM sqlite_master ORDER BY name") == before
        _sql(file, "ALTER TABLE hidden RENAME TO attempts")
        gateway.start()  # the columns are there already: harmless
        assert len(gateway.requests()) == 1
        copy = gateway.data / f"headgate.db.before-{newest()}"
        wait_until(lambda: lines_of(gateway, f"Copied the database before its upgrade: {copy}"))
        assert _sql(copy, "SELECT version_num FROM alembic_version") == [[("0001",)]]
        gateway.stop(expect_code=0)
        file.unlink()
        gateway.start()
        assert gateway.requests() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"shopping list " * 999, "file is not a database", id="no database"),
        pytest.param(b"SQLite format 3\0" + b"\xaa" * 9000, "Database error: ", id="a header alone"),
    ],
)
def test_d15_garbage_in_the_database_s_place(tmp_path: Path, content: bytes, words: str) -> None:
    """A file that is no database: named with what mends it, exit code 1, left as it is."""
    gateway = Gateway(tmp_path, accounts=())
    gateway.data.mkdir(mode=0o700)
    file = gateway.data / "headgate.db"
    file.write_bytes(content)
    for command in ("serve", "account list", "db check"):
        refused = gateway.command(*command.split())
        assert refused.returncode == 1
        assert words in refused.stdout + refused.stderr
        assert str(file) in refused.stdout + refused.stderr
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"\xff\xfe" * 20, b"short\n"], ids=["no text", "too short"])
def test_a15_a_broken_key_file_blocks_only_what_needs_it(
    tmp_path: Path, provider: SimulatedProvider, content: bytes
) -> None:
    """A `secret.key` that cannot be used: said with path and mend; what needs no secret works without it."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        gateway.stop(expect_code=0)
        (gateway.data / "secret.key").write_bytes(content)
        for command in ("requests", "account list", "strategy get", "db info", "db check", "stats reset"):
            assert gateway.command(*command.split()).returncode == 0
        for command in ("serve", "account add two --api-key-stdin"):
            refused = gateway.command(*command.split(), stdin="sk-ant-sim-two")
            assert refused.returncode == 1
            assert str(gateway.data / "secret.key") in refused.stderr
            assert "Restore the key from a backup" in refused.stderr
        assert (gateway.data / "secret.key").read_bytes() == content
