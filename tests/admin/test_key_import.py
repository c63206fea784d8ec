"""Client keys that were given out elsewhere."""

import hashlib
from pathlib import Path
from typing import Any

import httpx

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings


def key(name: str) -> dict[str, str]:
    return {"name": name, "digest": "sha256:" + hashlib.sha256(name.encode()).hexdigest()}


async def ask(client: httpx.AsyncClient, *names: str, **options: Any) -> dict[str, Any]:
    answer = await client.post("/api/import/keys", json={"keys": [key(one) for one in names], **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_they_join_those_that_are_here(client: httpx.AsyncClient, owner: Owner) -> None:
    """The file keeps what stands in it, comments too; once more changes nothing."""
    file = owner.configuration.loaded.path
    file.write_text("access:\n  api_keys:\n    - hg_first  # the laptop's\n    - sha256:" + "0" * 64 + "\n")
    await owner.reload_settings()
    tried = await ask(client, "one", "two", dry_run=True)
    assert (tried["added"], len(owner.settings.access.api_keys)) == (["one", "two"], 2)
    done = await ask(client, "one", "two", "one")
    assert (done["added"], done["persisted"], done["warnings"]) == (["one", "two"], True, [])
    assert owner.settings.access.api_keys[2:] == (key("one")["digest"], key("two")["digest"])
    text = file.read_text()
    assert "- hg_first  # the laptop's\n" in text
    again = await ask(client, "two", "hg_first")
    assert (again["added"], again["unchanged"]) == ([], ["two", "hg_first"])
    assert file.read_text() == text


async def test_the_first_ones_make_the_list(client: httpx.AsyncClient, owner: Owner) -> None:
    """From then on a key is asked for."""
    assert (await ask(client, "one"))["added"] == ["one"]
    assert owner.settings.access.api_keys == (key("one")["digest"],)


async def test_entries_out_of_the_environment_are_not_written_away(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """The file would hold their digests from then on: that is the owner's to decide."""
    file = tmp_path / "config.yaml"
    text = 'access: {api_keys: ["${LAPTOP}"]}\n'
    file.write_text(text)
    owner.configuration.loaded = load_settings({}, {"LAPTOP": "hg_laptop"}, file)
    refused = await client.post("/api/import/keys", json={"keys": [key("one")]})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_setting")
    assert file.read_text() == text


async def test_what_is_no_digest_is_refused(client: httpx.AsyncClient) -> None:
    """Above all a key in clear."""
    for digest in ("hg_clear", "sha256:x", "sha256:" + "A" * 64):
        answer = await client.post("/api/import/keys", json={"keys": [{"name": "a", "digest": digest}]})
        assert answer.status_code == 400
        assert "hg_clear" not in answer.text
