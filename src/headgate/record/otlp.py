"""Spans and measurements on their way, by the OpenTelemetry SDK. Needs the extra `otel`.

`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_SERVICE_NAME`,
`OTEL_RESOURCE_ATTRIBUTES` and the others of the SDK hold as they do elsewhere.
"""

import logging
import uuid
from collections.abc import Iterable
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from headgate.record.events import RequestRecord
from headgate.record.semantics import Attributes, common, input_tokens, is_wanted, operation_of, spans_of

TIMEOUT_SECONDS = 5.0
_MOST_ANSWER_BYTES = 65_536
"""What is read of a collector's answer, whose words nobody needs."""
DURATION_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BOUNDS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
FIRST_TOKEN_BOUNDS = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)
"""As the conventions ask."""

for _name in ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.exporter.otlp.common"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # each failed try is a line there; ours say it once


def _session() -> requests.Session:
    """One whose answers cannot fill the memory, and that takes no redirect for a success."""
    session = requests.Session()
    session.stream = True
    session.hooks["response"].append(_read_little)
    return session


def _read_little(response: requests.Response, **_: Any) -> None:
    next(response.iter_content(_MOST_ANSWER_BYTES), b"")
    response.close()  # a connection that was read to the end is kept all the same
    if 300 <= response.status_code < 400:
        raise requests.RequestException("The collector redirects")


class Sender:
    """Called by one thread."""

    def __init__(self, endpoint: str, version: str) -> None:
        """`endpoint`: the collector's base URL, such as http://127.0.0.1:4318."""
        base = endpoint.rstrip("/")
        own = Resource(
            {"service.name": "headgate", "service.version": version, "service.instance.id": str(uuid.uuid4())}
        )
        self._resource = own.merge(OTELResourceDetector().detect())
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=TIMEOUT_SECONDS, session=_session())
        figures = OTLPMetricExporter(f"{base}/v1/metrics", timeout=TIMEOUT_SECONDS, session=_session())
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(figures)], resource=self._resource, shutdown_on_exit=False
        )
        meter = self._meters.get_meter("headgate", version)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKEN_BOUNDS,
        )
        self._first_token = meter.create_histogram(
            "gen_ai.server.time_to_first_token",
            unit="s",
            description="Time to generate first token for successful responses.",
            explicit_bucket_boundaries_advisory=FIRST_TOKEN_BOUNDS,
        )

    def measure(self, record: RequestRecord, model: str | None) -> None:
        """`model`: as measurements may name it."""
        if operation_of(record) is None:
            return
        labels: Attributes = common(record)
        if model is not None:
            labels["gen_ai.request.model"] = model
        usage = record.usage
        if usage is not None:
            self._tokens.record(input_tokens(usage), {**labels, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens or 0, {**labels, "gen_ai.token.type": "output"})
        if record.stream and record.status < 400 and record.first_byte_ms is not None:
            self._first_token.record(record.first_byte_ms / 1000, labels)
        if record.error is not None or record.status >= 400:
            labels["error.type"] = record.error or str(record.status)
        self._duration.record(record.duration_ms / 1000, labels)

    def send(self, records: Iterable[RequestRecord]) -> bool:
        """Whether the collector has taken them."""
        spans = [span for one in records if is_wanted(one) for span in spans_of(one, self._resource)]
        return not spans or self._spans.export(spans) is SpanExportResult.SUCCESS

    def give_up(self) -> None:
        """From another thread: cut short what is tried again."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._meters.shutdown(timeout_millis=TIMEOUT_SECONDS * 1000)
