"""Claude Code at work: answers, sessions, tools, large bodies, keys."""

import json
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.clients.claude_code import ClaudeCode, succeeded
from tests.clients.records import messages, recorded
from tests.gateway import CLIENT_KEY, Gateway


@pytest.mark.parametrize("variable", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_an_answer(tmp_path: Path, gateway: Gateway, provider: SimulatedProvider, variable: str) -> None:
    """A base URL and the client key in either variable are all it needs; it shows the figures we record."""
    claude = ClaudeCode(tmp_path, gateway.url, environment={variable: CLIENT_KEY})
    outcome = succeeded(claude.ask("say 12 words"))
    (record,) = messages(recorded(gateway, 1))
    assert record["status"] == 200
    assert record["session"] == outcome.session
    assert record["usage"]["output_tokens"] == outcome.result["usage"]["output_tokens"]
    assert CLIENT_KEY.encode() not in provider.received()[-1]["head"]


def test_settings_of_its_own(tmp_path: Path, gateway: Gateway) -> None:
    """Address and key may stand in its `settings.json` instead of the environment."""
    claude = ClaudeCode(tmp_path, "http://127.0.0.1:9", environment={})
    variables = {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_AUTH_TOKEN": CLIENT_KEY}
    del claude.environment["ANTHROPIC_BASE_URL"]
    (claude.home / ".claude").mkdir()
    (claude.home / ".claude" / "settings.json").write_text(json.dumps({"env": variables}))
    succeeded(claude.ask("say 3 words"))
    assert messages(recorded(gateway, 1))[0]["status"] == 200


def test_a_model_of_ones_own(claude: ClaudeCode, gateway: Gateway) -> None:
    succeeded(claude.ask("say 3 words", "--model", "claude-sonnet-5"))
    assert messages(recorded(gateway, 1))[0]["model"] == "claude-sonnet-5"


def test_a_session_stays_on_its_account(claude: ClaudeCode, gateway: Gateway) -> None:
    """Over runs and turns, while another session goes to the other account."""
    first = succeeded(claude.ask("say 5 words"))
    succeeded(claude.ask("say 6 words", "--resume", first.session))
    succeeded(claude.ask("say 7 words", "--continue"))
    other = succeeded(claude.ask("say 8 words"))
    accounts = {
        session: [row["account"] for row in messages(recorded(gateway, 4)) if row["session"] == session]
        for session in (first.session, other.session)
    }
    (served,), (others,) = (set(accounts[one]) for one in (first.session, other.session))
    assert len(accounts[first.session]) == 3
    assert served != others


def test_a_tool_edits_a_file(claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider) -> None:
    """Read, then Edit: three requests of one session, the last one ends on the tool's result."""
    file = claude.work / "notes.txt"
    file.write_text("one\ntwo\n")
    change = {"file_path": str(file), "old_string": "two", "new_string": 'three — 水 "quoted"'}
    task = f"use tool Read {json.dumps({'file_path': str(file)})}, then use tool Edit {json.dumps(change)}"
    outcome = succeeded(claude.ask(task, "--permission-mode", "acceptEdits"))
    assert file.read_text() == 'one\nthree — 水 "quoted"\n'
    assert outcome.result["permission_denials"] == []
    rows = messages(recorded(gateway, 3))
    assert [row["status"] for row in rows] == [200, 200, 200]
    assert len({(row["session"], row["account"]) for row in rows}) == 1


def test_a_tool_writes_a_file_and_a_command_runs(claude: ClaudeCode) -> None:
    """Other tools, their input with escapes and line ends, come through as well."""
    file = claude.work / "new" / "deep.py"
    code = "print('ü', \"\\n\")\n" * 40
    written = {"file_path": str(file), "content": code}
    run = {"command": "cp new/deep.py copy.py", "description": "Copy it"}
    task = f"use tool Write {json.dumps(written)} and use tool Bash {json.dumps(run)}"
    succeeded(claude.ask(task, "--permission-mode", "acceptEdits"))
    assert file.read_text() == code
    assert (claude.work / "copy.py").read_text() == code


def test_an_agent_of_its_own(claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider) -> None:
    """The sub-agent's requests belong to the session and stay on its account."""
    outcome = succeeded(
        claude.ask('use tool Agent {"description": "count", "prompt": "say 5 words to the sub-agent"}')
    )
    rows = messages(recorded(gateway, 3))
    assert any(b"say 5 words to the sub-agent" in row["body"] for row in provider.received())
    assert {row["session"] for row in rows} == {outcome.session}
    assert len({row["account"] for row in rows}) == 1


def test_a_body_of_300_kilobytes(claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider) -> None:
    """A long prompt reaches the provider whole."""
    prompt = "a line of a long file — 水\n" * 12_000 + "say 5 words"
    succeeded(claude.ask(prompt))
    received = provider.received()[-1]["body"]
    assert len(received) > 300_000
    assert prompt in json.loads(received)["messages"][0]["content"][-1]["text"]
    assert messages(recorded(gateway, 1))[0]["request_bytes"] == len(received)


def test_tokens_are_counted(claude: ClaudeCode, gateway: Gateway) -> None:
    """A long file read by a tool makes it ask `count_tokens`, which is served and recorded."""
    file = claude.work / "long.txt"
    file.write_text("".join(f"line {number} with some words\n" for number in range(1800)))
    succeeded(claude.ask(f"use tool Read {json.dumps({'file_path': str(file)})}"))
    rows = recorded(gateway, 3)
    counted = [row for row in rows if row["path"] == "/v1/messages/count_tokens"]
    assert counted
    assert {row["status"] for row in rows} == {200}


@pytest.mark.parametrize("variable", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_a_wrong_key_is_told_at_once(tmp_path: Path, gateway: Gateway, variable: str) -> None:
    """In the gateway's words: a sign-in at the provider, which the client advises when it reads `x-api-key`
    in an error, would mend nothing. It does not try for minutes."""
    claude = ClaudeCode(tmp_path, gateway.url, environment={variable: "hg_wrong"})
    outcome = claude.ask("say 5 words")
    assert outcome.code == 1
    assert outcome.result["api_error_status"] == 401
    assert "Invalid client API key" in outcome.text
    assert "/login" not in outcome.text
    rows = recorded(gateway, 1)
    assert {(row["status"], row["error"]) for row in rows} == {(401, "invalid_client_key")}
    assert len(rows) <= 2


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_the_look_whether_anybody_is_there_is_answered(gateway: Gateway, path: str) -> None:
    """Before its first request it asks `HEAD /` or `HEAD /api/hello`: any answer will do."""
    status, body = gateway.ask("HEAD", path)
    assert status < 500
    assert body == b""
