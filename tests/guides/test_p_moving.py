"""Guide row P6: moving in from another gateway, with traffic on what came along."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import message
from tests.guides.signing_in import CLIENT_ID, settings_of
from tests.moving import theirs


def _gateway(folder: Path, provider: SimulatedProvider) -> Gateway:
    """Without an account, and without a client id: those are theirs."""
    settings = settings_of(provider)
    del settings["providers"]["anthropic"]["oauth"]["client_id"]
    settings["routing"] = {"expose_account": True}
    return Gateway(folder, provider=provider.url, accounts=(), settings=settings)


def _brought(gateway: Gateway, *arguments: str, twice: bool = True) -> dict[str, Any]:
    """By name: what became of it. A second time nothing is new."""
    done = gateway.command("import", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    if twice:
        again = json.loads(gateway.command("import", *arguments, "--json").stdout)
        assert not {one["outcome"] for one in again["items"]} & {"added", "changed", "failed"}
    found: dict[str, Any] = json.loads(done.stdout)
    assert "sk-ant" not in done.stdout + done.stderr
    return {**{one["name"]: one["outcome"] for one in found["items"]}, "notices": found["notices"]}


def _serves(gateway: Gateway, name: str, key: str = CLIENT_KEY) -> None:
    answer = message(gateway, headers={"x-headgate-account": name}, key=key)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-headgate-account"] == name


def test_p6_from_ccflare_while_both_run(tmp_path: Path, provider: SimulatedProvider) -> None:
    """better-ccflare's accounts serve at once, ended tokens are refreshed, its history is here."""
    ended = provider.grant("max", lifetime_seconds=-1)
    place = tmp_path / "better-ccflare"
    place.mkdir()
    (place / "better-ccflare.json").write_text(json.dumps({"client_id": CLIENT_ID, "lb_strategy": "session"}))
    with (
        theirs.ccflare(place / "better-ccflare.db", is_better=True) as database,
        _gateway(tmp_path, provider) as gateway,
    ):
        account = theirs.ccflare_account(
            database,
            "my max",
            access_token=ended["access_token"],
            refresh_token=ended["refresh_token"],
            expires_at=round(ended["expires_at"] * 1000),
        )
        theirs.ccflare_account(
            database, "console", provider="claude-console-api", api_key="sk-ant-sim-console", priority=5
        )
        theirs.ccflare_account(database, "chatgpt", provider="codex")
        for number in range(1200):
            theirs.ccflare_request(database, account, number)
        found = _brought(gateway, "ccflare", str(place), twice=False)
        assert (found["my-max"], found["console"], found["chatgpt"]) == ("added", "added", "left out")
        assert not any("client id" in notice for notice in found["notices"])
        _serves(gateway, "my-max")
        _serves(gateway, "console")
        assert provider.sign_ins()["max"]["refreshes_asked"] == 1
        usage = json.loads(gateway.command("usage", "--since", "7d", "--by", "account", "--json").stdout)
        counts = {one["group"]: one["requests"] for one in usage["groups"]}
        assert counts["my-max"] >= 1200
        # Once more, after the refresh: the tokens that the provider has taken back stay away.
        assert gateway.command("import", "ccflare", str(place)).returncode == 0
        _serves(gateway, "my-max")
    assert provider.sign_ins()["max"]["double_refreshes"] == 0
    database.close()


def test_p6_from_claudeflare(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Its database is an older one of ccflare's, with fewer columns."""
    grant = provider.grant("old")
    file = tmp_path / "claudeflare.db"
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL,"
            " provider TEXT DEFAULT 'anthropic', api_key TEXT, refresh_token TEXT NOT NULL,"
            " access_token TEXT, expires_at INTEGER, created_at INTEGER NOT NULL,"
            " account_tier INTEGER DEFAULT 1)"
        )
        database.execute(
            "CREATE TABLE requests (id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, method TEXT NOT NULL,"
            " path TEXT NOT NULL, account_used TEXT, status_code INTEGER, success BOOLEAN,"
            " error_message TEXT, response_time_ms INTEGER, failover_attempts INTEGER DEFAULT 0)"
        )
        account = theirs.ccflare_account(
            database,
            "old",
            access_token=grant["access_token"],
            refresh_token=grant["refresh_token"],
            expires_at=round(grant["expires_at"] * 1000),
            account_tier=5,
        )
        theirs.insert(
            database,
            "requests",
            id="r-1",
            timestamp=theirs.NOW_MS,
            method="POST",
            path="/v1/messages",
            account_used=account,
            status_code=200,
            success=1,
            response_time_ms=10,
        )
    database.close()
    with _gateway(tmp_path, provider) as gateway:
        found = _brought(gateway, "ccflare", str(tmp_path))
        assert (found["old"], found["requests"]) == ("added", "added")
        assert gateway.account("old")["tier"] == 5
        assert any("no client id is set" in notice for notice in found["notices"])
        _serves(gateway, "old")
        assert gateway.record_of("r-1")["account"] == "old"


