"""`--since` as people write it."""

import time
from datetime import datetime

import pytest

from headgate.cli.moments import read_since
from headgate.cli.terminal import CommandFailed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86_400), ("1.5h", 5400), (" 7D ", 7 * 86_400), ("2w", 14 * 86_400)],
)
def test_a_span_counts_back_from_now(text: str, seconds: float) -> None:
    since = read_since(text, doing="x")
    assert since is not None
    assert since / 1000 == pytest.approx(time.time() - seconds, abs=5)


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T08:00", "2026-01-31T08:00:00+01:00", "2026-01-31T08:00Z"]
)
def test_a_date_and_a_time_are_moments(text: str) -> None:
    """Without a zone they are this machine's."""
    assert read_since(text, doing="x") == datetime.fromisoformat(text).timestamp() * 1000


def test_all_has_no_beginning() -> None:
    assert read_since("all", doing="x") is None
    assert read_since("5000w", doing="x") == 0


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "d7", "-7d", "7y", "2026-13-01", "9" * 400 + "d", "٣h"]
)
def test_what_is_no_time_names_the_valid_forms(text: str) -> None:
    """Wrong usage: 2."""
    with pytest.raises(CommandFailed) as failed:
        read_since(text, doing="Cannot show the usage")
    assert failed.value.exit_code == 2
    assert repr(text) in failed.value.why
    assert "15m" in failed.value.mend and "2026-01-31" in failed.value.mend
