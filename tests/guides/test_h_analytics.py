"""Guide rows H6, H7, H8, H13 and D13: what happened, in sums, asked of a running gateway."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message, run

ADMIN_KEY = "the-owner's-key"
DASHBOARD = {"x-dashboard-key": ADMIN_KEY}
MODEL = "claude-sonnet-4-5"


def look(gateway: Gateway, path: str, status: int = 200) -> Any:
    answered, body = gateway.ask("GET", path, headers=DASHBOARD)
    assert answered == status, body
    return json.loads(body)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """It has seen three requests that went well, one that failed and one that counts tokens; then a kill."""
    settings = {"admin": {"key": ADMIN_KEY}}
    with SimulatedProvider() as provider:
        folder = tmp_path_factory.mktemp("analytics")
        with Gateway(folder, provider=provider.url, settings=settings) as gateway:
            assert message(gateway, model=MODEL).status_code == 200
            for stream in (False, True):
                tool = {"name": "read", "input_schema": {"type": "object"}}
                chosen = {"tools": [tool], "tool_choice": {"type": "tool", "name": "read"}}
                assert message(gateway, model=MODEL, stream=stream, **chosen).status_code == 200
            provider.script("*", rules=[{"fault": "status", "status": 400, "times": 1}])
            assert message(gateway, model=MODEL).status_code == 400
            assert message(gateway, path="/v1/messages/count_tokens", model=MODEL).status_code == 200
            gateway.kill()
            gateway.start()
            wait_until(lambda: look(gateway, "/api/stats")["requests"] == 5, what="all requests in the sums")
            yield gateway


def test_h6_stats_failed_requests_and_analytics(busy: Gateway) -> None:
    """`/api/stats`, the failed requests, `/api/analytics` for each range and choice, with its `.overview`."""
    stats = look(busy, "/api/stats")
    assert (stats["errors"], stats["requests_by_kind"]["count_tokens"]) == (1, 1)
    failed = look(busy, "/api/requests?limit=10&status=error")["requests"]
    assert [one["status"] for one in failed] == [400]
    for range in ("1h", "6h", "24h", "7d", "30d", "90d"):
        overview = look(busy, f"/api/analytics?range={range}")["overview"]
        assert (overview["requests"], overview["errors"]) == (5, 1)
    overview = look(busy, f"/api/analytics?range=24h&model={MODEL}&status=success")["overview"]
    assert overview["requests"] == 4
    assert overview["duration_p95_ms"] >= overview["duration_p50_ms"] > 0


def test_h6_by_project_and_by_client(tmp_path: Path) -> None:
    """Who asked, by the program's name, and for what, by a header that goes no further than the gateway."""
    asked = [
        ("claude-cli/2.0.76 (external, cli)", "website", MODEL),
        ("claude-cli/2.1.4 (external, sdk-py)", "website", "claude-haiku-4-5"),
        ("claude-cli/2.1.4 (external, cli)", "m\u00f6bel", MODEL),
        ("Anthropic/Python 0.70.0", "website", MODEL),
        ("curl/8.5.0", None, MODEL),
        ("curl/8.5.0", "w" * 70, MODEL),
        ("", "a\u200bb", MODEL),
    ]
    settings = {"admin": {"key": ADMIN_KEY}}
    with (
        SimulatedProvider() as provider,
        Gateway(tmp_path, provider=provider.url, settings=settings) as gateway,
    ):
        provider.keep_bytes(True)
        for number, (user_agent, project, model) in enumerate(asked):
            headers = {"user-agent": user_agent, "x-headgate-session": f"s{number}"}
            said = {} if project is None else {"x-headgate-project": project.encode()}
            assert message(gateway, model=model, headers={**headers, **said}).status_code == 200
        assert "x-headgate-project" not in str(provider.received()).lower()
        wait_until(lambda: look(gateway, "/api/stats")["requests"] == len(asked), what="all in the sums")

        names = {
            "client": ["claude-code", "claude-code", "claude-code", "anthropic-python", "curl", "curl", ""],
            "project": ["website", "website", "m\u00f6bel", "website", "", "w" * 64, ""],
            "model": [model for *_, model in asked],
            "session": [f"s{number}" for number in range(len(asked))],
        }
        for wanted in (
            *({"client": name} for name in {*names["client"], "never"}),
            *({"project": name} for name in {*names["project"], "never"}),
            {"project": "website", "client": "claude-code"},
            {"project": "website", "client": "claude-code", "model": "claude-haiku-4-5"},
            {"session": "s2"},
        ):
            true = [
                number
                for number in range(len(asked))
                if all(names[kind][number] == name for kind, name in wanted.items())
            ]
            query = urlencode(wanted)
            page = look(gateway, f"/api/requests?{query}")["requests"]
            assert sorted(int(one["session"][1:]) for one in page) == true, wanted
            found = look(gateway, f"/api/analytics?range=1h&{query}")
            assert found["overview"]["requests"] == len(true), wanted
            assert sum(point["requests"] for point in found["time_series"]) == len(true), wanted
        for by in ("client", "project"):
            groups = look(gateway, f"/api/analytics?range=90d&group_by={by}")["groups"]
            assert {one["name"] or "": one["requests"] for one in groups} == Counter(names[by]), by
        listed = json.loads(run(gateway, "requests", "--project", "m\u00f6bel", "--json"))["requests"]
        assert [(one["client"], one["project"]) for one in listed] == [("claude-code", "m\u00f6bel")]


