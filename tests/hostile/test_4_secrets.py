"""Secrets: what the gateway is trusted with, and what others say of it."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from headgate.testing.process import SimulatedProvider
from tests import starts
from tests.gateway import Gateway
from tests.guides.asking import message
from tests.hostile.planted import Planted
from tests.serve_with_faults import PROVOKE


def _spellings(secret: str) -> str:
    """As a careless provider might say it back."""
    coded = base64.b64encode(secret.encode()).decode()
    escaped = json.dumps(json.dumps({"api_key": secret}))
    return f"bad key {secret} ({quote(secret, safe='')}, {coded}, {escaped}, {secret[:-4]})"


class World:
    """A gateway that holds many secrets, and all that was said by it."""

    def __init__(self, folder: Path, provider: SimulatedProvider, form: str) -> None:
        self.planted = Planted()
        self.provider = provider
        mark = self.planted.mark
        self.keys = {
            "one": f"sk-ant-sim-{mark('the key of account one')}+/=",
            "odd": f"{mark('a key without a known form')}+/=",
        }
        self.client_key = f"hg_{mark('a client key')}"
        self.odd_client_key = f"{mark('a client key without a known form')}/+"
        self.admin_key = f"{mark('the admin key')}&="
        key_bytes = mark("the encryption key").ljust(32, "x").encode()
        self.gateway = Gateway(
            folder,
            provider=provider.url,
            accounts=[
                {"name": name, "api_key": key, "base_url": provider.url} for name, key in self.keys.items()
            ],
            settings={
                "access": {"api_keys": [self.client_key, self.odd_client_key], "client_auth": "required"},
                "admin": {"key": self.admin_key},
                "upstream": {"proxy": f"http://me:{mark('the password of a proxy')}@127.0.0.1:9"},
                "log": {"level": "debug", "sql": True, "format": form, "max_bytes": 100_000, "backups": 50},
            },
            environment={"HEADGATE_SECRET_KEY": base64.urlsafe_b64encode(key_bytes).decode()},
            is_faulty=True,
        )
        self.said: list[tuple[str, bytes]] = []

    def mark(self, what: str) -> str:
        return self.planted.mark(what)

    def hears(self, where: str, text: str | bytes) -> None:
        self.said.append((where, text.encode() if isinstance(text, str) else text))

    def asks(self, text: str = "hello", **how: Any) -> None:
        """As a client. A provider's own refusal is handed on as it came; what we say is looked at."""
        answer = message(self.gateway, text, **{"key": self.client_key, **how})
        is_event = answer.headers["content-type"].startswith("text/event-stream")
        if answer.headers.get("x-headgate-error") and not is_event and "code" in answer.json()["error"]:
            said = answer.content + repr(answer.headers).encode()
            self.hears(f"the answer {answer.status_code} to a client", said)

    def owner(self, method: str, path: str, body: Any = None) -> bytes:
        headers = {"x-dashboard-key": self.admin_key}
        sent = json.dumps(body).encode() if body is not None else None
        status, answer = self.gateway.ask(method, path, headers=headers, body=sent)
        self.hears(f"{method} {path}: {status}", answer)
        return answer

    def command(self, *arguments: str, stdin: str = "", **environment: str) -> None:
        ended = self.gateway.command(*arguments, stdin=stdin, **environment)
        assert "No such" not in ended.stderr
        self.hears(f"headgate {' '.join(arguments)}", ended.stdout + ended.stderr)

    def leaks(self) -> list[str]:
        """The sealed and the hashed form are all that may be kept."""
        self.hears("standard output and error", self.gateway.output_text())
        said = [found for where, data in self.said for found in self.planted.found_in(where, data)]
        return said + self.planted.found_in_files(self.gateway.folder, but=[self.gateway.config])


@contextmanager
def _world(folder: Path, provider: SimulatedProvider, form: str) -> Iterator[World]:
    world = World(folder, provider, form)
    with world.gateway:
        yield world


