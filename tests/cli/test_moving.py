"""`headgate import …`: what it takes and what it says."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.moving import theirs


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def test_a_dry_run_says_all_and_writes_nothing(headgate: Command, tmp_path: Path) -> None:
    """Not even the database that is not there yet; then it is done, and once more changes nothing."""
    place = tmp_path / "theirs"
    place.mkdir()
    with theirs.ccflare(place / "ccflare.db") as database:
        account = theirs.ccflare_account(database, "my team")
        theirs.ccflare_account(database, "qw", provider="qwen")
        for number in range(3):
            theirs.ccflare_request(database, account, number)
        theirs.ccflare_request(database, account, 9, timestamp="noon")
    database.close()
    (place / "ccflare.json").write_text('{"retry_attempts": 7, "nothing_of_ours": 1}')
    before = everything_in(tmp_path)
    tried = await headgate("import", "ccflare", str(place), "--dry-run")
    assert tried.code == 0, tried.err
    assert everything_in(tmp_path) == before
    for words in ("my-team", "it was called my team", "would be added", "3 added, 0 here", "qwen", "dry run"):
        assert words in tried.out
    assert "no client id is set" in tried.err
    assert "headgate config set providers.anthropic.oauth.client_id" in tried.err
    assert "sk-ant" not in tried.out + tried.err
    done = await headgate("import", "ccflare", str(place), "--json")
    found = done.json()
    outcomes = {(one["kind"], one["name"]): one["outcome"] for one in found["items"]}
    assert outcomes[("account", "my-team")] == "added"
    assert outcomes[("setting", "retry.attempts")] == "added"
    assert (outcomes[("account", "qw")], outcomes[("setting", "nothing_of_ours")]) == ("left out", "left out")
    assert found["history"] == {"added": 3, "there": 0, "older": 0, "unreadable": 1}
    assert found["ok"]
    assert [one.partition(":")[0] for one in found["notices"]] == ["my-team", "my-team"]
    settings = headgate.config.read_bytes()
    again = (await headgate("import", "ccflare", str(place), "--json")).json()
    assert not {one["outcome"] for one in again["items"]} & {"added", "changed", "failed"}
    assert len(again["notices"]) == 1  # nothing is new, but a client id is still missing
    assert again["history"] == {"added": 0, "there": 3, "older": 0, "unreadable": 1}
    assert headgate.config.read_bytes() == settings
    shown = (await headgate("requests", "--json")).json()["requests"]
    assert [one["account"] for one in shown] == ["my-team"] * 3


async def test_what_the_owner_has_changed_since_is_kept(headgate: Command, tmp_path: Path) -> None:
    """Unless `--replace` is said; `--only` keeps to one kind."""
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(theirs.accounts_json("kept", "work", "home")))
    (tmp_path / ".env").write_text("SERVER__PORT=8123\n")
    bring = ("import", "claude-code-proxy", str(file))
    first = (await headgate(*bring, "--only", "accounts", "--json")).json()
    assert {one["kind"] for one in first["items"]} == {"account"}
    assert not headgate.config.exists()
    await headgate("account", "set", "work", "--priority", "9")
    await headgate("account", "rename", "home", "house")
    await headgate("config", "set", "server.port", "9000")
    kept = await headgate(*bring)
    assert kept.code == 0, kept.err
    for words in ("is here, with another priority", "is here as house", "it is set here already"):
        assert words in kept.out
    replaced = (await headgate(*bring, "--replace", "--json")).json()
    outcomes = {one["name"]: one["outcome"] for one in replaced["items"]}
    assert (outcomes["work"], outcomes["home"], outcomes["server.port"]) == ("changed", "kept", "added")
    assert (await headgate("config", "get", "server.port")).out.strip() == "8123"


async def test_accounts_come_whole_or_not_at_all(headgate: Command, tmp_path: Path) -> None:
    """A name that is taken keeps out all of them, and the history that is about them; the rest is taken."""
    await headgate.add("work")
    with theirs.ccflare(tmp_path / "ccflare.db") as database:
        account = theirs.ccflare_account(database, "work")
        theirs.ccflare_account(database, "spare")
        theirs.ccflare_request(database, account, 1)
    database.close()
    (tmp_path / "ccflare.json").write_text('{"retry_attempts": 7}')
    refused = await headgate("import", "ccflare", str(tmp_path), "--json")
    outcomes = {one["name"]: (one["outcome"], one.get("why")) for one in refused.json()["items"]}
    assert refused.code == 1
    assert outcomes["work"][0] == "failed"
    assert "--replace" in str(outcomes["work"][1])
    assert outcomes["requests"][0] == "failed"
    assert outcomes["retry.attempts"][0] == "added"
    listed = (await headgate("account", "list", "--json")).json()["accounts"]
    assert [one["name"] for one in listed] == ["work"]
    taken = await headgate("import", "ccflare", str(tmp_path), "--replace")
    assert taken.code == 0, taken.err
    kinds = {
        one["name"]: one["kind"] for one in (await headgate("account", "list", "--json")).json()["accounts"]
    }
    assert kinds == {"work": "oauth", "spare": "oauth"}


async def test_settings_come_whole_or_not_at_all(headgate: Command, tmp_path: Path) -> None:
    """One value that we cannot have keeps out the others, and says so; accounts are another kind."""
    (tmp_path / "accounts.json").write_text(json.dumps(theirs.accounts_json("kept", "work")))
    (tmp_path / ".env").write_text("SERVER__PORT=99999\nCCPROXY_ROTATION_ENABLED=false\n")
    refused = await headgate("import", "claude-code-proxy", str(tmp_path))
    assert refused.code == 1
    assert "server.port" in refused.out
    assert not headgate.config.exists()
    assert (await headgate("account", "list", "--json")).json()["accounts"][0]["name"] == "work"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("import",), 2),
        (("import", "litellm", "x"), 2),
        (("import", "ccflare"), 2),
        (("import", "ccflare", "missing.db"), 1),
        (("import", "ccflare", "garbage"), 1),
        (("import", "ccflare", "/dev/zero"), 1),
        (("import", "ccflare", "garbage", "--only", "nonsense"), 2),
        (("import", "claude-code-proxy", "garbage"), 1),
        (("import", "cliproxyapi", "garbage"), 1),
        (("import", "claude-nexus-proxy", "postgresql://u:very-secret@127.0.0.1:1/x"), 1),
        (("import", "claude-nexus-proxy", "-"), 1),
    ],
)
async def test_what_cannot_be_read_is_what_why_and_mend(
    headgate: Command, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """No trace, no secret, nothing made."""
    (tmp_path / "garbage").write_bytes(os.urandom(3000))
    given = [str(tmp_path / one) if one in ("garbage", "missing.db") else one for one in arguments]
    outcome = await headgate(*given, stdin="postgresql://u:very-secret@127.0.0.1:1/x\n")
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    assert "very-secret" not in outcome.out + outcome.err
    assert not headgate.data.exists()
    if code == 1:
        assert "mend:" in outcome.err


async def test_a_broken_file_among_others_is_no_silence(headgate: Command, tmp_path: Path) -> None:
    """The others come along; the exit code tells."""
    folder = theirs.nexus_credentials(
        tmp_path / "c", {"a.example": {"type": "api_key", "api_key": "sk-ant-1"}}
    )
    (folder / "b.credentials.json").write_text('{"type": ')
    outcome = await headgate("import", "claude-nexus-proxy", str(folder))
    assert outcome.code == 1
    assert "line 1 column 10" in outcome.out
    assert (await headgate("account", "list", "--json")).json()["accounts"][0]["domain"] == "a.example"


async def test_what_cannot_be_saved_says_so(headgate: Command, tmp_path: Path) -> None:
    """Keys and settings that would be gone at the next start are no success."""
    (tmp_path / "accounts.json").write_text(json.dumps(theirs.accounts_json("kept", "work")))
    (tmp_path / ".env").write_text("CCPROXY_ROTATION_ENABLED=false\nCCPROXY_AUTH_TOKEN=the-token\n")
    nowhere = ("--config", "/proc/headgate/config.yaml")
    outcome = await headgate("import", "claude-code-proxy", str(tmp_path), *nowhere, "--json")
    assert outcome.code == 1
    told = {one["name"]: (one["outcome"], one["why"]) for one in outcome.json()["items"]}
    for name in ("routing.rotation", "CCPROXY_AUTH_TOKEN"):
        assert told[name][0] == "failed"
        assert "cannot be written" in told[name][1]
    assert "the-token" not in outcome.out + outcome.err
