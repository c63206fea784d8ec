"""What Headgate makes of a real Claude Code's sessions."""

from typing import Any

from tests.clients.claude_code import ClaudeCode, succeeded
from tests.clients.records import messages, recorded
from tests.gateway import Gateway, wait_until


def _listed(gateway: Gateway, query: str = "") -> list[dict[str, Any]]:
    """Those that no other opened, the latest first; `?all=true`: the others too."""
    found: list[dict[str, Any]] = gateway.admin(f"/api/conversations{query}")["conversations"]
    return found


def test_a_session_with_a_sub_agent_is_one_tree(claude: ClaudeCode, gateway: Gateway) -> None:
    """Resumed by another run, it goes on; another session is another conversation."""
    prompt = "say 5 words to the sub-agent"
    ask = f'use tool Agent {{"description": "count", "prompt": "{prompt}"}}'
    first = succeeded(claude.ask(ask))
    succeeded(claude.ask("say 6 words", "--resume", first.session))
    succeeded(claude.ask("say 7 words"))
    count = len(messages(recorded(gateway, 5)))
    wait_until(
        lambda: sum(one["request_count"] for one in _listed(gateway, "?all=true")) >= count, what="all linked"
    )
    titles = ["say 7 words", ask]
    wait_until(lambda: [one["title"] for one in _listed(gateway)] == titles, what="both conversations")
    roots = _listed(gateway)
    tree = gateway.admin(f"/api/conversations/{roots[1]['id']}")
    assert tree["session"] == first.session
    (branch,) = tree["branches"]
    assert {turn["relation"] for turn in branch["turns"][1:]} == {"next"}
    (agent,) = [one for one in tree["sub_conversations"] if one["conversation_kind"] == "subagent"]
    assert (agent["title"], agent["opened_by"]) == (prompt, branch["turns"][0]["id"])
