"""Guide rows A: accounts put in, looked at, changed, kept."""

import json
import stat
from pathlib import Path

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import error_of, logged, message


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a1_accounts_from_the_command_line(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`headgate account`: add, list, pause, resume, re-authorise, remove, on a running gateway."""
    with Gateway(tmp_path, accounts=()) as gateway:
        account = gateway.command
        added = account(
            "account", "add", "work", "--api-key-stdin", "--base-url", provider.url, stdin="sk-old\n"
        )
        assert added.returncode == 0, added.stderr
        assert "work" in account("account", "list").stdout
        assert message(gateway).status_code == 401  # the provider does not know this key
        mended = account("account", "reauth", "work", "--api-key-stdin", stdin="sk-ant-sim-work\n")
        assert mended.returncode == 0, mended.stderr
        assert message(gateway).status_code == 200
        assert account("account", "pause", "work").returncode == 0
        assert message(gateway).status_code == 503
        assert account("account", "resume", "work").returncode == 0
        assert message(gateway).status_code == 200
        assert account("account", "remove", "work", "--yes").returncode == 0
        assert json.loads(account("account", "list", "--json").stdout) == {"accounts": []}


def test_a1_accounts_by_the_api(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/api/accounts`: the same five changes over HTTP."""
    with Gateway(tmp_path, accounts=()) as gateway:
        admin = gateway.admin
        new = {"name": "work", "api_key": "sk-old", "base_url": provider.url}
        assert admin("/api/accounts", method="POST", body=new)["status"] == "active"
        assert message(gateway).status_code == 401
        assert admin("/api/accounts/work")["status"] == "needs_reauth"
        key = {"api_key": "sk-ant-sim-work"}
        assert admin("/api/accounts/work/reauth", method="POST", body=key)["status"] == "active"
        assert message(gateway).status_code == 200
        assert admin("/api/accounts/work/pause", method="POST")["paused"] is True
        assert admin("/api/accounts/work/resume", method="POST")["paused"] is False
        assert admin("/api/accounts/work", method="DELETE") == {"removed": "work"}
        assert admin("/api/accounts") == {"accounts": []}


def test_a2_the_list_shows_what_the_guides_look_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`headgate account list` shows tier, paused, `rate_limit_status`, `rate_limit_reset`, expiry."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    two = {"name": "two", "api_key": "sk-ant-sim-two", "tier": 20}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", two)) as gateway:
        gateway.command("account", "pause", "two")
        message(gateway)
        heading, _, *rows = gateway.command("account", "list").stdout.splitlines()
        columns = heading.split()
        assert {"tier", "status", "rate_limit_status", "rate_limit_reset", "expires"} <= set(columns)
        one, other = (dict(zip(columns, row.split(), strict=False)) for row in rows if row.strip())
        assert (one["status"], one["rate_limit_status"]) == ("rate_limited", "limited")
        assert one["rate_limit_reset"] != "-"
        assert (other["tier"], other["status"]) == ("20", "paused")


