"""The strategy, shown and changed while the gateway runs."""

import logging
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings

ALL = ["session", "round-robin", "weighted", "least-requests", "fill-first", "headroom"]


@pytest.mark.parametrize("name", ALL)
async def test_a_strategy_set_is_in_force_and_saved(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path, name: str
) -> None:
    """No restart; the settings file has it for the next one."""
    answer = await client.put("/api/strategy", json={"strategy": name})
    assert answer.json() == {"strategy": name, "available": ALL, "persisted": True, "warning": None}
    assert owner.pool.strategy == name
    assert load_settings({}, {}, tmp_path / "config.yaml").settings.routing.strategy == name
    assert (await client.get("/api/strategy")).json()["strategy"] == name


async def test_a_change_is_one_line_of_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """From what to what; the same once more is none."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        await client.put("/api/strategy", json={"strategy": "weighted"})
    said = [one.message for one in caplog.records if "Strategy" in one.message]
    assert said == ["Strategy: session → weighted"]


async def test_an_unknown_strategy_is_refused_and_the_old_one_stays(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """`Invalid strategy: [name]`, with the valid ones."""
    answer = await client.put("/api/strategy", json={"strategy": "random"})
    assert answer.status_code == 400
    assert "Invalid strategy: random" in answer.json()["detail"]
    assert all(name in answer.text for name in ALL)
    assert owner.pool.strategy == "session"
    assert not (tmp_path / "config.yaml").exists()


async def test_a_file_that_cannot_be_written_is_said(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """On a read-only mount the change holds until the next start, and the owner knows."""
    _make_unwritable(owner, tmp_path)
    answer = (await client.put("/api/strategy", json={"strategy": "weighted"})).json()
    assert (answer["strategy"], answer["persisted"]) == ("weighted", False)
    assert "not saved" in answer["warning"]
    (notice,) = [one for one in (await client.get("/health")).json()["troubles"] if "saved" in one["code"]]
    assert "routing.strategy" in notice["reason"]


def _make_unwritable(owner: Owner, tmp_path: Path) -> None:
    """A file stands where the folder of the settings should be; that holds for root too."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.yaml"
    owner.configuration.loaded = replace(owner.configuration.loaded, path=path)


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({}, {"LB_STRATEGY": "round-robin"}, "environment variable LB_STRATEGY overrides"),
        ({"routing.strategy": "round-robin"}, {}, "flag routing.strategy overrides"),
        ({}, {}, ""),
    ],
)
async def test_what_is_stronger_than_the_file_is_said(
    client: httpx.AsyncClient,
    owner: Owner,
    tmp_path: Path,
    flags: dict[str, str],
    environ: dict[str, str],
    words: str,
) -> None:
    """The gateway's own environment counts, not that of whoever asks; the change holds until the restart."""
    owner.configuration.loaded = load_settings(flags, environ, tmp_path / "config.yaml")
    answer = (await client.put("/api/strategy", json={"strategy": "weighted"})).json()
    assert owner.pool.strategy == "weighted"
    assert (answer["warning"] or "").startswith(words)
    assert bool(answer["warning"]) == bool(words)
    again = (await client.put("/api/strategy", json={"strategy": "round-robin"})).json()
    assert again["warning"] is None
