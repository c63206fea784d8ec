"""Every route that changes something leaves a row of it: who, from where, what, before and after."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML
from starlette.routing import Route

from headgate.admin.app import ROUTES
from headgate.admin.audit import Action
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.signing_in import code_shown, gateway_with

KEY = "sk-ant-sim-spare"
ADMIN = "correct-horse-battery"
DIGEST = "sha256:" + "ab" * 32

SIGN_IN = {"type": "claude", "access_token": "s3cret-token", "email": "ann@example.com"}

LEAVES_NONE = {
    "POST /api/accounts/{name}/test": "asks a provider; what it learns is the account's health",
    "POST /api/accounts/{name}/refresh": "tokens are renewed, as they are by themselves; the sign-in stays",
    "POST /api/database/check": "looks only",
    "POST /oauth/authorize": "a sign-in begins; what comes of it is a row",
    "POST /oauth/device": "a sign-in begins; what comes of it is a row",
    "POST /api/session": "a log-in: in memory and in the log; what is changed by it are rows of `session`",
    "DELETE /api/session": "a log-out: the same",
    "POST /oauth/cancel": "nothing comes of a sign-in",
    "PUT /v0/management/usage-statistics-enabled": "there is nothing to set",
    "PATCH /v0/management/usage-statistics-enabled": "there is nothing to set",
    "DELETE /v0/management/logs": "is refused",
}
"""Routes that are no GET and change nothing that the owner has set, each with its reason."""

Ask = Callable[[str, str, Any], Any]


def _code(ask: Ask, name: str) -> str:
    return code_shown(ask("GET", f"/oauth/authorize?account={name}", None)["url"])


def _led_back(ask: Ask, name: str) -> str:
    code, _, state = _code(ask, name).partition("#")
    return f"/oauth/callback?code={code}&state={state}"


# By route, in order: the request, then action and object of its row.
CHANGES: dict[str, tuple[str, Any, str, str]] = {
    "POST /api/accounts": ("", {"name": "spare", "api_key": KEY}, "account.add", "spare"),
    "PATCH /api/accounts/{name}": ("spare", {"weight": 2, "api_key": KEY + "-2"}, "account.change", "spare"),
    "POST /api/accounts/{name}/pause": ("spare", None, "account.pause", "spare"),
    "POST /api/accounts/{name}/resume": ("spare", None, "account.resume", "spare"),
    "POST /api/accounts/{name}/reauth": ("spare", {"api_key": KEY + "-3"}, "account.reauth", "spare"),
    "POST /api/accounts/{name}/rename": ("spare", {"name": "second"}, "account.rename", "spare"),
    "DELETE /api/accounts/{name}": ("second", None, "account.remove", "second"),
    "POST /api/import/accounts": (
        "",
        {"accounts": [{"name": "carried", "api_key": KEY, "proxy": "http://ann:s3cret@127.0.0.1:1"}]},
        "account.import",
        "carried",
    ),
    "POST /api/import/keys": (
        "",
        {"keys": [{"name": "theirs", "digest": DIGEST}]},
        "key.import",
        "access.api_keys",
    ),
    "POST /api/keys": ("", {"name": "laptop", "limits": {"rpm": 5}}, "key.create", "laptop"),
    "PATCH /api/keys/{name}": ("laptop", {"models": ["a*"], "limits": {"tpm": 9}}, "key.change", "laptop"),
    "POST /api/keys/{name}/rotate": ("laptop", {"overlap_seconds": 60}, "key.rotate", "laptop"),
    "DELETE /api/keys/{name}": ("laptop", None, "key.revoke", "laptop"),
    "PUT /api/strategy": ("", {"strategy": "weighted"}, "strategy.set", "routing.strategy"),
    "PUT /api/config": ("", {"retry.attempts": 7, "upstream.proxy": None}, "config.change", "settings"),
    "POST /api/config/reload": ("", None, "config.reload", "retry.attempts"),
    "POST /api/history/clear": ("", {}, "history.clear", "history"),
    "POST /api/stats/reset": ("", None, "stats.reset", "counters"),
    "POST /api/database/rotate-key": ("", {}, "db.rotate_key", "encryption key"),
    "POST /oauth/exchange": ("ann", None, "account.add", "ann"),
    "GET /oauth/callback": ("bob", None, "account.add", "bob"),
}

_SET: list[tuple[str, str, Any, str]] = [
    ("PUT", "api-keys", ["theirs", "ours"], "access.api_keys"),
    ("PATCH", "api-keys", {"old": "theirs", "new": "mine"}, "access.api_keys"),
    ("DELETE", "api-keys", None, "access.api_keys"),
    ("PUT", "debug", {"value": True}, "log.level"),
    ("PATCH", "debug", {"value": False}, "log.level"),
    ("PUT", "logging-to-file", {"value": False}, "log.file"),
    ("PATCH", "logging-to-file", {"value": True}, "log.file"),
    ("PUT", "request-retry", {"value": 8}, "retry.attempts"),
    ("PATCH", "request-retry", {"value": 9}, "retry.attempts"),
    ("PUT", "proxy-url", {"value": "http://ann:s3cret@127.0.0.1:1"}, "upstream.proxy"),
    ("PATCH", "proxy-url", {"value": "direct"}, "upstream.proxy"),
    ("DELETE", "proxy-url", None, "upstream.proxy"),
    ("PUT", "routing/strategy", {"value": "rr"}, "routing.strategy"),
    ("PATCH", "routing/strategy", {"value": "ff"}, "routing.strategy"),
]
# Not there without an admin key. The whole file comes last: it is sent with one value changed.
MANAGEMENT: dict[str, tuple[str, Any, str, str]] = {
    **{
        f"{method} /v0/management/{name}": (
            "?index=0" if name == "api-keys" else "",
            body,
            "config.change",
            of,
        )
        for method, name, body, of in _SET
    },
    "POST /v0/management/auth-files": ("?name=a.json", SIGN_IN, "auth_file.put", "a.json"),
    "PATCH /v0/management/auth-files/status": (
        "",
        {"name": "a.json", "disabled": True},
        "auth_file.disable",
        "a.json",
    ),
    "DELETE /v0/management/auth-files": ("?name=a.json", None, "auth_file.remove", "a.json"),
    "PUT /v0/management/config.yaml": ("", None, "config.replace", "retry.attempts"),
}

LOOKS = {"GET", "HEAD", "OPTIONS"}


def test_every_changing_route_is_in_the_list() -> None:
    """A new one is written there with its change, or with the reason why it leaves no row."""
    changing = {
        f"{method} {route.path}"
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - LOOKS
    }
    assert changing == {*CHANGES, *MANAGEMENT, *LEAVES_NONE} - {"GET /oauth/callback"}
    actions = {action for _, _, action, _ in [*CHANGES.values(), *MANAGEMENT.values()]}
    assert actions | {"auth_file.enable"} == set(get_args(Action))


@pytest.mark.parametrize("locked", [False, True])
def test_every_changing_route_leaves_a_row(tmp_path: Path, provider: SimulatedProvider, locked: bool) -> None:
    """One row for each, by whoever has the key or sits at this machine; and no secret in any of them."""
    headers = {"x-dashboard-key": ADMIN} if locked else {}
    with gateway_with(tmp_path, provider) as gateway:
        if locked:
            assert gateway.command("config", "set", "admin.key", ADMIN).returncode == 0
            folder = str(tmp_path / "auths")
            assert gateway.command("config", "set", "sources.auth_dir", folder).returncode == 0

        def ask(method: str, path: str, body: Any) -> Any:
            content = None if body is None else json.dumps(body).encode()
            status, answer = gateway.ask(method, path, headers=headers, body=content)
            assert status < 300, answer
            return answer if path.startswith("/oauth/callback") else json.loads(answer)

        def rows() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = ask("GET", "/api/audit?limit=500", None)["changes"]
            return found

        for route, (name, body, action, of) in {**CHANGES, **(MANAGEMENT if locked else {})}.items():
            method, path = route.split()
            known = {row["id"] for row in rows()}
            if path == "/oauth/exchange":
                body = {"code": _code(ask, name)}
            elif path == "/oauth/callback":
                path = _led_back(ask, name)
            elif path == "/api/config/reload":
                _edit(gateway, "retry", {"attempts": 4})
            elif path.endswith("config.yaml"):
                body = {**YAML(typ="safe").load(gateway.config.read_text()), "retry": {"delay_ms": 10}}
            if route in MANAGEMENT:
                path += name
            ask(method, path.replace("{name}", name), body)
            (row,) = [row for row in rows() if row["id"] not in known]
            who = "admin_key" if locked else "this_machine"
            if action == "config.reload":  # the watch of the file may have come first
                assert row["who"] in {who, "settings_file"}
            else:
                assert (row["who"], row["address"]) == (who, "127.0.0.1"), route
            assert (row["action"], row["object"], row["succeeded"]) == (action, of, True), route
        told = json.dumps(rows())
        kept = "\n".join(_dump(gateway.data / "headgate.db"))
    for secret in (KEY, ADMIN, "s3cret", DIGEST.removeprefix("sha256:")):
        assert secret not in told
        assert secret not in kept


def _edit(gateway: Gateway, section: str, values: dict[str, Any]) -> None:
    settings = YAML(typ="safe").load(gateway.config.read_text())
    settings[section] = {**settings.get(section, {}), **values}
    gateway.config.write_text(json.dumps(settings, indent=1))


def _dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return [repr(row) for row in database.execute("SELECT * FROM audit")]


def test_a_change_of_the_file_is_a_row_too(tmp_path: Path) -> None:
    """By the file, whoever edited it; a secret shows only that it changed, and a fault that it failed."""
    with Gateway(tmp_path, accounts=()) as gateway:

        def newest() -> dict[str, Any]:
            rows = gateway.admin("/api/audit?limit=1")["changes"]
            return rows[0] if rows else {"id": 0}

        _edit(gateway, "retry", {"attempts": 5})
        wait_until(lambda: newest()["id"] == 1, what="a row of the file")
        row = newest()
        assert (row["who"], row["address"], row["action"]) == ("settings_file", None, "config.reload")
        assert (row["before"], row["after"]) == ({"retry.attempts": 3}, {"retry.attempts": 5})
        _edit(gateway, "retry", {"attempts": "s3cret"})
        wait_until(lambda: newest()["id"] == 2, what="a row of the fault")
        row = newest()
        assert (row["succeeded"], row["error"], row["after"]) == (False, "invalid_setting", None)
        _edit(gateway, "retry", {"attempts": 5})
        _edit(gateway, "upstream", {"proxy": "http://ann:s3cret@127.0.0.1:1"})
        wait_until(lambda: newest()["id"] == 3, what="a row of the proxy")
        row = newest()
        assert (row["before"], row["after"]) == ({"upstream.proxy": None}, {"upstream.proxy": "http://***"})


def test_the_same_record_on_a_running_and_a_stopped_gateway(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`headgate audit`: what commands did, in words and as one document."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert gateway.command("audit").stdout == "No changes yet\n"
        added = gateway.command("account", "add", "spare", "--api-key-stdin", stdin=KEY)
        assert added.returncode == 0, added.stderr
        assert gateway.command("account", "rename", "spare", "second").returncode == 0
        running = gateway.command("audit", "--json").stdout
        rows = json.loads(running)["changes"]
        assert [(row["action"], row["who"], row["address"]) for row in rows] == [
            ("account.rename", "local", None),
            ("account.add", "local", None),
        ]
        assert (rows[0]["before"], rows[0]["after"]) == ({"name": "spare"}, {"name": "second"})
        shown = gateway.command("audit", "--action", "account.rename").stdout
        assert "name: spare" in shown and "name: second" in shown and "account.add" not in shown
        gateway.stop(expect_code=0)
        assert gateway.command("audit", "--json").stdout == running
        assert gateway.command("account", "remove", "second", "--yes").returncode == 0
        (row,) = json.loads(gateway.command("audit", "--limit", "1", "--json").stdout)["changes"]
        assert (row["action"], row["who"], row["after"]) == ("account.remove", "local", None)
        assert row["before"]["name"] == "second"
        assert gateway.command("audit", "--object", "nobody").stdout == "No changes that match\n"
        unknown = gateway.command("audit", "--action", "nosuch")
        assert unknown.returncode == 2
        assert "action: must be 'account.add', 'account.change'" in unknown.stderr
        # A key's fields as /api/keys has them, and a moment that can be read.
        gateway.command("key", "create", "laptop", "--expires", "2099-01-01T00:00Z")
        created = " ".join(gateway.command("audit", "--limit", "1").stdout.split())
        assert "laptop local - enabled: true, expires_at: 2099-01-01T00:00:00Z, may_choose" in created
        gateway.command("key", "set", "laptop", "--disabled", "--expires", "2098-01-01T00:00Z")
        (row,) = json.loads(gateway.command("audit", "--limit", "1", "--json").stdout)["changes"]
        assert row["before"] == {"enabled": True, "expires_at": 4_070_908_800_000}
        assert row["after"] == {"enabled": False, "expires_at": 4_039_372_800_000}
        shown = " ".join(gateway.command("audit", "--limit", "1").stdout.split())
        assert "expires_at: 2099-01-01T00:00:00Z" in shown and "enabled: false" in shown
