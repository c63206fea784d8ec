"""Guide rows A and R as a whole: the account sections of ccflare's and claudeflare's guides, from symptom to
mend, with `headgate` in the place of their commands. docs/from-other-guides.md is the table of both.
"""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message, run
from tests.guides.signing_in import declared, gateway_with, sign_in_by_command

_LIMITED = [{"fault": "429", "limit": "unified", "seconds": 900}]


def _rows(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What `headgate account list` knows, by name."""
    listed = json.loads(gateway.command("account", "list", "--json").stdout)
    return {one["name"]: one for one in listed["accounts"]}


def test_a1_the_account_sections_of_ccflares_guide(tmp_path: Path, provider: SimulatedProvider) -> None:
    """ccflare's guide, followed with `headgate`: dead tokens, a cut code, limits, pauses, the quick fixes."""
    with gateway_with(tmp_path, provider) as gateway:
        # "No active accounts available": nothing was put in; the answer says which command does.
        assert "headgate account add" in message(gateway).json()["error"]["hint"]
        provider.sign_in(login="ann@example.test")
        assert sign_in_by_command(gateway, provider, "add", "work", "--oauth")[0] == 0
        assert message(gateway).status_code == 200

        # Invalid Tokens, Token Refresh Failures: look at the list; remove and add again.
        provider.revoke("ann@example.test")
        assert message(gateway).status_code in (401, 403)
        assert "Token refresh failed" in logged(gateway, "Failed to refresh token for account work: ")
        assert "work 1 needs_reauth" in run(gateway, "account", "list")
        run(gateway, "account", "remove", "work", "--yes")
        assert sign_in_by_command(gateway, provider, "add", "work", "--oauth")[0] == 0
        assert message(gateway).status_code == 200

        # PKCE Failures: a code that was cut short; the flow again from its beginning, whole.
        def cut(shown: str) -> str:
            return shown[:10]

        code, said = sign_in_by_command(gateway, provider, "add", "account2", "--oauth", paste=cut)
        assert (code, "Token exchange failed: Invalid authorization code" in said) == (1, True), said
        provider.sign_in(login="bob@example.test")
        assert sign_in_by_command(gateway, provider, "add", "account2", "--oauth")[0] == 0

        # Identifying Rate Limits: the next account serves; list, log and API tell until when.
        provider.script("*", rules=[{**_LIMITED[0], "times": 1}])
        assert message(gateway, headers={"x-headgate-session": "talk"}).status_code == 200
        (limited,) = [one for one in _rows(gateway).values() if one["rate_limit_status"] == "limited"]
        assert limited["rate_limit_reset"] > limited["last_used_at"] / 1000 + 800
        logged(gateway, f"WARN.*Account {limited['name']} rate limited until ")
        (told,) = [
            one for one in gateway.admin("/api/accounts")["accounts"] if one["status"] == "rate_limited"
        ]
        assert (told["name"], told["is_active"]) == (limited["name"], False)

        # Recovery Strategies: all are limited, the client hears when to come back; one more account serves.
        provider.script("*", rules=[{**_LIMITED[0], "times": 1}])
        assert message(gateway).status_code == 429
        refused = message(gateway)
        assert "No active accounts available: all are rate limited" in refused.text
        assert int(refused.headers["retry-after"]) > 800
        run(gateway, "account", "add", "third", "--api-key-stdin", stdin="sk-ant-sim-third")
        assert message(gateway).status_code == 200

        # Account Not Being Used: the list says why; resume ends a pause, and leaves a limit alone.
        run(gateway, "account", "pause", "third")
        assert message(gateway).status_code == 429
        assert "headgate account resume third" in run(gateway, "status")
        run(gateway, "account", "resume", "third")
        assert message(gateway, headers={"x-headgate-session": "talk"}).status_code == 200
        assert _rows(gateway)["third"]["sessions"]["count"] >= 1
        run(gateway, "account", "resume", limited["name"])
        assert _rows(gateway)[limited["name"]]["status"] == "rate_limited"

        # HTTP 400: a name that nobody has is answered with the near one.
        assert "did you mean third?" in run(gateway, "account", "pause", "thrid", code=1)

        # Analytics Data Issues: history and counters begin anew, the accounts stay.
        run(gateway, "clear-history", "--yes")
        run(gateway, "reset-stats")
        assert _rows(gateway)["third"]["request_count"] == 0
        assert message(gateway).status_code == 200


def test_a1_the_account_sections_of_claudeflares_guide(tmp_path: Path, provider: SimulatedProvider) -> None:
    """claudeflare's guide, followed with `headgate`: expired tokens, a wrong client id, uneven shares."""
    late = declared("late", provider.grant("late", lifetime_seconds=-10), provider)
    bare = declared("bare", provider.grant("bare", lifetime_seconds=-10), provider)
    del bare["oauth"]["refresh_token"]
    provider.sign_in(client_ids=["the-right-one"])
    with gateway_with(tmp_path, provider, late, bare) as gateway:
        # Failed to refresh token: Exchange failed: the provider does not know the client id; set it right.
        refused = run(gateway, "account", "refresh", "late", code=1)
        assert "Failed to refresh token for account late: Token refresh failed: invalid_client" in refused
        assert "providers.anthropic.oauth.client_id" in refused
        assert "headgate account refresh late" in run(gateway, "status")
        run(gateway, "config", "set", "providers.anthropic.oauth.client_id", "the-right-one")
        run(gateway, "account", "refresh", "late")
        assert "The provider takes the key." in run(gateway, "account", "test", "late")
        assert message(gateway, path="/api/v1/messages").status_code == 200

        # Expired Tokens: nothing to refresh with, the list says expired; sign in again, same account.
        assert _rows(gateway)["bare"]["status"] == "expired"
        missing = "Token expired or missing for account: bare"
        assert missing in run(gateway, "account", "refresh", "bare", code=1)
        provider.sign_in(client_ids=["the-right-one"], login="bare")
        assert sign_in_by_command(gateway, provider, "reauth", "bare")[0] == 0

        # PKCE Failures: a code that belongs to another start.
        started = gateway.admin("/oauth/authorize?account=new")
        code, said = sign_in_by_command(
            gateway,
            provider,
            *("add", "other", "--oauth"),
            paste=lambda shown: f"{shown.partition('#')[0]}#{started['state']}",
        )
        assert (code, "Invalid code_verifier" in said) == (1, True), said

        # Account Selection Problems: see the strategy, choose one; the share follows the tier.
        assert run(gateway, "config", "get", "lb_strategy").startswith("session")
        assert "Invalid strategy: roulette" in run(
            gateway, "config", "set", "lb_strategy", "roulette", code=2
        )
        run(gateway, "strategy", "set", "weighted")
        run(gateway, "account", "add", "big", "--api-key-stdin", "--tier", "6", stdin="sk-ant-sim-big")
        for _ in range(8):
            assert message(gateway).status_code == 200
        assert {name: one["request_count"] for name, one in _rows(gateway).items()}["big"] >= 5

        # Recovery Strategies: pause a limited account; the others serve, and its reset is kept.
        provider.script("sk-ant-sim-big", rules=_LIMITED)
        wait_until(lambda: message(gateway).status_code == 200 and gateway.account("big")["rate_limit_reset"])
        run(gateway, "account", "pause", "big")
        assert message(gateway).status_code == 200

    # How do I back up my accounts, and move them: a stopped gateway answers the same commands.
    assert _rows(gateway)["big"]["status"] == "paused"
    run(gateway, "account", "resume", "big")
    assert _rows(gateway)["big"]["rate_limit_reset"] is not None
    run(gateway, "db", "backup", str(tmp_path / "copies"))
