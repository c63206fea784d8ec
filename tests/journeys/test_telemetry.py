"""Traces and measurements at a real receiver of the collector's protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headgate.testing.process import SimulatedProvider
from tests.collector import Collector, fields_of
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import logged, message, record_of
from tests.testing.wire import ask

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
NOT_SAMPLED = f"00-{TRACE}-{PARENT}-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


def telling(folder: Path, provider: SimulatedProvider, collector: Collector, **more: Any) -> Gateway:
    provider.reset()
    settings = {"telemetry": {"otlp_endpoint": collector.url}}
    return Gateway(folder, provider=provider.url, accounts=("a", "b"), settings=settings, **more)


def test_a_request_is_a_trace(tmp_path: Path, provider: SimulatedProvider, collector: Collector) -> None:
    """The request below its client's span, its tries below it, by the conventions for generative AI."""
    environment = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment=here",
    }
    with telling(tmp_path, provider, collector, environment=environment) as gateway:
        provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
        headers = {"traceparent": SAMPLED, "x-headgate-session": "a-session"}
        answer = message(gateway, "a secret question", stream=True, headers=headers)
        assert answer.status_code == 200
        record = record_of(gateway, answer)
        wait_until(lambda: len(collector.spans) >= 3, what="three spans")
        root, failed, served = collector.spans
        assert (root.kind, failed.kind, served.kind) == (Span.SPAN_KIND_SERVER, *[Span.SPAN_KIND_CLIENT] * 2)
        assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
        assert root.parent_span_id.hex() == PARENT
        assert failed.parent_span_id == served.parent_span_id == root.span_id
        assert root.name == "POST /v1/messages"
        assert served.name == f"chat {record['model']}"
        assert (failed.status.code, served.status.code) == (
            Status.STATUS_CODE_ERROR,
            Status.STATUS_CODE_UNSET,
        )
        assert root.start_time_unix_nano <= failed.start_time_unix_nano < failed.end_time_unix_nano
        assert failed.end_time_unix_nano <= served.start_time_unix_nano < served.end_time_unix_nano
        assert served.end_time_unix_nano == root.end_time_unix_nano
        said = fields_of(served.attributes)
        usage = record["usage"]
        cached = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
        assert said["gen_ai.operation.name"] == "chat"
        assert said["gen_ai.provider.name"] == "anthropic"
        assert said["gen_ai.request.model"] == record["model"]
        assert said["gen_ai.conversation.id"] == "a-session"
        assert said["gen_ai.usage.output_tokens"] == usage["output_tokens"]
        assert said["gen_ai.usage.input_tokens"] == usage["input_tokens"] + sum(
            usage[one] or 0 for one in cached
        )
        assert said["gen_ai.response.time_to_first_chunk"] > 0
        assert said["headgate.account"] == "b"
        assert "error.type" not in said
        failure = fields_of(failed.attributes)
        assert (failure["error.type"], failure["http.response.status_code"]) == ("rate_limit_error", 429)
        assert "gen_ai.usage.output_tokens" not in failure
        request = fields_of(root.attributes)
        assert (request["http.response.status_code"], request["url.path"]) == (200, "/v1/messages")
        assert request["headgate.request.id"] == answer.headers["x-headgate-request-id"]
        assert collector.resources[0]["service.name"] == "headgate"
        assert collector.resources[0]["deployment"] == "here"
        assert collector.headers[0]["x-tenant"] == "blue"
        assert collector.asked[0] == ("/v1/traces", "application/x-protobuf")
        assert "secret question" not in "".join(map(str, collector.spans))


def test_measurements_by_the_conventions(
    tmp_path: Path, provider: SimulatedProvider, collector: Collector
) -> None:
    """Duration, tokens, time to the first token; also those of the last moment before a stop."""
    with telling(tmp_path, provider, collector) as gateway:
        assert message(gateway, stream=True).status_code == 200
        assert message(gateway, max_tokens=-1).status_code == 400
        gateway.stop(expect_code=0)
    names = {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.server.time_to_first_token",
    }
    assert collector.metrics.keys() == names
    assert (collector.metrics["gen_ai.client.operation.duration"].unit, len(collector.spans)) == ("s", 4)
    points = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert sorted(fields_of(one.attributes).get("error.type", "") for one in points) == [
        "",
        "invalid_request_error",
    ]
    for one in points:
        said = fields_of(one.attributes)
        assert (said["gen_ai.operation.name"], said["gen_ai.provider.name"]) == ("chat", "anthropic")
        assert list(one.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    tokens = collector.metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {fields_of(one.attributes)["gen_ai.token.type"] for one in tokens} == {"input", "output"}


def test_a_client_that_does_not_sample_gets_no_spans(
    tmp_path: Path, provider: SimulatedProvider, collector: Collector
) -> None:
    """And one that sends nonsense gets a trace of its own. What it sent travels on as it came."""
    with telling(tmp_path, provider, collector) as gateway:
        for traceparent in (NOT_SAMPLED, "nonsense"):
            assert message(gateway, headers={"traceparent": traceparent}).status_code == 200
        gateway.stop(expect_code=0)
    assert len(collector.spans) == 2
    assert collector.spans[0].parent_span_id == b""
    assert collector.spans[0].trace_id.hex() != TRACE
    for traceparent, row in zip((NOT_SAMPLED, "nonsense"), provider.received()[-2:], strict=True):
        assert f"\r\ntraceparent: {traceparent}\r\n".encode() in row["head"]


def test_traces_end_here_where_the_owner_says_so(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`telemetry.pass_traces`, also while the gateway runs, and on a connection that is open already."""
    traced = {"traceparent": SAMPLED, "tracestate": "a=b", "baggage": "user=ann", "x-other": "stays"}
    provider.reset()
    with Gateway(tmp_path, provider=provider.url) as gateway, httpx.Client(verify=NO_TLS) as client:

        def sent() -> set[str]:
            headers = {**traced, "x-api-key": CLIENT_KEY}
            assert client.post(gateway.url + "/v1/messages", json=ask(), headers=headers).status_code == 200
            head = provider.received()[-1]["head"].decode("latin-1")
            return {name for name, value in traced.items() if f"\r\n{name}: {value}\r\n" in head}

        assert sent() == traced.keys()
        gateway.admin("/api/config", method="PUT", body={"telemetry.pass_traces": False})
        assert sent() == {"x-other"}


def test_a_collector_that_is_away_holds_nobody_up(
    tmp_path: Path, provider: SimulatedProvider, collector: Collector
) -> None:
    """It is said once, and counted; records are stored, and the setting may change while the gateway runs."""
    collector.status = 400
    with telling(tmp_path, provider, collector) as gateway:
        answers = [message(gateway) for _ in range(3)]
        assert all(record_of(gateway, answer)["status"] == 200 for answer in answers)
        logged(gateway, "OpenTelemetry collector takes nothing")
        failed = 'headgate_telemetry_requests_total{outcome="failed"} 3'
        wait_until(lambda: failed in scraped(gateway), what="three failures")
        collector.status = 200
        with Collector() as other:
            change = {"telemetry.otlp_endpoint": other.url}
            gateway.admin("/api/config", method="PUT", body=change)
            assert message(gateway).status_code == 200
            wait_until(lambda: bool(other.spans), what="a span at the other collector")


def scraped(gateway: Gateway) -> str:
    return gateway.ask("GET", "/metrics")[1].decode()
