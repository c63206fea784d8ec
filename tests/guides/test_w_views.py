"""Ledger row W3, the other views: requests with detail, analytics, windows, logs, as a dashboard asks."""

from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message

MODEL, OTHER = "claude-sonnet-4-5", "claude-opus-4-5"


def test_w3_from_a_chart_to_the_request_and_its_log_lines(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A point of the chart leads to its requests, a request to its attempts, conversation and log lines, an
    account to its window; each with its filters, and all of one mind. W3."""
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two")) as gateway:
        for text in ("first", "second"):
            assert message(gateway, text, model=MODEL, stream=True).status_code == 200
        provider.script("*", rules=[{"fault": "status", "status": 529, "times": 1}])
        moved = message(gateway, "third", model=OTHER)
        assert moved.status_code == 200
        wait_until(lambda: gateway.admin("/api/stats")["requests"] == 3, what="all in the sums")

        # the chart
        points = _of(gateway, "/api/analytics?range=1h&sections=time_series", "time_series")
        assert len(points) == 61 and sum(point["requests"] for point in points) == 3
        (minute, *_) = [point["at"] for point in points if point["requests"]]
        by_model = _of(gateway, f"/api/analytics?range=1h&model={OTHER}&sections=overview", "overview")
        assert (by_model["requests"], by_model["models"]) == (1, 1)

        # its requests, by the same filters
        page = gateway.admin(f"/api/requests?limit=2&since={minute}")
        assert len(page["requests"]) == 2
        rest = gateway.admin(f"/api/requests?limit=2&since={minute}&cursor={page['next_cursor']}")
        ids = {row["id"] for row in page["requests"] + rest["requests"]}
        assert len(ids) == 3 and moved.headers["x-headgate-request-id"] in ids
        (found,) = gateway.admin(f"/api/requests?model={OTHER}")["requests"]
        assert gateway.admin(f"/api/requests?account={found['account']}&model={OTHER}")["requests"] == [found]
        assert gateway.admin("/api/requests?status=error")["requests"] == []

        # one request
        detail = gateway.admin(f"/api/requests/{found['id']}")
        assert [(one["status"], one["error"]) for one in detail["attempts"]] == [
            (529, "overloaded_error"),
            (200, None),
        ]
        assert detail["usage"] == found["usage"] and detail["cost_usd"] == found["cost_usd"] > 0
        talk = gateway.admin(f"/api/conversations/{detail['conversation']}")
        assert [turn["id"] for branch in talk["branches"] for turn in branch["turns"]] == [found["id"]]

        # what the log says of it
        lines = gateway.admin("/api/logs?limit=1000")["logs"]
        assert any(
            line["request_id"] == found["id"] and "Request completed" in line["text"] for line in lines
        )
        worse = gateway.admin("/api/logs?limit=1000&level=warn")["logs"]
        assert {line["level"] for line in worse} <= {"warn", "error"} and len(worse) < len(lines)

        # the window of its account
        window = gateway.admin(f"/api/token-usage/current?accountId={found['account']}")["window"]
        its = gateway.admin(f"/api/requests?account={found['account']}")["requests"]
        served = [row for row in its if row["account"] == found["account"]]
        assert window["requests"] == len(served)
        assert window["output_tokens"] == sum(row["usage"]["output_tokens"] for row in served)


def _of(gateway: Gateway, path: str, section: str) -> Any:
    return gateway.admin(path)[section]
