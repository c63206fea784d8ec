"""Finished requests to an OpenTelemetry collector (OTLP over HTTP), from a thread of the recorder.

Nobody waits for it: what finds no room in the queue is dropped and counted, as is what a collector does not
take. The packages are those of the extra `otel`; without them one line in the log says so.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

from headgate.record.events import Record, RequestRecord
from headgate.record.tally import MOST_MODELS, OTHER, Exports

if TYPE_CHECKING:
    from headgate.record.otlp import Sender

MOST_WAITING = 4_096
"""Requests."""
BATCH = 256
GATHER_SECONDS = 1.0
CLOSE_SECONDS = 2.0
"""How long the end of the recorder waits for what is under way."""

_log = logging.getLogger("headgate.telemetry")


class Telemetry:
    """Lives as long as the recorder; `follow` says where to, and may say otherwise later."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports
        self._endpoint: str | None = None
        self._stream: Stream | None = None

    def follow(self, endpoint: str | None) -> None:
        """None: nowhere."""
        if endpoint == self._endpoint:
            return
        self._endpoint = endpoint
        self.close(seconds=0.0)
        if endpoint is None:
            return
        try:
            from headgate.record.otlp import Sender
        except ImportError as error:
            _log.error(
                "telemetry.otlp_endpoint is set, but OpenTelemetry is not installed (%s): nothing is sent."
                " Mend: pip install '.[otel]' in a checkout, 'headgate[otel]' where it was installed by name",
                error.name or error,
            )
            return
        self._stream = Stream(Sender(endpoint, version("headgate")), self._exports)

    def add(self, records: Iterable[Record]) -> None:
        if self._stream is not None:
            self._stream.add(record for record in records if isinstance(record, RequestRecord))

    def close(self, *, seconds: float = CLOSE_SECONDS) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close(seconds)


class Stream:
    """One thread that sends to one collector."""

    def __init__(self, sender: "Sender", exports: Exports) -> None:
        self._sender = sender
        self._exports = exports
        self._waiting: deque[RequestRecord] = deque()
        self._news = threading.Condition()
        self._is_closed = False
        self._is_failing = False
        self._models: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def add(self, records: Iterable[RequestRecord]) -> None:
        with self._news:
            for record in records:
                if len(self._waiting) >= MOST_WAITING:
                    self._exports.dropped += 1
                else:
                    self._waiting.append(record)
            if self._waiting:
                self._news.notify()

    def close(self, seconds: float) -> None:
        """What is not sent by then is lost, and so is what comes after."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        if seconds:
            self._thread.join(seconds)
        self._sender.give_up()

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._send(batch)
        finally:
            self._sender.close()

    def _next(self) -> list[RequestRecord]:
        """Empty: there will be no more."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._is_closed)
            if not self._is_closed and len(self._waiting) < BATCH:
                self._news.wait_for(lambda: self._is_closed or len(self._waiting) >= BATCH, GATHER_SECONDS)
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _send(self, batch: list[RequestRecord]) -> None:
        try:
            for record in batch:
                self._sender.measure(record, self._known(record))
            has_arrived = self._sender.send(batch)
        except Exception as error:  # whatever a record holds, those after it are sent
            _log.warning("Requests could not be told to the collector: %s", error)
            has_arrived = False
        if has_arrived:
            self._exports.sent += len(batch)
        else:
            self._exports.failed += len(batch)
        if has_arrived is self._is_failing:
            self._is_failing = not has_arrived
            if self._is_failing:
                _log.warning("The OpenTelemetry collector takes nothing: what it does not take is lost")
            else:
                _log.info("The OpenTelemetry collector takes requests again")

    def _known(self, record: RequestRecord) -> str | None:
        """A model as measurements may name it: what clients make up is `other`."""
        model = record.model
        if model is None or model in self._models:
            return model
        if record.status >= 400 or record.account_id is None or len(self._models) >= MOST_MODELS:
            return OTHER
        self._models.add(model)
        return model
