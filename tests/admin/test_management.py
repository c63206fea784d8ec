"""`/v0/management/config` and `config.yaml`: all settings at once."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings
from headgate.config.settings import Settings
from headgate.errors import SettingsNotApplied
from tests.admin.conftest import ADMIN_KEY, with_key

YAML = "/v0/management/config.yaml"
FILE = """\
access: {api_keys: [hg_s3cret]}  # mine
upstream: {proxy: "http://me:s3cret@127.0.0.1:3128"}
accounts: [{name: one, provider: anthropic, api_key: sk-s3cret}]
"""


async def test_everything_by_both_names_and_no_secret(owner: Owner) -> None:
    """The other gateway's names, then all of ours."""
    async with with_key(owner, FILE + "log: {level: debug, file: ''}\n") as client:
        answer = await client.get("/v0/management/config")
    config = answer.json()
    settings = config.pop("headgate")
    digits = owner.settings.access.api_keys[0][:15]
    assert config == {
        "debug": True,
        "logging-to-file": False,
        "usage-statistics-enabled": True,
        "request-retry": 2,
        "proxy-url": "http://***@127.0.0.1:3128",
        "routing": {"strategy": "session"},
        "api-keys": [f"{digits}…"],
    }
    assert (settings["server.port"], settings["admin.key"]) == (8080, "***")
    assert "s3cret" not in answer.text
    assert ADMIN_KEY not in answer.text


async def test_the_file_goes_out_masked_and_comes_back_whole(owner: Owner, tmp_path: Path) -> None:
    """With another value in it, and its comments."""
    async with with_key(owner, FILE) as client:
        shown = await client.get(YAML)
        assert (shown.headers["content-type"], shown.headers["cache-control"]) == (
            "application/yaml",
            "no-store",
        )
        assert "s3cret" not in shown.text
        assert shown.text.count("# mine") == 1
        before = owner.settings
        answer = await client.put(YAML, content=shown.text + "retry: {attempts: 7}\nserver: {port: 9}\n")
    assert answer.json() == {
        "ok": True,
        "changed": ["config"],
        "persisted": True,
        "warnings": ["server.port: a running gateway needs a restart for it"],
        "settings": ["retry.attempts"],
        "needs_restart": ["server.port"],
    }
    assert owner.settings.retry.attempts == 7
    loaded = load_settings({}, {}, tmp_path / "config.yaml").settings
    assert (loaded.access, loaded.accounts, loaded.admin) == (before.access, before.accounts, before.admin)
    assert "# mine" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"retry: [1", "line 1, column 10"),
        (b"retry: {attempts: 0, delay_ms: s3cret}", "retry.delay_ms"),
        (b"retri: {}", "did you mean retry?"),
        (b"[]", "expected sections"),
        (b'"text"', "expected sections"),
        (b"access: {api_keys: ['***']}", "stands for a secret"),
        (b"accounts: [{name: two, provider: anthropic, api_key: '***'}]", "stands for a secret"),
        (b"a: &a [*a]", "stands for more than"),
        (b"a: " + b"[" * 5000, "nests deeper"),
        (b'admin: {key: "a\\0b"}', "NUL"),
        (b"retry: {attempts: \0}", ""),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"server: {host: 0.0.0.0}\nadmin: {key: k}", "Refusing to listen"),
    ],
)
async def test_a_wrong_text_changes_nothing(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path, body: bytes, words: str
) -> None:
    """It is a 400 that says what and where, and no value."""
    text, before = (tmp_path / "config.yaml").read_text(), owner.settings
    answer = await manager.put(YAML, content=body)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["detail"]
    assert "s3cret" not in answer.text
    assert (tmp_path / "config.yaml").read_text() == text
    assert owner.settings is before


async def test_a_file_that_is_broken_is_replaced_not_shown(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """Nobody can tell what in it is secret; a whole text mends it."""
    path = tmp_path / "config.yaml"
    path.write_text("admin: {key: s3cret")
    shown = await manager.get(YAML)
    assert (shown.status_code, "s3cret" in shown.text) == (400, False)
    answer = await manager.put(YAML, content=f"admin: {{key: {ADMIN_KEY}}}\nretry: {{attempts: 5}}\n")
    assert (answer.status_code, answer.json()["settings"]) == (200, ["retry.attempts"])
    assert owner.configuration.failure is None
    path.unlink()
    assert (await manager.get(YAML)).status_code == 404
    answer = await manager.put(YAML, content=f"admin: {{key: {ADMIN_KEY}}}\n")
    assert (answer.json()["persisted"], path.stat().st_mode & 0o777) == (True, 0o600)


async def test_what_cannot_be_applied_is_put_back(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """The file too."""

    async def fail(_: Settings) -> None:
        raise RuntimeError("no")

    owner.configuration._apply = fail
    text = (tmp_path / "config.yaml").read_text()
    answer = await manager.put(YAML, content=text + "retry: {attempts: 5}\n")
    assert (answer.status_code, answer.json()["code"]) == (409, SettingsNotApplied.code)
    assert (tmp_path / "config.yaml").read_text() == text
    assert owner.settings.retry.attempts == 3


async def test_a_file_that_cannot_be_written(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """F6: all of it holds in this process, also what the text leaves out; the environment stays stronger."""
    await manager.put("/api/config", json={"retry.attempts": 6, "retry.delay_ms": 6})
    loaded = load_settings({}, {"RETRY_BACKOFF": "3"}, tmp_path / "config.yaml")
    blocked = replace(loaded, path=tmp_path / "config.yaml" / "x.yaml")
    owner.configuration.loaded = blocked
    text = f"""\
admin: {{key: {ADMIN_KEY}}}
retry: {{delay_ms: 7, backoff: 5}}
accounts: [{{name: one, provider: anthropic, api_key: sk-one, weight: 3}}]
providers: {{anthropic: {{base_url: https://api.example.com}}}}
models: {{aliases: [{{alias: a, model: b}}]}}
"""
    answer = (await manager.put(YAML, content=text)).json()
    assert (answer["persisted"], answer["warnings"]) == (
        False,
        ["not saved: the settings file cannot be written"],
    )
    wanted = load_settings({}, {"RETRY_BACKOFF": "3"}).origin.examine(text).or_raise().settings
    assert owner.settings == wanted
    assert (wanted.retry.attempts, wanted.retry.delay_ms, wanted.retry.backoff) == (3, 7, 3.0)
    view = (await manager.get("/api/config")).json()
    unsaved = {"retry.attempts", "retry.delay_ms", "accounts", "providers", "models.aliases"}
    assert set(view["unsaved"]) == unsaved
    assert (await manager.post("/api/config/reload")).status_code == 200
    assert owner.settings == wanted