def test_p6_from_claude_code_proxy(tmp_path: Path, provider: SimulatedProvider) -> None:
    """accounts.json in each of its shapes and its environment, into a gateway that does not run yet."""
    place = tmp_path / "theirs"
    place.mkdir()
    gateway = _gateway(tmp_path, provider)
    (place / ".env").write_text(
        f"SECURITY__AUTH_TOKEN=the-token\nAUTH__OAUTH__CLIENT_ID={CLIENT_ID}\nSERVER__LOG_LEVEL=DEBUG\n"
    )
    for shape in ("kept", "exported", "by hand"):
        grant = provider.grant(shape)
        content = theirs.accounts_json(shape, shape.replace(" ", "-"))
        text = json.dumps(content)
        for field in ("access_token", "refresh_token"):
            token = f"sk-ant-o{field[0] if field[0] == 'r' else 'a'}t01-{shape.replace(' ', '-')}"
            text = text.replace(token, grant[field])
        file = place / "accounts.json"
        file.write_text(text)
        found = _brought(gateway, "claude-code-proxy", str(file), twice=shape == "kept")
        assert found["log.level"] == ("added" if shape == "kept" else "unchanged")
    with gateway:
        names = {one["name"] for one in gateway.admin("/api/accounts")["accounts"]}
        assert names == {"kept", "exported@example.com", "by-hand@example.com"}
        for name in names:
            _serves(gateway, name, key="the-token")


async def test_p6_from_claude_nexus_proxy(
    tmp_path: Path, provider: SimulatedProvider, empty_postgres_url: str
) -> None:
    """Accounts of domains, their client keys under their names, and the history out of PostgreSQL."""
    grant = provider.grant("team")
    tokens = {"accessToken": grant["access_token"], "refreshToken": grant["refresh_token"]}
    folder = theirs.nexus_credentials(
        tmp_path / "credentials",
        {
            "team.example.com": {
                **{"type": "oauth", "accountId": "acc_team", "client_api_key": "cnp_live_team"},
                "oauth": {
                    **tokens,
                    "expiresAt": round(grant["expires_at"] * 1000),
                    "scopes": [],
                    "isMax": True,
                },
            },
            "key.example.com": {"type": "api_key", "accountId": "acc_key", "api_key": "sk-ant-sim-key"},
        },
    )
    await theirs.nexus_database(
        empty_postgres_url, rows=700, domain="team.example.com", account_id="acc_team"
    )
    with _gateway(tmp_path, provider) as gateway:
        found = _brought(gateway, "claude-nexus-proxy", str(folder), empty_postgres_url)
        assert (found["team.example.com"], found["requests"]) == ("added", "added")
        _serves(gateway, "team.example.com")
        _serves(gateway, "key.example.com")
        for _ in range(3):  # the key of a domain is served by its account alone
            answer = message(gateway, key="cnp_live_team")
            assert answer.headers["x-headgate-account"] == "team.example.com", answer.text
        record = gateway.record_of(answer.headers["x-headgate-request-id"])
        assert record["caller"] == "team.example.com"
        rows = gateway.requests(account="team.example.com")
        theirs_alone = [one for one in rows if one["caller"] == "team.example.com"]
        assert len(theirs_alone) == 700 + 3


