"""The auth folder in the other gateway's forms: `/v0/management/auth-files`."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.sources.sources import Sources
from tests.admin.conftest import with_key

FILES = "/v0/management/auth-files"


def sign_in(token: str = "s3cret", **fields: Any) -> dict[str, Any]:
    return {"type": "claude", "access_token": token, "email": "ann@example.com", **fields}


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auths"


@pytest.fixture
async def keeper(owner: Owner, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The manager of a gateway that has an auth folder."""
    async with with_key(owner, f"sources: {{auth_dir: '{folder}'}}\n") as client:
        owner.sources = Sources(owner.settings.sources, owner.accounts, owner.pool, owner.clock)
        await owner.sources.open()
        owner.sources.begin()
        yield client
        await owner.sources.close()


async def test_a_file_comes_pauses_and_goes(keeper: httpx.AsyncClient, owner: Owner, folder: Path) -> None:
    """And its account with it; no answer has a token."""
    put = await keeper.post(FILES, params={"name": "claude-ann.json"}, json=sign_in())
    assert (put.status_code, put.json()) == (200, {"status": "ok"})
    assert (folder / "claude-ann.json").stat().st_mode & 0o777 == 0o600
    answer = await keeper.get(FILES)
    (file,) = answer.json()["files"]
    assert "s3cret" not in answer.text
    assert {
        name: file[name] for name in ("id", "name", "type", "provider", "label", "status", "account")
    } == {
        **{"id": "claude-ann.json", "name": "claude-ann.json", "type": "claude", "provider": "claude"},
        **{"label": "ann@example.com", "status": "active", "account": "claude-ann"},
    }
    assert (file["disabled"], file["unavailable"], file["source"], file["success"]) == (
        False,
        False,
        "file",
        0,
    )
    for disabled, status in ((True, "disabled"), (False, "active")):
        switched = await keeper.patch(
            f"{FILES}/status", json={"name": "claude-ann.json", "disabled": disabled}
        )
        assert switched.json() == {"status": "ok", "disabled": disabled}
        (file,) = (await keeper.get(FILES, params={"name": "claude-ann.json"})).json()["files"]
        assert (file["status"], file["disabled"]) == (status, disabled)
        assert owner.pool.living["claude-ann"].account.paused is disabled
    assert (await keeper.get(FILES, params={"name": "other.json"})).json() == {"files": []}
    gone = await keeper.delete(FILES, params={"name": "claude-ann.json"})
    assert (gone.json(), names_in(folder)) == ({"status": "ok"}, [])
    again = await keeper.delete(FILES, params={"name": "claude-ann.json"})
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


async def test_several_at_once(keeper: httpx.AsyncClient, folder: Path) -> None:
    """As a form; what fails is named, and the others are done."""
    files = {
        "a.json": sign_in("token-a"),
        "b.json": sign_in("token-b"),
        "twin.json": sign_in("token-a"),
        "gemini.json": {"type": "gemini", "token": "s3cret"},
        "wrong.json": {"type": "claude"},
        "../x.json": sign_in("token-x"),
    }
    form = [("file", (name, json.dumps(content))) for name, content in files.items()]
    answer = await keeper.post(FILES, files=form)
    done = answer.json()
    assert (answer.status_code, done["status"], done["uploaded"]) == (207, "partial", 4)
    assert [one["name"] for one in done["failed"]] == ["wrong.json", "../x.json"]
    assert "access_token is missing" in done["failed"][0]["error"]
    assert "sign-ins of the type 'gemini' do not serve here" in done["warnings"][0]
    assert any("twin" in words and "same" in words for words in done["warnings"]), done["warnings"]
    assert names_in(folder) == ["a.json", "b.json", "gemini.json", "twin.json"]
    listed = {one["name"]: one["status"] for one in (await keeper.get(FILES)).json()["files"]}
    assert listed == {
        "a.json": "active",
        "b.json": "active",
        "gemini.json": "unknown",
        "twin.json": "unknown",
    }
    answer = await keeper.request("DELETE", FILES, json={"names": ["twin.json", "gone.json"]})
    assert (answer.status_code, answer.json()["deleted"], answer.json()["files"]) == (207, 1, ["twin.json"])
    answer = await keeper.delete(FILES, params={"name": ["a.json", "b.json"]})
    assert answer.json() == {"status": "ok", "deleted": 2, "files": ["a.json", "b.json"]}
    answer = await keeper.delete(FILES, params={"all": "true"})
    assert answer.json() == {"status": "ok", "deleted": 1, "files": ["gemini.json"]}
    assert names_in(folder) == []


