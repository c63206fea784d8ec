"""What the owner may see of the machinery of a running gateway, at the moment it is asked for."""

from dataclasses import dataclass

import psutil

from headgate.record.tally import Tally
from headgate.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Workings:
    """Taken together in one turn of the event loop."""

    connections: int
    """Of clients."""
    most_connections: int
    upstream_open: int
    upstream_resting: int
    """Of the open ones, those that wait for their next request."""
    connects: int
    """Connections to providers that were opened since the start."""
    connect_seconds: float
    """What that took in all."""
    connect_failures: int
    journal_bytes: int
    journal_segments: int
    journal_max_bytes: int
    oldest_waiting_at: float | None
    """Unix seconds of the first record that is not known to be in the database; None: all are."""
    messages_refused: int
    """Not taken into the journal, so that records find room."""
    vitals: Vitals
    tally: Tally | None
    """Of the present recorder; None: it has counted nothing yet."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has taken so far."""

    cpu_seconds: float
    memory_bytes: int


def use_of(pid: int | None) -> Use | None:
    """Of the process `pid`, or of this one. None: it is gone."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return Use(times.user + times.system, process.memory_info().rss)
    except psutil.Error:
        return None
