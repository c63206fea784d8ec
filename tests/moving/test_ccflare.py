"""A database of ccflare, of either generation."""

import json
from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import ccflare
from headgate.moving.found import ACCOUNT, KEY, OTHER, SETTING, Found
from tests.moving import theirs


def left_out(found: Found, kind: str) -> dict[str, str]:
    return {one.name: one.why for one in found.left_out if one.kind == kind}


def test_accounts_of_the_first_generation(tmp_path: Path) -> None:
    """Tokens, tier and pause; their times are milliseconds, ours seconds."""
    file = tmp_path / "ccflare.db"
    with theirs.ccflare(file) as database:
        theirs.ccflare_account(database, "my team", account_tier=20, paused=1)
        theirs.ccflare_account(database, "fresh", access_token=None, expires_at=None)
        team, fresh = ccflare.read(file).accounts
    assert (team.name, team.tier, team.paused, team.signs_in) == ("my team", 20, True, True)
    assert team.access_token is not None
    assert team.access_token.startswith("sk-ant-oat-")
    assert team.expires_at == (theirs.NOW_MS + theirs.HOUR_MS) / 1000
    carried = fresh.carried()["oauth"]
    assert (carried["expires_at"], carried["refresh_token"]) == (1.0, fresh.refresh_token)


def test_accounts_of_the_second_generation(tmp_path: Path) -> None:
    """Keys, endpoints, priorities; and what does not come along is said, provider by provider."""
    file = tmp_path / "better-ccflare.db"
    with theirs.ccflare(file, is_better=True) as database:
        theirs.ccflare_account(database, "max", priority=10)
        theirs.ccflare_account(
            database, "console", provider="claude-console-api", api_key="sk-ant-api-1", priority=20
        )
        theirs.ccflare_account(
            database,
            "other",
            provider="anthropic-compatible",
            api_key="k",
            custom_endpoint="https://llm.example/anthropic",
            model_mappings='{"opus": "big"}',
        )
        theirs.ccflare_account(database, "qw", provider="qwen")
        theirs.ccflare_account(database, "none", access_token="", refresh_token="", api_key="")
        theirs.insert(
            database,
            "api_keys",
            id="1",
            name="laptop",
            hashed_key="salt:hash",
            prefix_last_8="12345678",
            created_at=1,
        )
        theirs.insert(database, "combos", id="1", name="fast")
        found = ccflare.read(tmp_path)
    accounts = {one.name: one for one in found.accounts}
    assert list(accounts) == ["max", "console", "other"]
    assert (accounts["console"].provider, accounts["console"].api_key) == ("anthropic", "sk-ant-api-1")
    assert (accounts["console"].priority, accounts["console"].refresh_token) == (20, None)
    assert accounts["other"].base_url == "https://llm.example/anthropic"
    assert accounts["other"].remarks == ("without its model_mappings",)
    assert "qwen" in left_out(found, ACCOUNT)["qw"]
    assert "scrypt" in left_out(found, KEY)["laptop"]
    assert "combos" in left_out(found, OTHER)
    assert [one.name for one in found.left_out if one.is_failure] == ["none"]


def test_settings_beside_the_database(tmp_path: Path) -> None:
    """Known names become ours, unknown ones are told of, and a strategy that is none is not guessed at."""
    theirs.ccflare(tmp_path / "ccflare.db").close()
    (tmp_path / "ccflare.json").write_text(
        json.dumps(
            {
                **{"lb_strategy": "weighted-round-robin", "client_id": "cid", "retry_attempts": 5},
                **{"retry_delay_ms": 10, "retry_backoff": 1.5, "session_duration_ms": 18_000_000},
                **{"port": 8081, "default_agent_model": "claude", "stream_body_max_bytes": 1},
            }
        )
    )
    found = ccflare.read(tmp_path / "ccflare.db")
    assert {one.path: one.value for one in found.settings} == {
        **{"routing.strategy": "weighted", "providers.anthropic.oauth.client_id": "cid"},
        **{"retry.attempts": 5, "retry.delay_ms": 10, "retry.backoff": 1.5, "server.port": 8081},
        "routing.session_duration_ms": 18_000_000,
    }
    assert list(left_out(found, SETTING)) == ["default_agent_model, stream_body_max_bytes"]
    (tmp_path / "ccflare.json").write_text('{"lb_strategy": "coin-toss"}')
    assert "coin-toss" in left_out(ccflare.read(tmp_path), SETTING)["lb_strategy"]
    (tmp_path / "ccflare.json").write_text('{"retry_backoff": 1' + "0" * 400 + ', "port": 1}')
    assert [one.path for one in ccflare.read(tmp_path).settings] == ["server.port"]
    (tmp_path / "ccflare.json").write_text('{"lb_strategy": ')
    broken = [one for one in ccflare.read(tmp_path).left_out if one.is_failure]
    assert "line 1, column 17" in broken[0].why


def test_what_is_no_database_of_theirs_is_refused(tmp_path: Path) -> None:
    """With what it should be."""
    (tmp_path / "garbage.db").write_bytes(b"no database" * 100)
    (tmp_path / "empty.db").touch()
    named = [tmp_path / name for name in ("garbage.db", "empty.db", "missing.db", "")]
    for path in (*named, Path("postgresql://me:very-secret@127.0.0.1/ccflare")):
        with pytest.raises(ForeignDataUnreadable) as refused:
            ccflare.read(path)
        assert refused.value.hint
        assert "very-secret" not in refused.value.message
