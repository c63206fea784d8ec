"""The queue to a collector: bounded, counted, and no burden where there is none."""

import logging
import sys
import threading
from collections.abc import Iterable

import pytest

from headgate.record.events import RequestRecord
from headgate.record.tally import OTHER, Exports
from headgate.record.telemetry import BATCH, MOST_WAITING, Stream, Telemetry
from tests.record.samples import request


class Slow:
    """A collector that takes nothing until it is let."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_asked = threading.Event()
        self.sent: list[str] = []
        self.models: list[str | None] = []

    def measure(self, record: RequestRecord, model: str | None) -> None:
        if record.id == "bad":
            raise ValueError("no such thing")
        self.models.append(model)

    def send(self, records: Iterable[RequestRecord]) -> bool:
        self.is_asked.set()
        assert self.is_open.wait(20)
        self.sent += [record.id for record in records]
        return True

    def give_up(self) -> None: ...

    def close(self) -> None: ...


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    """Whoever adds is never held up, and nothing is lost unsaid."""
    slow, exports = Slow(), Exports()
    stream = Stream(slow, exports)  # type: ignore[arg-type]
    stream.add(request(str(n)) for n in range(BATCH))
    assert slow.is_asked.wait(20)
    stream.add(request(str(n)) for n in range(BATCH, BATCH + MOST_WAITING + 7))
    assert exports.dropped == 7
    slow.is_open.set()
    stream.close(20.0)
    assert slow.sent == [str(n) for n in range(BATCH + MOST_WAITING)]
    assert exports == Exports(sent=BATCH + MOST_WAITING, failed=0, dropped=7)


def test_a_record_that_cannot_be_told_stops_nothing() -> None:
    slow, exports = Slow(), Exports()
    slow.is_open.set()
    stream = Stream(slow, exports)  # type: ignore[arg-type]
    stream.add([request("bad")])
    stream.add(request(str(n), model=f"m-{n}") for n in range(BATCH * 2))
    stream.add([request("made-up", model="made-up", status=404)])
    stream.close(20.0)
    assert exports.sent + exports.failed == BATCH * 2 + 2
    assert exports.failed >= 1
    assert len(set(slow.models)) <= 101
    assert OTHER in slow.models


def test_without_the_extra_the_owner_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing breaks, and the line says what to install."""
    monkeypatch.setitem(sys.modules, "headgate.record.otlp", None)
    telemetry = Telemetry(Exports())
    with caplog.at_level(logging.ERROR, logger="headgate.telemetry"):
        for _ in range(2):
            telemetry.follow("http://127.0.0.1:4318")
        telemetry.add([request("a")])
        telemetry.close()
    (line,) = caplog.messages
    assert "pip install '.[otel]' in a checkout" in line
