"""What a request adds to every sum is read in one place."""

from headgate.storage.rollup_tables import MOST_NANO_USD, MOST_OF_ONE
from headgate.storage.sums import COUNTED, counts_of
from tests.storage.rows import request_row


def read(**changes: object) -> dict[str, int]:
    return dict(zip(COUNTED, counts_of(request_row("r", **changes)), strict=True))


def test_cache_writes_of_both_lifetimes_are_one_count() -> None:
    assert read(cache_write_5m_tokens=4, cache_write_1h_tokens=5)["cache_write_tokens"] == 9
    assert read(cache_write_5m_tokens=None, cache_write_1h_tokens=5)["cache_write_tokens"] == 5


def test_what_used_something_and_has_no_cost_is_unpriced() -> None:
    assert read(nano_usd=0)["unpriced"] == 0
    assert read(nano_usd=None)["unpriced"] == 1
    assert read(nano_usd=None, input_tokens=None, output_tokens=0)["unpriced"] == 1
    assert read(nano_usd=None, input_tokens=None, output_tokens=None)["unpriced"] == 0


def test_nonsense_is_bounded_count_by_count() -> None:
    """As in the database's own words (`rollup_rebuild.py`)."""
    told = read(input_tokens=2**62, cache_write_5m_tokens=2**62, cache_write_1h_tokens=7, nano_usd=2**62)
    assert (told["input_tokens"], told["output_tokens"]) == (MOST_OF_ONE, 2)
    assert (told["cache_write_tokens"], told["nano_usd"]) == (MOST_OF_ONE + 7, MOST_NANO_USD)


def test_a_failure_is_a_status_or_an_error() -> None:
    assert [read(**one)["failed"] for one in ({}, {"status": 400}, {"error": "overloaded_error"})] == [
        0,
        1,
        1,
    ]
