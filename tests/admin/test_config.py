"""`/api/config`: shown, changed, loaded again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings


async def value(client: httpx.AsyncClient, path: str) -> Any:
    settings = (await client.get("/api/config")).json()["settings"]
    return next(one for one in settings if one["path"] == path)["value"]


async def test_a_change_is_in_force_and_in_the_file(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """Several at once; a list is one value."""
    wanted = {"retry.attempts": 7, "access.api_keys": ["hg_s3cret"]}
    answer = await client.put("/api/config", json=wanted)
    assert answer.json() == {
        "changed": ["retry.attempts", "access.api_keys"],
        "persisted": True,
        "needs_restart": [],
        "warnings": [],
    }
    assert await value(client, "retry.attempts") == 7
    assert load_settings({}, {}, tmp_path / "config.yaml").settings.retry.attempts == 7
    assert "s3cret" not in (await client.get("/api/config")).text


async def test_what_needs_a_restart_says_so_and_waits(client: httpx.AsyncClient) -> None:
    """The file has it for the next start."""
    answer = (await client.put("/api/config", json={"server.port": 9, "retry.attempts": 4})).json()
    assert (answer["needs_restart"], answer["changed"]) == (["server.port"], ["retry.attempts"])
    assert await value(client, "server.port") == 8080
    (notice,) = [
        one for one in (await client.get("/health")).json()["troubles"] if one["code"] == "restart_needed"
    ]
    assert "server.port" in notice["reason"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"retry.attemps": 4}, "did you mean retry.attempts?"),
        ({"retry.attempts": 4, "retry.delay_ms": "s3cret"}, "retry.delay_ms"),
        ({"accounts": []}, "accounts are a list"),
        ([], ""),
        ("x", ""),
    ],
)
async def test_a_wrong_change_changes_nothing(
    client: httpx.AsyncClient, tmp_path: Path, body: Any, words: str
) -> None:
    """All of it or none of it, and no value in the answer."""
    answer = await client.put("/api/config", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert "s3cret" not in answer.text
    assert not (tmp_path / "config.yaml").exists()


async def test_a_reload_takes_the_file_over(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """And leaves everything as it was when it is wrong."""
    path = tmp_path / "config.yaml"
    path.write_text("retry: {attempts: 5}\n")
    assert (await client.post("/api/config/reload")).json()["changed"] == ["retry.attempts"]
    path.write_text("retry: {attempts: 0}\n")
    refused = await client.post("/api/config/reload")
    assert refused.status_code == 400
    assert "line 1, column 19" in refused.json()["detail"]
    view = (await client.get("/api/config")).json()
    assert "retry.attempts" in view["failure"]
    assert await value(client, "retry.attempts") == 5
    path.write_text("retry: {attempts: 5}\n")
    assert (await client.post("/api/config/reload")).json()["changed"] == []
    assert (await client.get("/api/config")).json()["failure"] is None


async def test_an_unsaved_change_outlives_a_reload(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """F6: it holds as long as the process; saving it later makes it last."""
    (tmp_path / "file").touch()
    good = owner.configuration.loaded.path
    owner.configuration.loaded = replace(owner.configuration.loaded, path=tmp_path / "file" / "x.yaml")
    answer = (await client.put("/api/config", json={"retry.attempts": 6})).json()
    assert (answer["persisted"], answer["warnings"]) == (
        False,
        ["not saved: the settings file cannot be written"],
    )
    await client.post("/api/config/reload")
    view = (await client.get("/api/config")).json()
    assert (await value(client, "retry.attempts"), view["unsaved"]) == (6, ["retry.attempts"])
    owner.configuration.loaded = replace(owner.configuration.loaded, path=good)
    assert (await client.put("/api/config", json={"retry.attempts": 6})).json()["persisted"]
    assert (await client.get("/api/config")).json()["unsaved"] == []


@pytest.mark.parametrize("loss", [lambda path: path.unlink(), lambda path: path.write_text("\n")])
async def test_a_file_that_is_lost_takes_nothing_away(
    client: httpx.AsyncClient, tmp_path: Path, loss: Any
) -> None:
    """Keys and accounts stand in it; a comment is enough to mean it."""
    path = tmp_path / "config.yaml"
    path.write_text("retry: {attempts: 5}\n")
    await client.post("/api/config/reload")
    loss(path)
    refused = await client.post("/api/config/reload")
    assert refused.status_code == 400
    assert (await client.put("/api/config", json={"retry.delay_ms": 5})).status_code == 400
    assert await value(client, "retry.attempts") == 5
    path.write_text("# all defaults\n")
    assert (await client.post("/api/config/reload")).json()["changed"] == ["retry.attempts"]


@pytest.mark.parametrize(
    "text", ["\ud800", "\x00", "a\nb: c", "&x", "*x", "!x", "? x", "\u2028", "\x85", "%"]
)
async def test_no_text_breaks_the_file(client: httpx.AsyncClient, tmp_path: Path, text: str) -> None:
    """It is refused, or it comes back as it was sent."""
    answer = await client.put(
        "/api/config", content=json.dumps({"admin.key": text, "models.excluded": [text]})
    )
    assert answer.status_code in (200, 400)
    path = tmp_path / "config.yaml"
    if answer.status_code == 200:
        settings = load_settings({}, {}, path).settings
        assert settings.admin.key is not None
        assert settings.admin.key.get_secret_value() == text.strip()
        assert settings.models.excluded == (text,)


async def test_the_log_names_an_account_once(
    client: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by a dozen paths with a number."""
    caplog.set_level("INFO", "headgate.config")
    file, one = tmp_path / "config.yaml", "{name: one, provider: anthropic, api_key: sk-a"
    for text, words in (
        (f"accounts: [{one}}}]\n", "account one added"),
        (f"accounts: [{one}, weight: 2}}]\n", "account one changed"),
        ("accounts: []  # none\n", "account one removed"),
    ):
        file.write_text(text)
        caplog.clear()
        assert (await client.post("/api/config/reload")).status_code == 200
        assert [one for one in caplog.messages if "reloaded" in one] == [
            f"Settings reloaded, changed: {words}"
        ]
