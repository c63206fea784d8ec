"""`headgate account export` and `import`."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.moving import theirs


async def test_an_export_makes_the_same_accounts_elsewhere(headgate: Command, tmp_path: Path) -> None:
    """Keys too, when they are asked for; the file is the owner's alone and never written over."""
    await headgate.add("work", "--tier", "5", "--model", "a", "--model", "b: #c", "--domain", "t'e\"am")
    await headgate.add("spare")
    await headgate("account", "pause", "spare")
    file = tmp_path / "accounts.yaml"
    arguments = ("account", "export", "--plain", "--format", "yaml", "--output", str(file))
    written = await headgate(*arguments)
    assert (written.code, written.out) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    assert (await headgate(*arguments)).code == 1
    assert file.read_bytes() == before
    assert not any(name.endswith(".part") for name in await asyncio.to_thread(os.listdir, tmp_path))
    elsewhere = {"HEADGATE_DATA_DIR": str(tmp_path / "elsewhere")}
    tried = await headgate("account", "import", str(file), "--dry-run", **elsewhere)
    assert (tried.code, tried.out) == (0, "Would add: work, spare\n")
    taken = await headgate("account", "import", str(file), **elsewhere)
    assert (taken.code, taken.out) == (0, "Added: work, spare\n"), taken.err
    there = await headgate("account", "export", "--plain", **elsewhere)
    here = await headgate("account", "export", "--plain")
    assert there.out == here.out
    assert "sk-ant-sim-work" in here.out
    again = await headgate("account", "import", str(file), **elsewhere)
    assert again.out == "Unchanged: work, spare\n"


async def test_secrets_stay_where_they_are_unless_asked_for(headgate: Command) -> None:
    """And on a terminal they are asked about once more."""
    await headgate.add("work")
    assert "sk-ant" not in (await headgate("account", "export", "--no-secrets")).out
    for answer, code in (("n", 1), ("y", 0)):
        async with headgate.on_terminal("account", "export", "--plain") as terminal:
            await terminal.shows("Show every key in clear")
            assert "sk-ant" not in terminal.shown
            terminal.type(f"{answer}\n")
            assert await terminal.ended() == code
        assert ("sk-ant-sim-work" in terminal.shown) is (code == 0)


async def test_several_files_are_one_import(headgate: Command, tmp_path: Path) -> None:
    """From files and from a pipe; a conflict in one keeps out all, and each is named."""
    await headgate.add("work")
    first, second = tmp_path / "first.json", tmp_path / "second.yaml"
    first.write_text(json.dumps([{"name": "new", "api_key": "sk-ant-new"}]))
    second.write_text(
        "accounts:\n- {name: work, api_key: sk-ant-other}\n- {name: more, api_key: sk-ant-more}\n"
    )
    refused = await headgate("account", "import", str(first), str(second))
    assert (refused.code, refused.out) == (1, "")
    assert "work: there is an account of that name" in refused.err
    tried = await headgate("account", "import", str(first), str(second), "--dry-run")
    assert (tried.code, tried.out) == (1, "Would add: new, more\n")
    assert "work: there is an account of that name" in tried.err
    listed = (await headgate("account", "list", "--json")).json()
    assert [one["name"] for one in listed["accounts"]] == ["work"]
    piped = await headgate(*("account", "import", "-", str(second), "--replace"), stdin=first.read_bytes())
    assert (piped.code, piped.out) == (0, "Added: new, more\nChanged: work\n"), piped.err


@pytest.mark.parametrize(
    ("content", "code", "why"),
    [
        (b"{", 1, "line 1"),
        (b"accounts:\n  - name: [\n", 1, "line 3"),
        (b"\xff\xfe", 1, "not UTF-8"),
        (b"{}", 1, "no list `accounts`"),
        (b"just words", 1, "no list `accounts`"),
        (b"", 1, "no list `accounts`"),
        (b"[1]", 2, "accounts.0: "),
        (b'[{"name": "a b", "api_key": "sk"}]', 1, "a-b would do"),
        (b'[{"name": "a", "key": "sk"}]', 2, "accounts.0.key: "),
        (b'[{"name": "a", "api_key": "s k-very-secret"}]', 2, "accounts.0.api_key: "),
        (b"[" * 100_000, 1, "Failed to parse"),
        (b"accounts:\n  - {name: 2020-01-01, api_key: sk}\n", 1, "is a date: put it into quotes"),
        (b"accounts:\n  - {name: a, priority: .nan}\n", 1, "infinite, or none"),
        (b"accounts: &all\n  - {name: a, api_key: sk, models: *all}\n", 1, "refers to itself"),
        (b'[{"name": "a", "api_key": "sk", "models": ["\\ud800"]}]', 1, "half of a surrogate pair"),
        (None, 1, "No such file"),
    ],
)
async def test_what_is_no_export_is_refused_with_its_place(
    headgate: Command, tmp_path: Path, content: bytes | None, code: int, why: str
) -> None:
    """No stack trace, no secret said back, and nothing is made of half a file."""
    file = tmp_path / "accounts.json"
    if content is not None:
        file.write_bytes(content)
    outcome = await headgate("account", "import", str(file))
    assert (outcome.code, outcome.out) == (code, "")
    assert why in outcome.err
    assert "mend:" in outcome.err
    assert "very-secret" not in outcome.err