def _clients_of_all_kinds(world: World) -> None:
    """Good ones and wrong ones, keys in every place that is looked at, and in some that are not."""
    mark = world.mark
    world.asks(stream=True, headers={"cookie": f"session={mark('a cookie')}"})
    world.asks(key=world.odd_client_key, path=f"/v1/messages?beta=true&api_key={mark('a key in a query')}")
    world.asks(key=None, path=f"/v1/messages?key={quote(world.odd_client_key, safe='')}")
    world.asks(key=f"hg_{mark('a wrong client key')}")
    world.asks(key=None, path=f"/v1/messages?key={mark('a wrong key in a query')}")
    password = base64.b64encode(f"me:{mark('a basic password')}".encode()).decode()
    for credential in (
        f"Basic {password}",
        f"Bearer {mark('a bearer token')}",
        f"Bearer sk-ant-oat01-{mark('an OAuth token')}",
        f"{mark('an odd scheme')} x",
    ):
        world.asks(key=None, headers={"authorization": credential})
        world.asks(headers={"authorization": credential})
        world.gateway.ask("GET", "/api/accounts", headers={"authorization": credential})
    for body in ('{"model": 5, "api_key": "%s"}', '{"api_key": "%s", "model"', '["%s"]'):
        sent = (body % mark("a key in a body")).encode()
        status, answer = world.gateway.ask(
            "POST", "/v1/messages", headers={"x-api-key": world.client_key}, body=sent
        )
        world.hears(f"the answer {status} to a broken body", answer)


def _provider_that_says_it_back(world: World) -> None:
    """Refusals of every kind, and an error within a stream; then nobody is left to answer."""
    for name, key in world.keys.items():
        others = [other for other in world.keys if other != name]
        for other in others:
            world.owner("POST", f"/api/accounts/{other}/pause")
        for rule in (
            {"fault": "status", "status": 400},
            {"fault": "status", "status": 401},
            {"fault": "status", "status": 402},
            {"fault": "status", "status": 403},
            {"fault": "status", "status": 404},
            {"fault": "status", "status": 500},
            {"fault": "429", "limit": "bare"},
            {"fault": "error_first", "error": "overloaded_error"},
            {"fault": "error_mid", "event": 5},
        ):
            world.provider.script("*", rules=[rule | {"message": _spellings(key), "times": 3}])
            world.asks(stream=True)
            world.asks()
            world.owner("POST", f"/api/accounts/{name}/test")
            world.owner("POST", f"/api/accounts/{name}/resume")
        for other in others:
            world.owner("POST", f"/api/accounts/{other}/resume")


def _faults(world: World) -> None:
    """The stack trace holds what the provider said."""
    for name, key in world.keys.items():
        rule = {"fault": "status", "status": 400, "message": f"{PROVOKE} {_spellings(key)}"}
        world.provider.script("*", rules=[rule])
        world.asks(headers={"x-headgate-account": name})
    world.provider.script("*", rules=[])


def _own_credentials(world: World) -> None:
    """Nobody else can serve, and the provider refuses the caller's own credential by name."""
    for name in world.keys:
        world.owner("POST", f"/api/accounts/{name}/pause")
    token = f"sk-ant-oat01-{world.mark('a forwarded token')}"
    rule = {"fault": "status", "status": 401, "message": _spellings(token)}
    world.provider.script("*", rules=[rule])
    message(world.gateway, key=world.client_key, headers={"authorization": f"Bearer {token}"})
    world.provider.script("*", rules=[])
    for name in world.keys:
        world.owner("POST", f"/api/accounts/{name}/resume")


def _owners(world: World) -> None:
    """What is right, what is wrong, and what is there already."""
    key = f"sk-ant-sim-{world.mark('a key that is added')}"
    world.owner("POST", "/api/accounts", {"name": "added", "api_key": key})
    world.owner("POST", "/api/accounts", {"name": "again", "api_key": key})
    wrong = f"sk-ant-{world.mark('a key in a wrong request')}"
    world.owner("POST", "/api/accounts", {"name": "a/b", "api_key": wrong, "priority": "high"})
    world.owner("POST", "/api/accounts", {"name": "x", "api_key": [wrong]})
    world.owner("POST", "/api/accounts", {"name": "x", "apikey": wrong})
    world.owner("POST", "/api/accounts/added/reauth", {"api_key": f"{world.mark('a new key')}\n x"})
    world.owner("PATCH", "/api/accounts/added", {"api_key": world.mark("a key in a patch"), "weight": -1})
    for path in (
        "health",
        "status",
        "api/accounts",
        "api/accounts/one",
        "api/requests?limit=500",
        "api/logs?limit=9000",
    ):
        world.owner("GET", f"/{path}")
    for row in json.loads(world.owner("GET", "/api/requests?limit=500"))["requests"]:
        world.owner("GET", f"/api/requests/{row['id']}")
    world.gateway.ask("GET", "/status", headers={"x-management-key": world.mark("a wrong admin key")})