async def test_wrong_questions_change_nothing(keeper: httpx.AsyncClient, folder: Path) -> None:
    """Each is a problem; nothing comes near another folder."""
    await keeper.post(FILES, params={"name": "a.json"}, json=sign_in())
    text = (folder / "a.json").read_text()
    posts: list[tuple[str, bytes, str]] = [
        ("", b"{}", "application/json"),
        ("?name=", b"{}", "application/json"),
        ("?name=a.json", b"", "application/json"),
        ("?name=a.json", b"{", "application/json"),
        ("?name=a.json", b"[" * 100_000, "application/json"),
        ("?name=a.json", b'{"type": "claude", "access_token": "\\u0000"}', "application/json"),
        ("?name=a.json", b'{"type": "claude", "access_token": "\\ud800"}', "application/json"),
        ("?name=a.json", b"\xff", "application/json"),
        ("?name=a.json", b"x", "multipart/form-data"),
        ("?name=a.json", b"x", "multipart/form-data; boundary=b"),
        ("?name=..%2Fb.json", json.dumps(sign_in()).encode(), "application/json"),
        ("?name=%2Ftmp%2Fb.json", json.dumps(sign_in()).encode(), "application/json"),
        ("?name=b%00.json", json.dumps(sign_in()).encode(), "application/json"),
        ("?name=b%FF%0A.json", json.dumps(sign_in()).encode(), "application/json"),
        ("?name=" + "b" * 2000 + ".json", json.dumps(sign_in()).encode(), "application/json"),
    ]
    for query, content, kind in posts:
        answer = await keeper.post(FILES + query, content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["status"]) == (400, 400), (query, content[:40], answer.text)
    for body in (b"", b"{", b"{}", b"[7]", b'{"name": "../a.json"}', b'{"names": "a.json"}', b"[" * 100_000):
        answer = await keeper.request("DELETE", FILES, content=body)
        assert answer.status_code == 400, (body[:40], answer.text)
    for query in ("?all=yes", "?all=", "?name=", "?name=..%2Fa.json", "?name=.a.json"):
        assert (await keeper.delete(FILES + query)).status_code == 400, query
    wrong = [{}, [], {"name": "a.json"}, {"name": 7, "disabled": True}, {"name": "a.json", "disabled": "no"}]
    for switch in (*wrong, {"name": "../a.json", "disabled": True}):
        assert (await keeper.patch(f"{FILES}/status", json=switch)).status_code == 400, switch
    answer = await keeper.post(FILES, params={"name": "b.json"}, content=b"x" * (1 << 20 | 1))
    assert answer.status_code == 413
    assert names_in(folder) == ["a.json"]
    assert (folder / "a.json").read_text() == text


async def test_files_are_not_given_out(keeper: httpx.AsyncClient) -> None:
    """They hold tokens; a sealed export does not show them."""
    await keeper.post(FILES, params={"name": "a.json"}, json=sign_in())
    answer = await keeper.get(f"{FILES}/download", params={"name": "a.json"})
    assert (answer.status_code, answer.json()["code"]) == (501, "not_offered")
    assert "headgate account export" in answer.json()["hint"]


async def test_without_a_folder_it_is_said(manager: httpx.AsyncClient) -> None:
    """And how to have one."""
    for method, path in (("GET", ""), ("POST", "?name=a.json"), ("DELETE", "?all=1"), ("PATCH", "/status")):
        answer = await manager.request(method, FILES + path, json={"name": "a.json", "disabled": True})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "sources.auth_dir" in answer.json()["hint"]


async def test_a_folder_that_is_away_is_said(keeper: httpx.AsyncClient, folder: Path) -> None:
    """With its path and the system's word for it."""
    await asyncio.to_thread(folder.rmdir)
    for method, path in (("GET", ""), ("POST", "?name=a.json"), ("DELETE", "?all=1")):
        answer = await keeper.request(method, FILES + path, json=sign_in())
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")
        assert "No such file or directory" in answer.json()["detail"]
