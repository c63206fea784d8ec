"""The client keys of the settings in the other gateway's forms: `/v0/management/api-keys`."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings
from tests.admin.conftest import ADMIN_KEY, with_key

KEYS = "/v0/management/api-keys"


def digest(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def shown(*keys: str) -> list[str]:
    return [digest(key)[:15] + "…" for key in keys]


async def listed(client: httpx.AsyncClient) -> list[str]:
    keys: list[str] = (await client.get(KEYS)).json()["api-keys"]
    return keys


async def test_the_forms_of_the_other_gateway(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """A list, `items`, a place, an old key and its new one; what comes out is never a key."""
    ok = {"status": "ok", "persisted": True, "warnings": []}
    assert await listed(manager) == []
    assert (await manager.put(KEYS, json=[" a ", "b", "a", ""])).json() == ok
    assert await listed(manager) == shown("a", "b")
    assert owner.settings.access.api_keys == (digest("a"), digest("b"))
    assert (await manager.put(KEYS, json={"items": ["a", "b", "c"]})).json() == ok
    for change, keys in (
        ({"index": 1, "value": "B"}, "aBc"),
        ({"old": "a", "new": "A"}, "ABc"),
        ({"old": "nobody's", "new": "d"}, "ABcd"),
        ({"old": shown("B")[0], "new": digest("b")}, "Abcd"),
        ({"index": 0, "value": "c"}, "cbd"),
    ):
        assert (await manager.patch(KEYS, json=change)).json() == ok
        assert await listed(manager) == shown(*keys)
    for query, keys in (({"index": 0}, "bd"), ({"value": " d "}, "b"), ({"value": shown("b")[0]}, "")):
        answer = (await manager.delete(KEYS, params=query)).json()
        assert (answer["status"], bool(answer["warnings"])) == ("ok", not keys)
        assert await listed(manager) == shown(*keys)
    assert load_settings({}, {}, tmp_path / "config.yaml").settings.access.api_keys == ()


async def test_what_was_read_can_be_sent_back(owner: Owner, tmp_path: Path) -> None:
    """With one more key, as scripts do it: the others stay as they stand in the file."""
    (tmp_path / "key").write_text("from a file\n")
    lines = f"access:\n  api_keys:\n    - hg_first  # the laptop's\n    - file:{tmp_path / 'key'}\n"
    async with with_key(owner, lines) as client:
        assert (await client.put(KEYS, json=[*await listed(client), "third"])).status_code == 200
        assert await listed(client) == shown("hg_first", "from a file", "third")
    text = (tmp_path / "config.yaml").read_text()
    assert lines in text
    assert digest("third") in text
    assert "from a file" not in text


async def test_two_at_once_are_both_there(manager: httpx.AsyncClient) -> None:
    """Each reads what the other has written."""
    adding = [manager.patch(KEYS, json={"old": "-", "new": f"key{n}"}) for n in range(8)]
    assert {answer.status_code for answer in await asyncio.gather(*adding)} == {200}
    assert sorted(await listed(manager)) == sorted(shown(*(f"key{n}" for n in range(8))))


async def test_entries_out_of_the_environment_are_not_written_away(owner: Owner, tmp_path: Path) -> None:
    """The file would hold their digests from then on: that is the owner's to decide."""
    file = tmp_path / "config.yaml"
    async with with_key(owner) as client:
        for setting in (
            'access: {api_keys: ["${LAPTOP}"]}',
            'api-keys: ["${LAPTOP}"]',
            'access: {api_keys: "${LAPTOP}"}',
        ):
            text = f"admin: {{key: {ADMIN_KEY}}}\n{setting}\n"
            file.write_text(text)
            owner.configuration.loaded = load_settings({}, {"LAPTOP": "hg_laptop"}, file)
            assert await listed(client) == shown("hg_laptop")
            refused = await client.put(KEYS, json=["another"])
            assert (refused.status_code, refused.json()["code"]) == (400, "invalid_setting")
            assert file.read_text() == text


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_wrong_body_changes_nothing(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path, method: str
) -> None:
    """It is a problem with status 400, or 404 for a key that is not there, and names no key."""
    await manager.put(KEYS, json=["hg_s3cret"])
    before, text = owner.settings, (tmp_path / "config.yaml").read_text()
    wrong: list[Any] = [
        *({}, [1], {"items": "hg_s3cret"}, {"items": [None]}, "hg_s3cret", 7, None, [["hg_s3cret"]]),
        *(["a"] * 10_001, ["x" * 5000], ["file:/etc/passwd"], ["${HOME}"], ["a\nb"], ["a\0b"], ["\ud800"]),
        *(
            {"index": 0},
            {"index": 7, "value": "a"},
            {"index": -1, "value": "a"},
            {"index": "0", "value": "a"},
        ),
        *({"index": 10**30, "value": "a"}, {"index": True, "value": "a"}, {"index": 0, "value": " "}),
        *({"old": "a"}, {"old": None, "new": "a"}, {"old": "hg_s3cret", "new": 7}, {"old": "a", "new": ""}),
        *(["sha256:12345678…"], ["sha256:xyz"], ["***"], {"old": "a", "new": "***"}),
    ]
    for one in wrong:
        is_list = method == "PATCH" and isinstance(one, list)
        body = {"old": "hg_s3cret", "new": one[0] if len(one) == 1 else None} if is_list else one
        answer = await manager.request(method, KEYS, content=json.dumps(body))
        assert answer.status_code in (400, 404), (body, answer.text)
        assert "s3cret" not in answer.text
    for query in (
        {},
        {"index": 1},
        {"index": "a"},
        {"value": "a"},
        {"index": 0, "value": "a"},
        {"index": -1},
    ):
        assert (await manager.delete(KEYS, params=query)).status_code in (400, 404), query
    assert owner.settings is before
    assert (tmp_path / "config.yaml").read_text() == text


async def test_without_keys_it_does_not_listen_wide(owner: Owner, tmp_path: Path) -> None:
    """The last one stays where everybody could call."""
    async with with_key(owner, "server: {host: 0.0.0.0}\naccess: {api_keys: [a]}\n") as client:
        answer = await client.delete(KEYS, params={"index": 0})
        assert (answer.status_code, "Refusing to listen" in answer.json()["detail"]) == (400, True)
        assert await listed(client) == shown("a")
