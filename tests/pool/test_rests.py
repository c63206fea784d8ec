import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.faults import Fault
from headgate.pool.rests import Rest, read_state, utc, write_state

MINUTE = "1970-01-01T00:01:00Z"

json_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([1]), st.just({"a": 1})
)
entries = st.dictionaries(
    st.sampled_from(["fault", "model", "until", "level", "since", "reason", "new"]),
    json_values | st.sampled_from([fault.value for fault in Fault]),
)


@given(
    st.dictionaries(
        st.sampled_from(["rests", "forbidden_at", "served", "version", "new"]),
        json_values | st.lists(entries, max_size=3),
    )
)
def test_any_stored_state_reads(state: dict[str, Any]) -> None:
    """Another version wrote it, or somebody's hand: what does not read is left out, nothing raises."""
    rests, forbidden_at, served = read_state(state)
    written = write_state(rests, forbidden_at, served)
    assert read_state(written) == (rests, forbidden_at, served)


def test_an_unknown_fault_is_left_out_and_the_rest_is_kept() -> None:
    known = {"fault": "limited", "model": None, "until": 5.0, "colour": "red"}
    rests, _, _ = read_state({"rests": [{"fault": "sunspots", "until": 9.0}, known, "?"], "later": 1})
    assert [(rest.fault, rest.until) for rest in rests] == [(Fault.LIMITED, 5.0)]


def test_an_infinite_rest_is_written_as_null() -> None:
    """JSON has no infinity, and PostgreSQL refuses it."""
    rest = Rest(Fault.REFUSED, None, math.inf, 0, 0.0, "")
    assert write_state([rest], [], set())["rests"][0]["until"] is None


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (Rest(Fault.LIMITED, None, 60, 0, 0, "x"), f"rate limited until {MINUTE}"),
        (Rest(Fault.MODEL_LIMITED, "m", 60, 0, 0, ""), f"model m rate limited until {MINUTE}"),
        (Rest(Fault.MODEL_MISSING, "m", 60, 0, 0, ""), f"model m not served, asked again after {MINUTE}"),
        (Rest(Fault.REFUSED, None, math.inf, 0, 0, "401 bad key"), "needs re-auth: 401 bad key"),
        (
            Rest(Fault.UNREACHABLE, None, 60, 0, 0, "ETIMEDOUT"),
            f"unreachable: ETIMEDOUT; rests until {MINUTE}",
        ),
    ],
)
def test_a_rest_says_what_it_is_and_how_long(rest: Rest, words: str) -> None:
    assert rest.in_words() == words


def test_a_moment_beyond_the_calendar_still_prints() -> None:
    assert utc(1e18) == "1000000000000000000"
