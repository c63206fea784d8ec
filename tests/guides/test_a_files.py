"""Guide rows A11 to A16: accounts that another program keeps in `accounts.json`."""

import json
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import lines_of, logged, message
from tests.guides.planting import by_name, camel, gateway_with, names, put
from tests.guides.powers import serve_without_root_powers


def _serves(gateway: Gateway, name: str) -> None:
    answer = message(gateway, headers={"x-headgate-account": name})
    assert answer.status_code == 200, answer.text


def _seconds(grant: dict[str, Any]) -> dict[str, Any]:
    return {**grant, "expires_at": round(grant["expires_at"])}


def _listed(grant: dict[str, Any]) -> dict[str, Any]:
    entry = {"id": "6f1c", "email": "me@example.test", **_seconds(grant), "is_active": True, "extra": [1.50]}
    return {"accounts": [entry], "schema_version": "1.0.0"}


def _nested(grant: dict[str, Any]) -> dict[str, Any]:
    tokens = {**_seconds(grant), "subscription_type": "pro"}
    return {"accounts": [{"id": "account-1", "email": "me@example.test", "oauth_token": tokens}]}


_FORMS = {
    "by name": (lambda grant: by_name(work=grant), "work", ("accounts", "work"), "accessToken"),
    "a list": (_listed, "me@example.test", ("accounts", 0), "access_token"),
    "nested": (_nested, "me@example.test", ("accounts", 0, "oauth_token"), "access_token"),
}


