"""`headgate config …` on a file alone; `tests/guides/test_f_settings.py` has it on a gateway that runs."""

import json
import stat
from pathlib import Path

import pytest

from headgate.cli.child import ChildGateway
from tests.cli.conftest import Command

WRONG = "server:\n  port: s3cret\nretry: {attemps: 1}\nadmin: {key: '${GONE}'}\n"


async def test_check_says_all_that_is_wrong(headgate: Command) -> None:
    """Errors with line and column, warnings beside them; exit code 2."""
    headgate.config.write_text(WRONG)
    checked = await headgate("config", "check", HEADGATE_SERVRE__PORT="1")
    assert checked.code == 2
    for words in (
        "line 2, column 9: server.port: must be a whole number",
        "line 3, column 18: retry.attemps: unknown setting, did you mean attempts?",
        "line 4, column 14: admin.key: the environment has no variable 'GONE'",
        "3 errors",
    ):
        assert words in checked.out
    assert checked.err.count("HEADGATE_SERVRE__PORT") == 1
    assert "s3cret" not in checked.out + checked.err
    found = (await headgate("config", "check", "--json")).json()
    assert [(one["path"], one["line"]) for one in found["errors"]] == [
        ("admin.key", 4),
        ("server.port", 2),
        ("retry.attemps", 3),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: {host: 0.0.0.0}\n", "Refusing to listen on 0.0.0.0 without admin.key"),
        ("server: [\n", "Failed to parse config file"),
        ("storage: {url: 'mysql://host/x'}\n", "storage.url does not name a database we can use"),
        ("storage: {url: /dev/zero}\n", "The database /dev/zero cannot be used: is a device, not a file"),
        ("upstream: {idle_timeout_ms: 1" + "0" * 400 + "}\n", "must be less than or equal to"),
        ('log: {file: "a\\0b"}\n', "log.file: must hold no NUL"),
    ],
)
async def test_check_knows_what_a_start_would_refuse(headgate: Command, text: str, words: str) -> None:
    headgate.config.write_text(text)
    checked = await headgate("config", "check", str(headgate.config))
    assert (checked.code, words in checked.out) == (2, True)
    assert headgate.config.read_text() == text


async def test_check_knows_what_a_start_would_warn_of(headgate: Command, tmp_path: Path) -> None:
    """A log file that cannot be, while nothing is made to find out."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "app.log", tmp_path):
        headgate.config.write_text(f"log: {{file: {path}}}\n")
        checked = await headgate("config", "check", str(headgate.config))
        assert (checked.code, f"nothing can be written to {path}" in checked.err) == (0, True)
    headgate.config.write_text(f"log: {{file: {tmp_path / 'new' / 'app.log'}}}\n")
    assert "log.file" not in (await headgate("config", "check", str(headgate.config))).err
    assert not (tmp_path / "new").exists()


async def test_check_knows_a_key_that_opens_nothing(headgate: Command) -> None:
    """Too short, so that a start refuses it."""
    headgate.config.touch()
    checked = await headgate("config", "check", str(headgate.config), HEADGATE_SECRET_KEY="short")
    assert (checked.code, "The encryption key is too short" in checked.out) == (2, True)


async def test_check_reads_the_files_of_accounts(headgate: Command, tmp_path: Path) -> None:
    """One that a start would refuse is named with line and column; what a start makes is not missed."""
    file = tmp_path / "accounts.json"
    sources = {"accounts_file": str(file), "credentials_dir": str(tmp_path / "later")}
    headgate.config.write_text(json.dumps({"sources": sources}))
    assert (await headgate("config", "check")).code == 0
    assert not (tmp_path / "later").exists()
    file.write_text('{"accounts": [}')
    wrong = await headgate("config", "check")
    assert (wrong.code, "Failed to parse accounts.json: line 1 column 15" in wrong.out) == (2, True)


async def test_a_file_that_is_not_there_is_said(headgate: Command) -> None:
    """A reading command makes none."""
    missing = str(headgate.folder / "nmae.yaml")
    assert f"There is no file at {missing}" in (await headgate("config", "check", missing)).out
    shown = await headgate("config", "path", "--config", missing)
    assert shown.out.strip() == missing
    assert list(headgate.folder.iterdir()) == []


async def test_a_value_is_set_and_got(headgate: Command) -> None:
    """Comments stay, secrets are masked, the file is its owner's alone; no database is made."""
    headgate.config.write_text("# mine\nretry:\n  attempts: 2  # why\n")
    headgate.config.chmod(0o644)
    done = await headgate("config", "set", "retry.attempts", "5")
    assert (done.code, "retry.attempts is set in" in done.out, done.err) == (0, True, "")
    assert headgate.config.read_text() == "# mine\nretry:\n  attempts: 5  # why\n"
    assert (await headgate("config", "set", "admin.key", "--stdin", stdin="12345\n")).code == 0
    assert stat.S_IMODE(headgate.config.stat().st_mode) == 0o600
    assert (await headgate("config", "get", "admin.key")).out == "***\n"
    assert "12345" in headgate.config.read_text()
    assert (await headgate("config", "get", "retry", "--json")).json()["retry.attempts"] == 5
    assert not headgate.data.exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("retry.attemps", "5", "did you mean retry.attempts?"),
        ("retry.attempts", "0", "greater than or equal to 1"),
        ("retry.attempts", "[s3cret", "VALUE is no YAML"),
        ("accounts", "[]", "headgate account add"),
        ("server.host", "0.0.0.0", "Refusing to listen"),
    ],
)
async def test_what_is_wrong_is_not_set(headgate: Command, key: str, value: str, words: str) -> None:
    """Exit code 2, and nothing is written."""
    refused = await headgate("config", "set", key, value)
    assert (refused.code, words in refused.err) == (2, True), refused.err
    assert "s3cret" not in refused.err
    assert not headgate.config.exists()