def _commands(world: World) -> None:
    """On the running gateway, and on settings that are wrong around a secret."""
    key = f"sk-ant-sim-{world.mark('a key from standard input')}"
    add = ("account", "add", "cli", "--api-key-stdin")
    world.command(*add, stdin=key)
    world.command(*add, stdin=key)
    world.command("account", "add", "b", "--api-key-stdin", stdin=f"{world.mark('half a key')}\nmore\n")
    world.command("account", "add", "c", "--provider", "nobody", "--api-key-stdin", stdin=key)
    for shown in (
        "account list --json",
        "account show one --json",
        "account test one",
        "status --json",
        "requests --json --limit 500",
        "logs --lines 10000 --json",
        "config show --json",
        "config show",
        "config get admin.key",
        "config check",
    ):
        world.command(*shown.split())


def _wrong_settings(world: World) -> None:
    """Whatever is wrong with a file or a variable, the complaint does not quote a secret."""
    bad = world.gateway.folder / "bad.yaml"
    for text in (
        "admin: {key: [%s]}\n",
        "admin:\n  key: %s\n   indented: wrong\n",
        "admin: {key: '%s\n",
        "accounts:\n  - {name: a, provider: anthropic, api_key: {x: %s}}\n",
        "accounts:\n  - {name: a, api_key: %s, priority: high}\n",
        "accounts:\n  - {name: a, apikey: %s}\n",
        "access: {api_keys: {a: %s}}\n",
        "access: {api_keys: %s, client_auth: maybe}\n",
        "storage: {url: 'nosuch://me:%s@127.0.0.1/x'}\n",
        "upstream: {proxy: 'gopher://me:%s@127.0.0.1'}\n",
        "upstream: {proxy: 'http://me:%s@'}\n",
        "admin: %s\n",
        "admin_key: sk-ant-%s\n",
    ):
        bad.write_text(text % world.mark(f"a secret in {text!r}"))
        bad.chmod(0o600)
        command = ["config", "check", "--config", str(bad)]
        ended = starts.run(command, folder=Path.cwd(), environment=world.gateway.environment)
        assert b"No such" not in ended.stderr
        world.hears(f"headgate config check with {text!r}", ended.stdout + ended.stderr)
        bad.unlink()
    for variable, value in (
        ("DATABASE_URL", "postgresql://me:%s@127.0.0.1:9/x"),
        ("DATABASE_URL", "nosuch://me:%s@127.0.0.1:9/x"),
        ("HEADGATE_SECRET_KEY", "%s"),
        ("HEADGATE_ACCESS__API_KEYS", '["%s"'),
        ("HEADGATE_ACCOUNTS", '[{"name": "a", "api_key": "%s"'),
        ("HEADGATE_ADMIN__KEYS", "%s"),
    ):
        secret = value % world.mark(f"a secret in {variable}={value}")
        world.command("db", "upgrade", **{variable: secret})


LOGGED: tuple[Callable[[World], None], ...] = (
    _clients_of_all_kinds,
    _provider_that_says_it_back,
    _faults,
    _own_credentials,
    _owners,
)
PRINTED = (_commands, _wrong_settings)


@pytest.mark.parametrize(
    ("form", "stories"),
    [
        pytest.param("pretty", (*LOGGED, *PRINTED), id="log in lines"),
        pytest.param("json", LOGGED, id="log in JSON"),
    ],
)
def test_no_secret_is_written_or_said(
    tmp_path: Path, provider: SimulatedProvider, form: str, stories: tuple[Callable[[World], None], ...]
) -> None:
    """Secrets in every place where one can come from → only sealed and hashed forms are kept, none is said

    Searched plain and in base64; URL-encoding changes none of the marks.
    """
    with _world(tmp_path, provider, form) as world:
        for story in stories:
            story(world)
        world.gateway.stop(expect_code=0)
        leaks = world.leaks()
    assert leaks == [], "\n".join(leaks)