async def test_an_export_is_sealed_unless_that_is_waived(headgate: Command, tmp_path: Path) -> None:
    """Keys and tokens travel whole; the passphrase opens them, another one or none does not."""
    tokens = {"access_token": "sk-ant-oat-1", "refresh_token": "sk-ant-ort-1", "expires_at": 4e9}
    accounts = [
        {"name": "team", "oauth": {**tokens, "scopes": ["a b"]}},
        {"name": "key", "api_key": "sk-ant-k"},
    ]
    await headgate("account", "import", "-", stdin=json.dumps(accounts))
    file = tmp_path / "sealed.json"
    export = ("account", "export", "--output", str(file))
    assert (await headgate(*export)).code == 2
    short = await headgate(*export, "--passphrase-stdin", stdin="short\n")
    assert (short.code, "shorter than 8" in short.err) == (2, True)
    assert not file.exists()
    written = await headgate(*export, "--passphrase-stdin", stdin="a long passphrase\n")
    assert (written.code, written.out) == (0, ""), written.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert "sk-ant" not in file.read_text()
    elsewhere = {"HEADGATE_DATA_DIR": str(tmp_path / "elsewhere")}
    bring = ("account", "import", str(file))
    for given, code in (({}, 2), ({"HEADGATE_PASSPHRASE": "another passphrase"}, 1)):
        refused = await headgate(*bring, **elsewhere, **given)
        assert (refused.code, refused.out) == (code, "")
        assert "passphrase" in refused.err
        assert "Unknown environment variable" not in refused.err
    taken = await headgate(*bring, "--passphrase-stdin", stdin="a long passphrase\n", **elsewhere)
    assert (taken.code, taken.out) == (0, "Added: team, key\n"), taken.err
    again = await headgate(*bring, **elsewhere, HEADGATE_PASSPHRASE="a long passphrase")
    assert again.out == "Unchanged: team, key\n"
    there = await headgate("account", "export", "--plain", **elsewhere)
    assert there.out == (await headgate("account", "export", "--plain")).out
    assert there.json()["accounts"][0]["oauth"] == {**tokens, "scopes": ["a b"]}


async def test_a_plain_export_can_be_pasted_into_the_settings(headgate: Command, tmp_path: Path) -> None:
    """Its form is that of the setting `accounts`, tokens with it; what has no pause there is not paused."""
    tokens = {
        "access_token": "sk-ant-oat-1",
        "refresh_token": "sk-ant-ort-1",
        "expires_at": 4e9,
        "scopes": ["a"],
    }
    await headgate("account", "import", "-", stdin=json.dumps([{"name": "team", "oauth": tokens}]))
    found = (await headgate("account", "export", "--plain")).json()["accounts"][0]
    settings = tmp_path / "pasted.yaml"
    pasted = {name: value for name, value in found.items() if name not in ("email", "paused")}
    settings.write_text(json.dumps({"accounts": [pasted]}))
    assert (await headgate("config", "check", str(settings))).code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--plain", "--no-secrets"),
        ("--format", "yaml"),
        ("--plain", "--passphrase-stdin"),
        ("--no-secrets", "--passphrase-stdin"),
    ],
)
async def test_contradictions_are_wrong_usage(headgate: Command, options: tuple[str, ...]) -> None:
    """Before anything is read or asked for."""
    refused = await headgate("account", "export", *options, stdin="a long passphrase")
    assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize("shape", ["kept", "exported", "by hand"])
async def test_an_accounts_json_of_another_program_is_taken_too(
    headgate: Command, tmp_path: Path, shape: str
) -> None:
    """In each of its shapes; one entry that cannot be read keeps out the others."""
    content = theirs.accounts_json(shape, "work", "home", ends_ms=1_900_000_000_000)
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(content))
    taken = await headgate("account", "import", str(file), "--json")
    assert (taken.code, len(taken.json()["added"])) == (0, 2), taken.err
    tokens = (await headgate("account", "export", "--plain")).json()["accounts"][0]["oauth"]
    assert (tokens["refresh_token"], tokens["expires_at"]) == ("sk-ant-ort01-work", 1_900_000_000.0)
    broken = {"accounts": {"a": theirs.tokens_of("a"), "b": {"accessToken": 5}}}
    file.write_text(json.dumps(broken))
    refused = await headgate("account", "import", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert "line 1 column" in refused.err
