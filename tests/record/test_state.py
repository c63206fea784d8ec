from pathlib import Path

from headgate.clock import SystemClock
from headgate.record.replay import Counts
from headgate.record.state import StateFile, read_state
from tests.record.test_journal import SetClock


def test_the_state_is_read_as_it_was_saved(tmp_path: Path) -> None:
    StateFile(tmp_path, SystemClock()).save(Counts(written=3), {("j", "s"): 9}, "away")
    state = read_state(tmp_path)
    assert state is not None
    assert (state.counts, state.positions, state.failure) == (Counts(written=3), [("j", "s", 9)], "away")


def test_saving_is_rare_but_a_failure_is_news(tmp_path: Path) -> None:
    clock = SetClock()
    file = StateFile(tmp_path, clock)

    def saved(written: int, failure: str | None) -> tuple[int, str | None]:
        file.save(Counts(written=written), {}, failure)
        state = read_state(tmp_path)
        assert state is not None
        return state.counts.written, state.failure

    assert saved(1, None) == (1, None)
    assert saved(2, None) == (1, None)
    assert saved(3, "away") == (3, "away")
    assert saved(4, None) == (4, None)
    clock.seconds += 0.25
    assert saved(5, None) == (5, None)


def test_a_missing_or_broken_file_is_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    (tmp_path / "recorder.json").write_text("{")
    assert read_state(tmp_path) is None


def test_a_state_that_cannot_be_saved_stops_nothing(tmp_path: Path) -> None:
    StateFile(tmp_path / "gone", SystemClock()).save(Counts(), {}, None)
    assert read_state(tmp_path / "gone") is None
