"""The strategy, shown and changed while the gateway runs."""

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.files import Position
from headgate.config.loading import Source
from tests.admin.conftest import Saved

ALL = ["session", "round-robin", "weighted", "least-requests"]


@pytest.mark.parametrize("name", ALL)
async def test_a_strategy_set_is_in_force_and_saved(
    client: httpx.AsyncClient, owner: Owner, saved: Saved, name: str
) -> None:
    """No restart; the settings file has it for the next one."""
    answer = await client.put("/api/strategy", json={"strategy": name})
    assert answer.json() == {"strategy": name, "available": ALL, "persisted": True, "warning": None}
    assert owner.pool.strategy == name
    assert saved.values == {"routing.strategy": name}
    assert (await client.get("/api/strategy")).json()["strategy"] == name


async def test_an_unknown_strategy_is_refused_and_the_old_one_stays(
    client: httpx.AsyncClient, owner: Owner, saved: Saved
) -> None:
    """`Invalid strategy: [name]`, with the valid ones."""
    answer = await client.put("/api/strategy", json={"strategy": "random"})
    assert answer.status_code == 400
    assert "Invalid strategy: random" in answer.json()["detail"]
    assert all(name in answer.text for name in ALL)
    assert (owner.pool.strategy, saved.values) == ("session", {})


async def test_a_file_that_cannot_be_written_is_said(client: httpx.AsyncClient, saved: Saved) -> None:
    """On a read-only mount the change holds until the next start, and the owner knows."""
    saved.is_writable = False
    answer = (await client.put("/api/strategy", json={"strategy": "weighted"})).json()
    assert (answer["strategy"], answer["persisted"]) == ("weighted", False)
    assert "not saved" in answer["warning"]


@pytest.mark.parametrize(
    ("source", "is_warned"),
    [
        (Source("environment variable LB_STRATEGY"), True),
        (Source("flag routing.strategy"), True),
        (Source("file config.yaml", Position(2, 3)), False),
    ],
)
async def test_what_is_stronger_than_the_file_is_said(
    client: httpx.AsyncClient, owner: Owner, source: Source, is_warned: bool
) -> None:
    """The gateway's own environment counts, not that of whoever asks; the change holds until the restart."""
    owner.sources = {"routing.strategy": source}
    answer = (await client.put("/api/strategy", json={"strategy": "weighted"})).json()
    assert owner.pool.strategy == "weighted"
    warning = answer["warning"] or ""
    assert (warning.startswith(source.description), "takes session again" in warning) == (is_warned,) * 2
    assert (await client.put("/api/strategy", json={"strategy": "session"})).json()["warning"] is None