def test_h7_what_each_domain_used(busy: Gateway) -> None:
    """`/token-stats`, alone or for one domain: tokens, requests by kind, tools called; with the admin key."""
    its = look(busy, "/token-stats")["domains"]["(none)"]
    assert (its["requests"], its["errors"], its["by_kind"]["count_tokens"]) == (5, 1, 1)
    assert its["input_tokens"] > 0 < its["output_tokens"]
    assert its["tool_calls"] == 2
    assert its["last_updated_at"] > 0
    look(busy, "/token-stats?domain=nobody.example", 404)
    assert busy.ask("GET", "/token-stats")[0] == 401


def test_h8_the_window_and_the_days_of_an_account(busy: Gateway) -> None:
    """`/api/token-usage/current` and `/daily` with `accountId`: every request counts, failed ones too."""
    current = look(busy, "/api/token-usage/current?accountId=one")["window"]
    assert (current["requests"], current["errors"], current["by_kind"]["count_tokens"]) == (5, 1, 1)
    days = look(busy, "/api/token-usage/daily?accountId=one")["usage"]
    assert (len(days), sum(day["requests"] for day in days)) == (30, 5)
    assert busy.ask("GET", "/api/token-usage/daily?accountId=one")[0] == 401


def test_d13_past_windows_and_what_is_to_be_expected(busy: Gateway) -> None:
    """The window that runs, those before it, and points that add up, for one account and for all."""
    found = look(busy, "/api/token-usage/time-series?accountId=one")
    assert found["window"]["requests"] == sum(point["requests"] for point in found["time_series"]) == 5
    assert found["time_series"][-1]["cumulative_tokens"] == found["window"]["total_tokens"] > 0
    assert [one["requests"] for one in found["history"]] == [0] * 8
    accounts = look(busy, "/api/token-usage/accounts")["accounts"]
    assert [(one["account"], one["window"]["requests"]) for one in accounts] == [("one", 5)]


def test_h13_a_wrong_range_and_a_failed_query(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An unknown range names those that there are; a failed query says "Failed to fetch analytics data"
    with the reason, and "Analytics error: [reason]" in the log; requests are relayed all the same."""
    settings = {"admin": {"key": ADMIN_KEY}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        wrong = look(gateway, "/api/analytics?range=2h", 400)["detail"]
        for name in ("1h", "6h", "24h", "7d", "30d", "90d"):
            assert name in wrong
        with closing(sqlite3.connect(next(tmp_path.rglob("headgate.db")))) as file:
            file.execute("ALTER TABLE rollup_failures RENAME TO elsewhere")
            file.commit()
            failed = look(gateway, "/api/analytics", 503)["detail"]
            assert failed.startswith("Failed to fetch analytics data: ")
            assert "no such table: rollup_failures" in failed
            logged(gateway, "Analytics error: .*no such table: rollup_failures")
            assert message(gateway).status_code == 200
            file.execute("ALTER TABLE elsewhere RENAME TO rollup_failures")
            file.commit()
        assert look(gateway, "/api/analytics")["totals"]["errors"] == 0
