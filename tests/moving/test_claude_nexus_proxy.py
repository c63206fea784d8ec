"""claude-nexus-proxy's credentials, environment and address."""

import json
from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import claude_nexus_proxy
from headgate.moving.found import HISTORY
from tests.moving import theirs

OAUTH = {"type": "oauth", "oauth": {**theirs.tokens_of("team"), "scopes": ["user:inference"], "isMax": True}}


async def test_files_of_domains_become_accounts(tmp_path: Path) -> None:
    """Named by their domain and belonging to it, each with its client key; the history has its account id."""
    folder = theirs.nexus_credentials(
        tmp_path / "credentials",
        {
            "team.example.com": {**OAUTH, "accountId": "acc_1", "client_api_key": "cnp_live_team"},
            "key.example.com:3000": {"type": "api_key", "accountId": "acc_2", "api_key": "sk-ant-api-2"},
            "plain.example.com": {
                "type": "api_key",
                "api_key": "sk-ant-api-3",
                "slack": {"webhook_url": "x"},
            },
            "empty.example.com": {"type": "oauth", "accountId": "acc_4"},
        },
    )
    (folder / "broken.credentials.json").write_text("{")
    (folder / "notes.json").write_text("{}")
    found = await claude_nexus_proxy.read([str(folder)])
    accounts = {one.name: one for one in found.accounts}
    assert set(accounts) == {"team.example.com", "key.example.com-3000", "plain.example.com"}
    team, other = accounts["team.example.com"], accounts["key.example.com-3000"]
    assert (team.key, team.domain, team.scopes) == ("acc_1", "team.example.com", ("user:inference",))
    assert (team.refresh_token, other.api_key) == ("sk-ant-ort01-team", "sk-ant-api-2")
    assert (other.key, other.domain) == ("acc_2", "key.example.com")
    assert accounts["plain.example.com"].remarks == ("without its Slack channel",)
    assert [one.name for one in found.keys] == ["team.example.com"]
    failed = [one.name for one in found.left_out if one.is_failure]
    assert failed == ["broken.credentials.json", "empty.example.com.credentials.json"]
    assert [one.kind for one in found.left_out if not one.is_failure] == [HISTORY]


async def test_a_checkout_names_all_of_it(tmp_path: Path) -> None:
    """Its `.env` has settings and the folder's place; what the owner's side had is told of, not taken."""
    theirs.nexus_credentials(tmp_path / "secret-place", {"team.example.com": OAUTH})
    (tmp_path / ".env").write_text(
        "PORT=3005\nCREDENTIALS_DIR=secret-place\nCLAUDE_API_TIMEOUT=1000\nENABLE_CLIENT_AUTH=true\n"
        "CLAUDE_OAUTH_CLIENT_ID=cid\nDASHBOARD_API_KEY=very-secret\n"
    )
    for path in (tmp_path, tmp_path / ".env"):
        found = await claude_nexus_proxy.read([str(path)])
        assert [one.name for one in found.accounts] == ["team.example.com"]
        assert {one.path: one.value for one in found.settings} == {
            **{"server.port": 3005, "upstream.first_byte_timeout_ms": 1000},
            **{"upstream.idle_timeout_ms": 1000, "access.client_auth": "required"},
            "providers.anthropic.oauth.client_id": "cid",
        }
        assert "very-secret" not in str(found.left_out)
        assert any(one.name == "DASHBOARD_API_KEY" for one in found.left_out)


@pytest.mark.parametrize(
    "source", ["missing", "postgresql://u:very-secret@127.0.0.1:1/x", "mysql://u:very-secret@h/x", "one.json"]
)
async def test_what_leads_nowhere_is_refused(tmp_path: Path, source: str) -> None:
    """And the password of an address is not said back."""
    (tmp_path / "one.json").write_text("{}")
    given = source if "://" in source else str(tmp_path / source)
    with pytest.raises(ForeignDataUnreadable) as refused:
        await claude_nexus_proxy.read([given])
    assert "very-secret" not in refused.value.message + refused.value.hint


async def test_a_folder_without_credentials_says_what_they_are_called(tmp_path: Path) -> None:
    """The wrong folder is the likeliest mistake."""
    with pytest.raises(ForeignDataUnreadable, match=r"NAME\.credentials\.json"):
        await claude_nexus_proxy.read([str(tmp_path)])


async def test_a_database_that_is_gone_keeps_no_accounts_out(tmp_path: Path) -> None:
    """It is a line of the history's, which `--only accounts` does not ask for."""
    content = {"type": "api_key", "api_key": "sk-ant-sim-a", "client_api_key": "cnp_live_" + "a" * 24}
    (tmp_path / "a.example.com.credentials.json").write_text(json.dumps(content))
    found = await claude_nexus_proxy.read([str(tmp_path), "postgresql://u:very-secret@127.0.0.1:1/x"])
    assert [one.name for one in found.accounts] == ["a.example.com"]
    (gone,) = [one for one in found.left_out if one.kind == HISTORY]
    assert gone.is_failure and gone.why.startswith("Cannot read the PostgreSQL database: ")
    assert gone.why.endswith("See that the server runs, and that its host and port can be reached from here.")
    assert "very-secret" not in gone.why