def test_p6_from_cliproxyapi(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Entries of config.yaml and files of the auth folder serve, and the client keys stay good."""
    grant = provider.grant("me")
    auths = tmp_path / "auths"
    auths.mkdir()
    credential = theirs.cliproxyapi_credential(
        "me", access_token=grant["access_token"], refresh_token=grant["refresh_token"]
    )
    (auths / "claude-me.json").write_text(json.dumps(credential))
    (auths / "codex-me.json").write_text('{"type": "codex", "access_token": "x"}')
    config = tmp_path / "theirs.yaml"
    config.write_text(
        theirs.CLIPROXYAPI_CONFIG.format(port=8317, auths=auths, key="sk-ant-sim-entry", url=provider.url)
    )
    with _gateway(tmp_path, provider) as gateway:
        found = _brought(gateway, "cliproxyapi", str(config))
        assert (found["claude-me"], found["codex-me.json"]) == ("added", "left out")
        assert found["gemini-api-key"] == "left out"
        for name in [one["name"] for one in gateway.admin("/api/accounts")["accounts"]]:
            answer = message(
                gateway,
                headers={"x-headgate-account": name},
                key="client-key-two",
                model="claude-sonnet-4-20250514",
            )
            assert (answer.status_code, answer.headers["x-headgate-account"]) == (200, name), answer.text


def test_p6_client_keys_keep_their_names(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Keys that had a name are keys of that name here, for the accounts of their domains; a dry run says
    so, a second time changes nothing, and what is here already keeps its name and its state."""

    def domain(name: str, client_key: str) -> dict[str, Any]:
        return {"type": "api_key", "api_key": f"sk-ant-sim-{name}", "client_api_key": client_key}

    folder = theirs.nexus_credentials(
        tmp_path / "credentials",
        {
            "one.example.com": domain("one", "cnp_live_one"),
            "two.example.com": domain("two", "cnp_live_two"),
            "shared.example.com": domain("one", "cnp_live_shared"),
            "both.example.com": domain("both", "cnp_live_two"),
            "known.example.com": domain("known", "hg_known"),
            "gone.example.com": domain("gone", "hg_gone"),
        },
    )

    def keys(*arguments: str) -> dict[str, tuple[str, str]]:
        done = gateway.command("import", "claude-nexus-proxy", str(folder), *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        items = json.loads(done.stdout)["items"]
        return {one["name"]: (one["outcome"], one["why"]) for one in items if one["kind"] == "client key"}

    gateway = _gateway(tmp_path, provider)
    for name, secret in (("one.example.com", "hg_other"), ("laptop", "hg_known"), ("old", "hg_gone")):
        made = gateway.command("key", "create", name, "--key-stdin", stdin=secret)
        assert made.returncode == 0, made.stderr
    assert gateway.command("key", "revoke", "old", "--yes").returncode == 0
    expected = {
        "one.example.com": ("added", "named one.example.com-2"),
        "both.example.com": ("added", "named both.example.com"),
        "shared.example.com": ("added", "named shared.example.com"),
        "known.example.com": ("unchanged", "named laptop"),
        "gone.example.com": ("kept", "it was revoked here, as old, and stays closed"),
    }
    assert keys("--dry-run") == expected
    assert "shared.example.com" not in gateway.command("key", "list").stdout
    assert keys() == expected
    again = {name: ("unchanged" if is_ == "added" else is_, why) for name, (is_, why) in expected.items()}
    assert keys() == again
    text = gateway.config.read_text()
    assert "sha256:" not in text
    with gateway:
        assert keys() == again

        def served_by(key: str) -> set[str]:
            return {message(gateway, key=key).headers.get("x-headgate-account", "") for _ in range(4)}

        assert served_by("cnp_live_one") == served_by("cnp_live_shared") == {"one.example.com"}
        assert served_by("cnp_live_two") <= {"two.example.com", "both.example.com"}
        assert message(gateway, key="hg_gone").status_code == 401
        gateway.command("key", "set", "one.example.com-2", "--name", "first", "--disabled")
        assert keys() == {**again, "one.example.com": ("unchanged", "named first")}
        assert message(gateway, key="cnp_live_one").status_code == 401
    kept = b"".join(one.read_bytes() for one in gateway.data.rglob("*") if one.is_file())
    assert b"both.example.com" in kept and b"cnp_live" not in kept
