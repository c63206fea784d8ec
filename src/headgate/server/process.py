"""The relaying side as its owner sees it on `/health` and `/status`."""

from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess, RecorderReport
from headgate.server.lane import FastLane


class RunningProcess:
    """Reads the living parts at the moment they are shown."""

    def __init__(self, lane: FastLane, journal: Journal, recorder: RecorderProcess) -> None:
        self._lane = lane
        self._journal = journal
        self._recorder = recorder
        self.is_draining = False

    @property
    def in_flight(self) -> int:
        return len(self._lane.open_exchanges)

    @property
    def open_streams(self) -> int:
        return sum(exchange.has_started for exchange in self._lane.open_exchanges)

    @property
    def journal_dropped(self) -> int:
        return self._journal.dropped

    @property
    def journal_failure(self) -> str | None:
        return self._journal.failing

    @property
    def recorder(self) -> RecorderReport:
        return self._recorder.state