async def test_a_wrong_file_is_set_right(headgate: Command) -> None:
    """Value by value."""
    headgate.config.write_text("server:\n  port: x\n")
    assert (await headgate("config", "set", "server.port", "9000")).code == 0
    assert headgate.config.read_text() == "server:\n  port: 9000\n"


async def test_a_stronger_source_is_said(headgate: Command) -> None:
    done = await headgate("config", "set", "retry.attempts", "5", RETRY_ATTEMPTS="7")
    assert done.code == 0
    assert "environment variable RETRY_ATTEMPTS overrides the settings file" in done.err


async def test_every_place_is_named(headgate: Command) -> None:
    """Also where the settings are wrong."""
    places = (await headgate("config", "path", "--all", "--json")).json()
    assert {
        "settings file",
        "data folder",
        "database",
        "journal",
        "encryption key",
        "log file",
    } <= places.keys()
    headgate.config.write_text("server: [\n")
    assert "data folder" in (await headgate("config", "path", "--all")).out


async def test_programs_get_schema_and_table(headgate: Command) -> None:
    """Editors complete by the one; the other is the page."""
    schema = (await headgate("config", "schema")).json()
    assert schema["properties"]["server"]
    assert schema["additionalProperties"] is False
    rows = {row["path"]: row for row in (await headgate("config", "docs", "--json")).json()}
    assert rows["server.port"]["needs_restart"]
    assert not rows["server.workers"]["in_effect"]
    narrow = await headgate("config", "docs", COLUMNS="60")
    assert max(map(len, narrow.out.splitlines())) <= 60


async def test_show_has_value_and_source(headgate: Command) -> None:
    headgate.config.write_text("retry:\n  attempts: 5\n")
    shown = json.loads((await headgate("config", "show", "--json", PORT="7")).out)
    by_path = {one["path"]: one for one in shown["settings"]}
    assert by_path["server.port"]["source"] == "environment variable PORT"
    line = next(one for one in (await headgate("config", "show")).out.splitlines() if "retry.attempts" in one)
    assert line.split() == ["retry.attempts", "5", "file,", "line", "2"]


async def test_a_setting_without_effect_is_said_where_it_is_set(headgate: Command) -> None:
    """By set, check and show; other commands have nothing to do with it."""
    words = "models.force_prefix is not in effect yet"
    assert words in (await headgate("config", "set", "models.force_prefix", "true")).err
    assert words in (await headgate("config", "check")).err
    assert words in (await headgate("config", "show")).err
    assert words not in (await headgate("strategy", "get")).err


async def test_two_faults_are_set_right_one_by_one(headgate: Command) -> None:
    """Each is written, and what is still wrong is said."""
    headgate.config.write_text("server: {port: x}\nretry: {attempts: y}\n")
    first = await headgate("config", "set", "server.port", "9")
    assert (first.code, "Still wrong: line 2, column 19: retry.attempts" in first.err) == (0, True)
    second = await headgate("config", "set", "retry.attempts", "2")
    assert (second.code, second.err) == (0, "")
    assert headgate.config.read_text() == "server: {port: 9}\nretry: {attempts: 2}\n"


@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("admin.key", "headgate config set admin.key --stdin < FILE"),
        ("retry.attempts", "headgate config set retry.attempts VALUE"),
        ("retry.attemps", "did you mean retry.attempts?"),
    ],
)
async def test_a_value_that_is_missing_is_asked_for(headgate: Command, key: str, mend: str) -> None:
    """In words that can be typed."""
    refused = await headgate("config", "set", key)
    assert refused.code == 2
    assert mend in refused.err


async def test_what_waits_for_a_restart_is_shown(headgate: Command) -> None:
    """With the value that is in force, and the one that the file has."""
    async with ChildGateway(headgate.folder, port=0):  # no flag says the port
        assert (await headgate("config", "set", "server.port", "8085")).code == 0
        shown = await headgate("config", "show", COLUMNS="160")
    assert "needs a restart; the file says 8085 (line " in shown.out
