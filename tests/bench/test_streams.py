import resource
import sys

import pytest

from bench.memory import release
from bench.processes import mock_upstream
from bench.streams import ReadersProcess, possible_streams


def test_every_event_of_a_crowd_is_accounted_for() -> None:
    """Straight to the mock: as many as were sent, each once and in order, with their ages; then the end."""
    with mock_upstream() as port, ReadersProcess() as readers:
        readers.open("direct", "tick", "127.0.0.1", port, 50)
        heard = readers.do("listen", seconds=1.0)["direct"]
        assert heard["events"] >= 50
        assert 0 < heard["p50"] <= heard["p99"] <= heard["max"]
        release(port)
        ended = readers.do("end", group="direct")
        assert (ended["streams"], ended["ended"], ended["faults"]) == (50, 50, [])
        assert ended["events"] >= heard["events"]


def test_a_storm_is_answered_by_the_mock_itself() -> None:
    """All connections of one turn of the event loop get their answer, or are told of one by one."""
    with mock_upstream() as port, ReadersProcess() as readers:
        found = readers.do("storm", host="127.0.0.1", port=port, count=40)
        assert (found["answers"], found["faults"]) == (40, [])


def test_a_stream_that_is_cut_is_a_fault() -> None:
    """Otherwise a gateway that loses streams would look quick."""
    with ReadersProcess() as readers:
        with mock_upstream() as port:
            readers.open("direct", "tick", "127.0.0.1", port, 3)
        ended = readers.do("end", group="direct")
        assert ended["ended"] == 0
        assert all("broken off" in fault for fault in ended["faults"])
        assert len(ended["faults"]) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_the_limit_of_descriptors_is_told_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream takes two in the gateway; what the system forbids is said, not run into."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert possible_streams(1000) == (1000, None)
    count, limit = possible_streams(10_000)
    assert count == 2008
    assert limit is not None
    assert "4096" in limit
