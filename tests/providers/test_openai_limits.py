import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.openai_limits import duration, read_limits
from headgate.wire.headers import Headers

NOW = 1_800_000_000.0

DOCUMENTED: Headers = [
    (b"x-ratelimit-limit-requests", b"60"),
    (b"x-ratelimit-limit-tokens", b"150000"),
    (b"x-ratelimit-remaining-requests", b"59"),
    (b"x-ratelimit-remaining-tokens", b"149984"),
    (b"x-ratelimit-reset-requests", b"1s"),
    (b"x-ratelimit-reset-tokens", b"6m0s"),
]
"""The table of the documentation, value for value."""


def test_the_documented_headers_become_two_windows() -> None:
    requests, tokens = read_limits(DOCUMENTED, NOW).windows
    assert (requests.name, requests.limit, requests.remaining) == ("requests", 60, 59)
    assert (requests.resets_at, requests.utilization) == (NOW + 1, pytest.approx(1 / 60))
    assert (tokens.name, tokens.limit, tokens.remaining, tokens.resets_at) == (
        *("tokens", 150_000, 149_984),
        NOW + 360,
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("250ms", 0.25),
        ("17.284s", 17.284),
        ("1h30m", 5400.0),
        ("1d2h", 93_600.0),
        ("1m30.5s", 90.5),
        ("60", 60.0),
        ("", None),
        ("soon", None),
        ("6m oops", None),
        ("-3s", None),
        ("99999999d", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_refusal_rests_for_retry_after_else_until_what_is_empty_is_whole_again() -> None:
    empty: Headers = [
        *DOCUMENTED[:2],
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"12s"),
    ]
    assert read_limits(empty, NOW).reset_at == NOW + 12
    assert read_limits([*empty, (b"retry-after", b"20")], NOW).reset_at == NOW + 20
    exact = read_limits([*empty, (b"retry-after", b"1"), (b"retry-after-ms", b"250")], NOW)
    assert (exact.reset_at, exact.retry_after) == (NOW + 0.25, 0.25)


def test_an_answer_without_limits_says_nothing() -> None:
    assert read_limits([(b"content-type", b"application/json")], NOW).windows == ()
    assert read_limits(DOCUMENTED, NOW).reset_at is None


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in DOCUMENTED]), st.binary(max_size=12))))
def test_garbage_is_left_out_alone(headers: Headers) -> None:
    for window in read_limits([*headers, (b"x-ratelimit-limit-other", b"5")], NOW).windows:
        assert window.utilization is None or 0 <= window.utilization <= 1
        assert window.resets_at is None or window.resets_at >= NOW