@pytest.mark.parametrize("form", list(_FORMS))
def test_a11_each_known_form_serves_and_is_written_back(
    tmp_path: Path, provider: SimulatedProvider, form: str
) -> None:
    """All three forms of accounts.json serve; a renewed token is written back, and nothing else changes."""
    document_of, name, steps, field = _FORMS[form]
    file = tmp_path / "kept" / "accounts.json"
    file.parent.mkdir()
    grant = provider.grant("me", lifetime_seconds=-1)
    document = document_of(grant)
    put(file, document)
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        assert gateway.account(name)["origin"] == "file:accounts.json"
        _serves(gateway, name)
        wait_until(lambda: grant["access_token"] not in file.read_text(), what="a new token in the file")
        written = json.loads(file.read_text())
        tokens = written
        for step in steps:
            tokens = tokens[step]
        assert tokens[field] in provider.sign_ins()["me"]["access_tokens"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert _without_tokens(written) == _without_tokens(document)
        assert list(tokens) == list(_at(document, steps))
        assert not [one for one in file.parent.iterdir() if one != file]
        gateway.stop(expect_code=0)
        gateway.start()
        _serves(gateway, name)
    assert provider.sign_ins()["me"]["double_refreshes"] == 0
    assert provider.sign_ins()["me"]["refreshes_asked"] == 1


def _at(document: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        document = document[step]
    return document


def _without_tokens(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_tokens(one) for one in document]
    if not isinstance(document, dict):
        return document
    tokens = {"accessToken", "refreshToken", "expiresAt", "access_token", "refresh_token", "expires_at"}
    return {name: "…" if name in tokens else _without_tokens(value) for name, value in document.items()}


def test_a12_changes_of_the_file_are_seen(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A first file, an edit in place, an atomic rename and a removal are all in force without a restart."""
    file = tmp_path / "kept" / "accounts.json"
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        assert json.loads(file.read_text()) == {"version": 1, "accounts": {}}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.unlink()
        work, team = provider.grant("work"), provider.grant("team")
        put(file, by_name(work=work))
        wait_until(lambda: names(gateway) == ["work"], what="a first file")
        _serves(gateway, "work")
        number = gateway.account("work")["created_at"]
        with file.open("w") as opened:
            json.dump(by_name(work=work, team=team), opened)
        wait_until(lambda: names(gateway) == ["team", "work"], what="an edit in place")
        _serves(gateway, "team")
        put(file, by_name(work=work))
        wait_until(lambda: names(gateway) == ["work"], what="an atomic rename")
        assert gateway.account("work")["created_at"] == number
        assert gateway.account("work")["request_count"] == 1
        file.unlink()
        wait_until(lambda: names(gateway) == [], what="a removal")
        assert logged(gateway, "Accounts of files removed: work")


def test_a12_hot_reload_can_be_off(tmp_path: Path, provider: SimulatedProvider) -> None:
    """sources.hot_reload false: changes wait for a restart; settings of sources change while it runs."""
    file = tmp_path / "accounts.json"
    work, team = provider.grant("work"), provider.grant("team")
    put(file, by_name(work=work))
    with gateway_with(tmp_path, provider, accounts_file=file, hot_reload=False) as gateway:
        put(file, by_name(work=work, team=team))
        other = tmp_path / "other.json"
        put(other, by_name(other=provider.grant("other")))
        done = gateway.command("config", "set", "sources.accounts_file", str(other))
        assert done.returncode == 0, done.stderr
        assert names(gateway) == ["other"]  # what the running gateway did before it answered
        done = gateway.command("config", "set", "sources.accounts_file", str(file))
        assert names(gateway) == ["team", "work"]
        put(file, by_name(team=team))
        assert gateway.command("config", "set", "sources.hot_reload", "true").returncode == 0
        wait_until(lambda: names(gateway) == ["team"], what="a change, once it is followed")


_BROKEN = '{"version": 1,\n "accounts": {"work": }}\n'
_WORDS = "Failed to parse accounts.json: line 2 column 23: "


def test_a13_a_broken_file_stops_the_start(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A corrupt accounts.json: the start ends with line, column and exit code 2; the file is as it was."""
    file = tmp_path / "accounts.json"
    put(file, _BROKEN)
    gateway = gateway_with(tmp_path, provider, accounts_file=file)
    refused = gateway.command("serve")
    assert refused.returncode == 2
    assert _WORDS in refused.stderr
    assert f"mend: Correct {file}" in " ".join(refused.stderr.split())
    assert file.read_text() == _BROKEN


def test_a13_broken_while_running_changes_nothing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Broken while it runs: the accounts serve on; health, status and log say where; mended, all is well."""
    file = tmp_path / "accounts.json"
    good = by_name(work=provider.grant("work"))
    put(file, good)
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        put(file, _BROKEN)
        wait_until(lambda: gateway.admin("/health")["status"] == "degraded", what="trouble on /health")
        health, status = gateway.admin("/health"), gateway.admin("/status")
        assert health["code"] == "source_invalid"
        assert _WORDS in health["reason"]
        assert _WORDS in status["troubles"][0]["reason"]
        assert logged(gateway, f"ERROR.*{_WORDS}")
        _serves(gateway, "work")
        put(file, good)
        wait_until(lambda: gateway.admin("/health")["status"] == "ok", what="good health")
        assert logged(gateway, "accounts.json is right again")
        assert len(lines_of(gateway, _WORDS)) == 1
        assert file.read_text() == json.dumps(good, indent=2)


def test_a13_a_name_that_is_no_text_is_told(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A file whose name is no UTF-8 is not used, and the others are followed as before."""
    folder = tmp_path / "auths"
    folder.mkdir()

    def sign_in(name: str) -> dict[str, Any]:
        grant = provider.grant(name)
        return {"type": "claude", "access_token": grant["access_token"]}

    put(folder / "claude-one.json", sign_in("one"))
    with gateway_with(tmp_path, provider, auth_dir=folder) as gateway:
        Path(os.fsdecode(os.fsencode(folder) + b"/claude-\xff.json")).write_text(json.dumps(sign_in("odd")))
        assert logged(gateway, r"claude-\\udcff.json: its name is no UTF-8 text")
        assert gateway.admin("/health")["code"] == "source_unreadable"
        put(folder / "claude-two.json", sign_in("two"))
        wait_until(lambda: names(gateway) == ["claude-one", "claude-two"], what="a later file")
        assert not lines_of(gateway, "ERROR.*failed")


def test_a13_removed_and_restarted_begins_anew(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A broken file that is removed, then a restart: a new empty one, and the gateway runs."""
    file = tmp_path / "accounts.json"
    put(file, by_name(work=provider.grant("work")))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        gateway.stop(expect_code=0)
        file.unlink()
        gateway.start()
        assert names(gateway) == []
        assert json.loads(file.read_text())["accounts"] == {}
        assert gateway.admin("/health")["code"] == "no_account_configured"
        put(file, by_name(work=provider.grant("work")))
        wait_until(lambda: names(gateway) == ["work"], what="the accounts put in again")


def test_a14_an_open_file_is_warned_about(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A file of tokens that others can read is warned about, with the command that mends it."""
    file = tmp_path / "accounts.json"
    put(file, by_name(work=provider.grant("work")))
    file.chmod(0o644)
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        assert logged(gateway, rf"others can read it \(mode 0644\): chmod 600 {file}")


def test_a15_a_file_that_may_not_be_read_names_its_mend(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An accounts file that is not ours to read: path, owner, the command that mends it; exit code 1."""
    file = tmp_path / "accounts.json"
    put(file, by_name(work=provider.grant("work")))
    gateway = gateway_with(tmp_path, provider, accounts_file=file)
    file.chmod(0)
    refused = serve_without_root_powers(gateway)
    assert refused.returncode == 1
    assert f"Permission denied: {file}" in refused.stderr
    assert f"chmod u+rw {file}" in refused.stderr


def test_a16_the_same_token_twice_is_left_out(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A token or name that another account has is told with that account's name; the others are taken."""
    file = tmp_path / "accounts.json"
    work, team = provider.grant("work"), provider.grant("team")
    put(file, by_name(work=work, again=work, team=team, mine=provider.grant("mine")))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        assert names(gateway) == ["mine", "team", "work"]
        told = gateway.admin("/health")["troubles"]
        assert [one["code"] for one in told] == ["account_left_out"]
        assert "Account again" in told[0]["reason"] and "as account work" in told[0]["reason"]
        _serves(gateway, "work")
        key = "sk-ant-sim-key"
        added = gateway.command("account", "add", "owners", "--api-key-stdin", stdin=key)
        assert added.returncode == 0, added.stderr
        entry = {"owners": camel(provider.grant("other"))}
        put(file, {"accounts": {**by_name(work=work, team=team)["accounts"], **entry}})
        wait_until(lambda: names(gateway) == ["owners", "team", "work"], what="the change")
        told = gateway.admin("/health")["troubles"]
        assert "There is an account of that name: one that you added" in told[0]["reason"]


def test_a11_what_a_file_keeps_is_changed_there(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An account of a file: changes are refused with the file's path; pause and resume are the owner's."""
    file = tmp_path / "accounts.json"
    put(file, by_name(work=provider.grant("work")))
    with gateway_with(tmp_path, provider, accounts_file=file) as gateway:
        for command in (
            ["set", "work", "--priority", "3"],
            ["rename", "work", "other"],
            ["remove", "work", "--yes"],
        ):
            refused = gateway.command("account", *command)
            assert refused.returncode == 1, (command, refused.stdout)
            assert str(file) in refused.stderr, refused.stderr
        assert gateway.command("account", "pause", "work").returncode == 0
        put(file, by_name(work=provider.grant("other")))
        wait_until(lambda: lines_of(gateway, "Accounts of files changed: work"), what="the change")
        assert gateway.account("work")["paused"] is True
        assert gateway.command("account", "resume", "work").returncode == 0
        _serves(gateway, "work")
        places = gateway.command("config", "path", "--all").stdout
        assert str(file) in places


@pytest.mark.parametrize("form", list(_FORMS))
def test_a11_each_known_form_is_imported(tmp_path: Path, provider: SimulatedProvider, form: str) -> None:
    """`account import` takes all three forms, and `export --format accounts.json` gives back what came in."""
    document_of, name, _, _ = _FORMS[form]
    grant = provider.grant("me")
    file, back = tmp_path / "theirs.json", tmp_path / "back.json"
    file.write_text(json.dumps(document_of(grant)))
    with gateway_with(tmp_path, provider) as gateway:
        done = gateway.command("account", "import", str(file))
        assert done.returncode == 0, done.stderr
        assert f"Added: {name}" in done.stdout
        _serves(gateway, name)
        options = ("--plain", "--format", "accounts.json", "--output", str(back))
        assert gateway.command("account", "export", *options).returncode == 0
        entry = json.loads(back.read_text())["accounts"][name]
        assert entry["refreshToken"] == grant["refresh_token"]
        assert entry["accessToken"] == grant["access_token"]
        assert abs(entry["expiresAt"] / 1000 - grant["expires_at"]) <= 1
        again = gateway.command("account", "import", str(back))
        assert (again.returncode, again.stdout) == (0, f"Unchanged: {name}\n")


def test_a11_an_import_that_cannot_be_saved_says_so(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A wrong entry is named by line and column, and nothing is imported; so is a database that is full."""
    file = tmp_path / "theirs.json"
    with gateway_with(tmp_path, provider) as gateway:
        good = camel(provider.grant("me"))
        file.write_text(json.dumps({"accounts": {"good": good, "bad": {**good, "accessToken": 7}}}, indent=1))
        refused = gateway.command("account", "import", str(file))
        assert refused.returncode == 1
        assert "line 9 column 19: accessToken must be a text" in refused.stderr
        assert names(gateway) == []
        connection = sqlite3.connect(gateway.data / "headgate.db")
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON accounts BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        connection.commit()
        connection.close()
        file.write_text(json.dumps({"accounts": {"good": good}}))
        refused = gateway.command("account", "import", str(file))
        assert refused.returncode == 1, refused.stdout
        assert "Cannot import the accounts" in refused.stderr
        assert names(gateway) == []
