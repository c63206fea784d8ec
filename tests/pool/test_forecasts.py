import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.forecasts import Forecast, Series, forecast
from headgate.providers.limits import Source, Window

NOW = 1_800_000_000.0
HOUR = 3600.0
LENGTH = 5 * HOUR


def window(used: float | None, at: float, resets_at: float | None) -> Window:
    return Window("5h", at, utilization=used, resets_at=resets_at, seconds=LENGTH)


def series(*said: tuple[float, float, int], resets_at: float) -> Series:
    made = Series()
    for at, used, requests in said:
        made.add(window(used, at, resets_at), requests)
    return made


def looked_at(
    used: float, *said: tuple[float, float, int], requests: int = 0, in_flight: int = 0
) -> Forecast:
    """Two hours into the window."""
    resets_at = NOW + 3 * HOUR
    known = series(*said, resets_at=resets_at)
    return forecast(window(used, NOW, resets_at), known, NOW, requests, in_flight)


def test_an_even_rate_is_carried_on() -> None:
    said = [(NOW - 2 * HOUR + minutes * 60, 0.6 * minutes / 120, minutes) for minutes in range(0, 121, 10)]
    seen = looked_at(0.6, *said, requests=120)
    assert seen.full_at == pytest.approx(NOW + 0.4 / 0.3 * HOUR)
    assert seen.full_at_earliest == pytest.approx(seen.full_at)
    assert seen.full_at_latest == pytest.approx(seen.full_at)
    assert (seen.utilization, seen.source, seen.at_reset) == (0.6, Source.HEADER, 1.0)


def test_a_burst_of_late_makes_it_uncertain() -> None:
    """By the last twenty minutes it is full soon, by the whole window not before its reset."""
    said = [(NOW - 2 * HOUR, 0.0, 0), (NOW - HOUR, 0.1, 10), (NOW - 1200, 0.1, 10), (NOW, 0.4, 40)]
    seen = looked_at(0.4, *said, requests=40)
    assert seen.full_at is not None
    assert seen.full_at - NOW == pytest.approx(0.6 / (0.3 / 1200), rel=0.01)
    assert seen.full_at_earliest == seen.full_at
    assert seen.full_at_latest is None


def test_what_was_sent_since_is_added_by_what_a_request_costs() -> None:
    seen = looked_at(0.2, (NOW - HOUR, 0.1, 10), (NOW, 0.2, 20), requests=25)
    assert (seen.utilization, seen.source) == (pytest.approx(0.25), Source.ESTIMATE)
    assert seen.per_request == pytest.approx(0.01)


def test_what_runs_counts_when_nothing_was_sent_since() -> None:
    seen = looked_at(0.2, (NOW - HOUR, 0.1, 10), (NOW, 0.2, 20), requests=20, in_flight=3)
    assert seen.utilization == pytest.approx(0.23)


def test_after_a_restart_the_whole_window_speaks() -> None:
    seen = looked_at(0.5)
    assert seen.full_at == pytest.approx(NOW + 2 * HOUR)


def test_a_full_window_is_full_now() -> None:
    assert looked_at(1.0).full_at == NOW


def test_nothing_is_foretold_of_what_is_not_known() -> None:
    seen = forecast(window(None, NOW, None), None, NOW, 5, 5)
    assert (seen.utilization, seen.full_at, seen.at_reset) == (None, None, None)


def test_a_window_that_began_anew_starts_from_nothing() -> None:
    known = series((NOW - HOUR, 0.7, 70), resets_at=NOW)
    known.add(window(0.02, NOW + 60, NOW + 60 + LENGTH), 71)
    assert [one.utilization for one in known.samples] == [0.02]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 600)), max_size=300))
def test_samples_are_few_and_the_last_statement_is_among_them(steps: list[tuple[float, int]]) -> None:
    known, at, count = Series(), NOW, 0
    for used, seconds in steps:
        at, count = at + seconds, count + 1
        known.add(window(used, at, NOW + LENGTH), count)
    assert len(known.samples) <= 100
    assert not steps or known.samples[-1].utilization == steps[-1][0]


@given(
    used=st.floats(0, 1),
    earlier=st.floats(0, 1),
    ago=st.floats(1, 20_000),
    until=st.floats(1, 18_000),
    requests=st.integers(0, 50),
    in_flight=st.integers(0, 50),
)
def test_a_forecast_is_always_in_order(
    used: float, earlier: float, ago: float, until: float, requests: int, in_flight: int
) -> None:
    """Never below what was stated, times ahead and before the reset, the present rate between the others."""
    resets_at = NOW + until
    known = series((NOW - ago, min(used, earlier), 0), (NOW, used, 10), resets_at=resets_at)
    seen = forecast(window(used, NOW, resets_at), known, NOW, requests, in_flight)
    assert seen.utilization is not None
    assert used <= seen.utilization <= 1
    fullness = [seen.full_at_earliest, seen.full_at, seen.full_at_latest]
    moments = [resets_at if one is None else one for one in fullness]
    assert NOW <= moments[0] <= moments[1] <= moments[2] <= resets_at
    assert seen.at_reset is None or seen.utilization <= seen.at_reset <= 1