def test_a10_accounts_survive_and_serve_at_once(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """The first account of an empty, running gateway serves at once; a restart forgets none."""
    with Gateway(tmp_path, accounts=(), database=database_url) as gateway:
        assert message(gateway).status_code == 503
        new = {"name": "first", "api_key": "sk-ant-sim-first", "base_url": provider.url}
        gateway.admin("/api/accounts", method="POST", body=new)
        assert message(gateway).status_code == 200
        made_at = gateway.account("first")["created_at"]
        gateway.stop(expect_code=0)
        gateway.start()
        assert gateway.account("first")["created_at"] == made_at
        assert message(gateway).status_code == 200
        gateway.kill()
        gateway.start()
        assert message(gateway).status_code == 200


def test_a14_secret_files_are_the_owners_alone(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What holds a secret is 0600 in a 0700 folder; the provider's key is in no file in clear."""
    with Gateway(tmp_path, accounts=()) as gateway:
        added = gateway.command(
            *("account", "add", "work", "--api-key-stdin", "--base-url", provider.url),
            stdin="sk-ant-sim-very-secret\n",
        )
        assert added.returncode == 0, added.stderr
        assert message(gateway).status_code == 200
        assert _mode(gateway.data) == 0o700
        for name in ("secret.key", "headgate.db", "headgate.sock"):
            assert _mode(gateway.data / name) == 0o600
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(files) > 4
        assert not [file for file in files if b"very-secret" in file.read_bytes()]


def test_a14_a_wider_mode_is_warned_about(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A secret file or folder that is open to others is named in the log, with the mend."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        gateway.stop(expect_code=0)
        for file in ("secret.key", "headgate.db"):
            (gateway.data / file).chmod(0o644)
        gateway.config.chmod(0o644)
        gateway.data.chmod(0o755)
        gateway.start()
        for file in (gateway.data / "secret.key", gateway.data / "headgate.db", gateway.config):
            line = logged(gateway, f"WARN.*{file}.*0?644")
            assert f"chmod 600 {file}" in line
        assert f"chmod 700 {gateway.data}" in logged(gateway, f"WARN.*{gateway.data} .*0755")


def test_a20_a_name_that_nobody_has_is_a_400_with_near_ones(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A wrong account name in API, command or header: 400 (exit code 1) with near names, never 500."""
    with Gateway(tmp_path, provider=provider.url, accounts=("work", "spare")) as gateway:
        for method, path, body in (
            ("GET", "/api/accounts/wrok", None),
            ("DELETE", "/api/accounts/wrok", None),
            ("PATCH", "/api/accounts/wrok", {"tier": 2}),
            *(("POST", f"/api/accounts/wrok/{verb}", None) for verb in ("pause", "resume", "test")),
            ("POST", "/api/accounts/wrok/rename", {"name": "office"}),
            ("POST", "/api/accounts/wrok/reauth", {"api_key": "sk-ant-sim-new"}),
            ("POST", "/api/accounts/wrok%2Fpause", None),
        ):
            sent = json.dumps(body).encode() if body is not None else None
            status, answer = gateway.ask(method, path, body=sent)
            assert (status, json.loads(answer)["code"]) == (400, "unknown_account"), (method, path)
            assert "did you mean work?" in json.loads(answer)["detail"], (method, path)
        for command in (
            ("show",),
            ("pause",),
            ("resume",),
            ("test",),
            ("remove", "--yes"),
            ("set", "--tier", "2"),
        ):
            told = gateway.command("account", command[0], "wrok", *command[1:])
            assert (told.returncode, told.stdout) == (1, ""), command
            assert "did you mean work?" in told.stderr, command
        refused = message(gateway, headers={"x-headgate-account": "wrok"})
        assert (refused.status_code, error_of(refused)["code"]) == (400, "unknown_account")
        assert "Did you mean work?" in error_of(refused)["hint"]


def test_a20_a_name_that_none_can_have_is_explained(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An impossible name is refused in words, with one that would do; added, looked for or wished for."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for name in ("a b/c", "..", "", "ä\n"):
            added = gateway.command("account", "add", name, "--api-key-stdin", stdin="sk-ant-sim-one")
            assert (added.returncode, added.stdout) == (1, ""), name
            assert "must begin with a letter or digit" in added.stderr, name
            shown = gateway.command("account", "show", name)
            assert (shown.returncode, shown.stdout) == (1, ""), name
            assert "There is no account named" in shown.stderr, name
            body = json.dumps({"name": name, "api_key": "sk-ant-sim-one"}).encode()
            status, answer = gateway.ask("POST", "/api/accounts", body=body)
            assert (status, json.loads(answer)["code"]) == (400, "invalid_account_name")
            if name.isascii() and name.isprintable():
                wished = message(gateway, headers={"x-headgate-account": name})
                assert (wished.status_code, error_of(wished)["code"]) == (400, "unknown_account")
