"""Guide rows H15, R15, S10 and S12: what the gateway's figures and log lines say to who looks for a cause."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from headgate.testing.process import SimulatedProvider
from tests.gateway import NO_TLS, Gateway, wait_until
from tests.guides.asking import lines_of, logged, message, record_of, run
from tests.guides.signing_in import code_shown, settings_of

ADMIN_KEY = "the-owner's-key"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(gateway: Gateway, accept: str = "", key: str | None = None) -> Samples:
    headers = {"accept": accept, **({"authorization": f"Bearer {key}"} if key else {})}
    status, body = gateway.ask("GET", "/metrics", headers=headers)
    assert status == 200, body
    read = read_open_metrics if accept else read_text
    families = list(read(body.decode()))
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def counted(gateway: Gateway, requests: int) -> Samples:
    """When the recorder has counted so many."""

    def count() -> bool:
        found = scraped(gateway).items()
        return sum(one for (name, _), one in found if name == "headgate_requests_total") >= requests

    wait_until(count, what=f"{requests} requests in /metrics")
    return scraped(gateway)


def test_h15_a_gauge_per_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A gauge per account for state and reset time in `/metrics`, in both of Prometheus's forms."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    settings = {"admin": {"key": ADMIN_KEY}}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings) as gateway:
        assert message(gateway).status_code == 200
        assert gateway.ask("GET", "/metrics")[0] == 401
        for accept in ("", OPEN_METRICS):
            found = scraped(gateway, accept, ADMIN_KEY)
            a, b = ({"account": name, "provider": "anthropic"} for name in ("a", "b"))
            assert value(found, "headgate_account_state", **a, state="rate_limited") == 1
            assert value(found, "headgate_account_state", **b, state="active") == 1
            assert value(found, "headgate_account_available", **a) == 0
            assert value(found, "headgate_account_available", **b) == 1
            account = json.loads(
                gateway.ask("GET", "/api/accounts/a", headers={"authorization": f"Bearer {ADMIN_KEY}"})[1]
            )
            assert (
                value(found, "headgate_account_reset_timestamp_seconds", **a) == account["rate_limit_reset"]
            )
            assert value(found, "headgate_account_reset_timestamp_seconds", **b) is None
        answer = httpx.head(gateway.url + "/metrics", headers={"x-management-key": ADMIN_KEY}, verify=NO_TLS)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_r15_a_rotation_is_counted_in_metrics(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A counter of rotations by the account that was left and why, beside the log line."""
    rule = {"fault": "429", "limit": "unified", "seconds": 900}
    provider.script("sk-ant-sim-a", rules=[rule])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert message(gateway).status_code == 200
        logged(gateway, r"Switched account: a -> b: ")
        found = counted(gateway, 1)
        assert value(found, "headgate_rotations_total", account="a", code="rate_limit_error") == 1
        assert value(found, "headgate_cooldowns_total", account="a", code="rate_limit_error") == 1
        assert value(found, "headgate_attempts_total", account="b", outcome="served") == 1
        assert value(found, "headgate_switches_total") == 1
        provider.script("sk-ant-sim-b", rules=[rule])
        assert message(gateway).status_code == 429
        found = counted(gateway, 2)
        errors = {"provider": "anthropic", "code": "all_accounts_limited"}
        assert value(found, "headgate_request_errors_total", **errors) == 1


def test_s10_where_time_and_memory_go(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Timings per stage, queue, streams, CPU and memory, in `/status`, `/metrics` and `headgate status`."""
    provider.script("*", pacing={"first_byte_ms": 120, "event_ms": 5})
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert message(gateway, stream=True).status_code == 200
        found = counted(gateway, 1)
        assert (value(found, "headgate_stage_seconds_sum", stage="provider") or 0) >= 0.12
        assert 0 < (value(found, "headgate_stage_seconds_sum", stage="own") or 0) < 0.12
        assert (value(found, "headgate_stage_seconds_sum", stage="body") or 0) > 0
        model = {"provider": "anthropic", "model": record_model(gateway)}
        assert value(found, "headgate_time_to_first_token_seconds_count", **model) == 1
        assert value(found, "headgate_request_duration_seconds_bucket", **model, le="0.1") == 0
        assert value(found, "headgate_request_duration_seconds_bucket", **model, le="+Inf") == 1
        assert (value(found, "headgate_tokens_total", **model, kind="output") or 0) > 0
        assert (value(found, "headgate_cost_usd_total", **model) or 0) > 0
        for name in ("headgate_queue_waiting", "headgate_open_streams", "headgate_requests_in_flight"):
            assert value(found, name) == 0
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
            assert (value(found, name) or 0) > 0
        assert value(found, "headgate_recorder_up") == 1
        assert value(found, "headgate_journal_dropped_records_total") == 0
        machine: dict[str, Any] = gateway.admin("/status")["machine"]
        assert machine["memory_bytes"] > 10 << 20
        assert machine["cpu_seconds"] > 0
        assert machine["stages"]["requests"] == 1
        assert machine["stages"]["provider_ms"] >= 120
        said = run(gateway, "status")
        assert re.search(r"[\d,]+ MiB, [\d.,]+ s of CPU so far, event loop late by \d+ ms at worst", said)
        assert re.search(
            r"A request in the mean of 1: our own [\d.,]+ ms, waiting [\d.,]+ ms, provider", said
        )


def record_model(gateway: Gateway) -> str:
    return str(gateway.requests()[0]["model"])


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_s12_the_guides_greps_find_their_lines(
    tmp_path: Path, provider: SimulatedProvider, form: str
) -> None:
    """Both formats: `oauth`, `Streaming response`, `rate.?limit`, `Async DB writer queue flushed`."""
    log = {"format": form, "file": str(tmp_path / "headgate.log"), "color": "never"}
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "unified", "seconds": 1, "times": 1}])
    settings = {"log": log, **settings_of(provider)}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        started = gateway.admin("/oauth/authorize?account=team")
        gateway.admin("/oauth/exchange", method="POST", body={"code": code_shown(started["url"])})
        for step in ("began", "signed in"):
            logged(gateway, f"(?i)oauth.*team.*{step}|team.*{step}.*oauth")
        answer = message(gateway, stream=True)
        assert answer.status_code == 200
        request_id = answer.headers["x-headgate-request-id"]
        assert request_id in logged(gateway, "Streaming response")
        assert record_of(gateway, answer)["stream"] is True
        logged(gateway, "rate.?limit")
        assert lines_of(gateway, "extractUsageInfo") == []
        gateway.stop(expect_code=0)
        flushed = logged(gateway, "Async DB writer queue flushed")
        assert "async-db-writer" in flushed
