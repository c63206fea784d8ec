"""The relaying side as its owner sees it on `/health` and `/status`."""

from collections.abc import Collection

from headgate.admin.workings import Workings
from headgate.errors import HeadgateError
from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess, RecorderReport
from headgate.relay.exchange import Exchange
from headgate.server.certificate import Certificate
from headgate.server.lane import FastLane
from headgate.upstream.client import UpstreamClient
from headgate.vitals import Vitals


class RunningProcess:
    """Reads the living parts at the moment they are shown."""

    def __init__(
        self,
        lane: FastLane,
        journal: Journal,
        recorder: RecorderProcess,
        certificate: Certificate | None = None,
        *,
        upstream: UpstreamClient,
        vitals: Vitals,
    ) -> None:
        self._lane = lane
        self._journal = journal
        self._recorder = recorder
        self._certificate = certificate
        self._upstream = upstream
        self._vitals = vitals
        self.is_draining = False

    @property
    def in_flight(self) -> int:
        return len(self._lane.open_exchanges)

    @property
    def open_streams(self) -> int:
        return sum(exchange.has_started for exchange in self._lane.open_exchanges)

    @property
    def open_requests(self) -> Collection[Exchange]:
        return self._lane.open_exchanges

    @property
    def journal_dropped(self) -> int:
        return self._journal.dropped

    @property
    def journal_failure(self) -> str | None:
        return self._journal.failing

    @property
    def certificate_failure(self) -> HeadgateError | None:
        return self._certificate.failure if self._certificate is not None else None

    @property
    def certificate_ends_at(self) -> float | None:
        return self._certificate.ends_at if self._certificate is not None else None

    @property
    def recorder(self) -> RecorderReport:
        return self._recorder.state

    @property
    def workings(self) -> Workings:
        crowd, upstream, journal = self._lane.crowd, self._upstream, self._journal
        return Workings(
            connections=crowd.size,
            most_connections=crowd.most,
            upstream_open=upstream.open_count,
            upstream_resting=upstream.resting_count,
            connects=upstream.connects,
            connect_seconds=upstream.connect_seconds,
            connect_failures=upstream.connect_failures,
            journal_bytes=journal.size(),
            journal_segments=journal.segments(),
            journal_max_bytes=journal.max_bytes,
            oldest_waiting_at=self._recorder.oldest_waiting_at,
            messages_refused=journal.spans_refused,
            vitals=self._vitals,
            tally=self._recorder.tally,
        )
