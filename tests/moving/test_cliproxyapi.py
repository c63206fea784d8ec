"""CLIProxyAPI's settings file and credentials."""

import json
from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import cliproxyapi
from headgate.moving.found import ACCOUNT, SETTING
from tests.moving import theirs


def left_in(folder: Path, **credentials: object) -> Path:
    """The settings file, with the credentials in its folder."""
    auths = folder / "auths"
    auths.mkdir()
    for name, content in credentials.items():
        (auths / f"claude-{name}.json").write_text(json.dumps(content))
    text = theirs.CLIPROXYAPI_CONFIG.format(
        port=8317, auths=auths, key="sk-ant-api-1", url="https://a.example"
    )
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


def test_settings_keys_and_entries(tmp_path: Path) -> None:
    """Their priority counts the other way; an entry is named by its key, whatever place it has."""
    found = cliproxyapi.read(left_in(tmp_path))
    assert {one.path: one.value for one in found.settings} == {
        **{"server.port": 8317, "retry.attempts": 3, "routing.strategy": "round-robin"},
    }
    assert [one.name for one in found.keys] == ["api-keys[1]", "api-keys[2]"]
    (account,) = found.accounts
    assert account.name.startswith("claude-")
    assert (account.api_key, account.base_url) == ("sk-ant-api-1", "https://a.example")
    assert (account.priority, account.weight) == (-5, 3)
    assert account.models == ("claude-sonnet-4-20250514",)
    assert account.remarks == ("without its aliases of models",)
    told = {one.name: one.why for one in found.left_out}
    assert "bcrypt" in told["remote-management"]
    assert "does not speak" in told["gemini-api-key"]
    assert {one.kind for one in found.left_out if one.name in ("host", "remote-management")} == {SETTING}


def test_credential_files(tmp_path: Path) -> None:
    """Those of Claude come along, paused and weighted as they were; one that is broken is told of."""
    found = cliproxyapi.read(
        left_in(
            tmp_path,
            one=theirs.cliproxyapi_credential("one", priority=2, weight=4, prefix="team", proxy_url="direct"),
            two=theirs.cliproxyapi_credential("two", disabled=True, proxy_url="socks5://127.0.0.1:1080"),
            codex={"type": "codex", "access_token": "x"},
            untyped={"access_token": "x"},
            empty={"type": "claude"},
            text="text",
        )
    )
    one, two = [account for account in found.accounts if account.signs_in]
    assert (one.name, one.email) == ("claude-one", "one@example.com")
    assert (one.priority, one.weight, one.proxy, one.remarks) == (-2, 4, "direct", ("without its prefix",))
    assert one.expires_at == 4_070_908_800.123456
    assert (two.paused, two.proxy) == (True, "socks5://127.0.0.1:1080")
    accounts = [one for one in found.left_out if one.kind == ACCOUNT]
    assert [one.name for one in accounts if one.is_failure] == [
        *("claude-empty.json", "claude-text.json"),
    ]
    told = {one.name: one.why for one in accounts}
    assert "codex" in told["claude-codex.json"]
    assert "no type" in told["claude-untyped.json"]


def test_an_auth_folder_alone_will_do(tmp_path: Path) -> None:
    """And one that the settings name and that is not on this machine is looked for beside them."""
    config = left_in(tmp_path, one=theirs.cliproxyapi_credential("one"))
    assert [one.name for one in cliproxyapi.read(tmp_path / "auths").accounts] == ["claude-one"]
    config.write_text('auth-dir: "/somewhere/else/auths"\n')
    assert [one.name for one in cliproxyapi.read(tmp_path).accounts] == ["claude-one"]
    config.write_text('auth-dir: "/somewhere/else/nowhere"\n')
    assert [one.name for one in cliproxyapi.read(tmp_path).left_out if one.is_failure] == [
        "/somewhere/else/nowhere"
    ]
    assert cliproxyapi.read(tmp_path, tmp_path / "auths").accounts


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("routing: {strategy: wrr}", {"routing.strategy": "weighted"}),
        ("routing: {strategy: coin-toss}", {}),
        (
            "routing: {session-affinity: true, session-affinity-ttl: 1h30m}",
            {"routing.strategy": "session", "routing.session_duration_ms": 5_400_000},
        ),
        ("routing: {session-affinity: true, session-affinity-ttl: soon}", {"routing.strategy": "session"}),
        ("streaming: {keepalive-seconds: 15}", {"routing.sse_keepalive_seconds": 15}),
        ("proxy-url: None", {"upstream.proxy": "direct"}),
        ("proxy-url: http://u:p@h:1", {"upstream.proxy": "http://u:p@h:1"}),
        ("debug: true\nrequest-retry: 0", {"retry.attempts": 1, "log.level": "debug"}),
        ("port: [1]\nrouting: 7\nstreaming: x\napi-keys: {a: b}\nclaude-api-key: z", {}),
    ],
)
def test_what_a_setting_becomes(tmp_path: Path, text: str, changes: dict[str, object]) -> None:
    """Values that are none are no reason to stop."""
    (tmp_path / "config.yaml").write_text(f"{text}\nauth-dir: {tmp_path}\n")
    found = cliproxyapi.read(tmp_path / "config.yaml")
    assert {one.path: one.value for one in found.settings} == changes


@pytest.mark.parametrize("text", ["- a list", "port: [", "a: 1\na: 2", "\t", "just words", ""])
def test_what_is_no_settings_file_is_refused(tmp_path: Path, text: str) -> None:
    """With line and column where it is no YAML."""
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ForeignDataUnreadable):
        cliproxyapi.read(tmp_path / "config.yaml")
