"""claude-code-proxy's accounts and environment."""

import hashlib
import json
from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import claude_code_proxy
from headgate.moving.found import KEY
from tests.moving import theirs


def test_its_environment_becomes_settings_and_a_client_key(tmp_path: Path) -> None:
    """In our words; the rest is told of by name, and no value of it."""
    (tmp_path / "accounts.json").write_text(json.dumps(theirs.accounts_json("kept", "work")))
    (tmp_path / ".env").write_text(
        "SERVER__PORT=8123\nserver__log_level=WARNING\nREVERSE_PROXY__TARGET_URL=https://api.example/\n"
        "CCPROXY_ROTATION_ENABLED=false\nAUTH__OAUTH__CLIENT_ID='cid'\nAUTH__OAUTH__SCOPES=a b\n"
        "SECURITY__AUTH_TOKEN=the-token\nCCPROXY_API_KEYS_ENABLED=true\nCORS__ORIGINS=secret-origin\nPATH=/bin\n"
    )
    found = claude_code_proxy.read(tmp_path)
    assert [one.name for one in found.accounts] == ["work"]
    assert {one.path: one.value for one in found.settings} == {
        **{"server.port": 8123, "log.level": "warn", "providers.anthropic.base_url": "https://api.example"},
        **{"routing.rotation": False, "providers.anthropic.oauth.client_id": "cid"},
        "providers.anthropic.oauth.scopes": ["a", "b"],
    }
    assert found.keys[0].digest == "sha256:" + hashlib.sha256(b"the-token").hexdigest()
    said = " ".join(f"{one.name} {one.why}" for one in found.left_out)
    assert "CORS__ORIGINS" in said
    assert "secret-origin" not in said
    assert "PATH" not in said.replace("CCPROXY", "")
    assert [one.name for one in found.left_out if one.kind == KEY] == ["API keys"]


def test_either_file_will_do(tmp_path: Path) -> None:
    """A folder with the environment alone, or a file of accounts by any name."""
    (tmp_path / ".env").write_text("SERVER__PORT=no-number\n")
    found = claude_code_proxy.read(tmp_path)
    assert not found.accounts
    assert [one.name for one in found.left_out if one.is_failure] == ["SERVER__PORT"]
    other = tmp_path / "elsewhere" / "pool.json"
    other.parent.mkdir()
    other.write_text(json.dumps(theirs.accounts_json("by hand", "work")))
    assert [one.name for one in claude_code_proxy.read(other).accounts] == ["work@example.com"]
    assert claude_code_proxy.read(other, tmp_path / ".env").left_out[0].name == "SERVER__PORT"


def test_neither_is_refused(tmp_path: Path) -> None:
    """With where they are."""
    for path in (tmp_path, tmp_path / "accounts.json"):
        with pytest.raises(ForeignDataUnreadable):
            claude_code_proxy.read(path)
    (tmp_path / "accounts.json").write_text("{")
    with pytest.raises(ForeignDataUnreadable, match="line 1 column 2"):
        claude_code_proxy.read(tmp_path)
