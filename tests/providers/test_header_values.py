import pytest

from headgate.providers import header_values

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("", None),
        (None, None),
        ("99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert header_values.retry_after(text, NOW) == seconds


def test_what_is_spent_is_never_negative_and_nothing_is_no_division() -> None:
    assert header_values.spent(25, 100) == 0.75
    assert header_values.spent(150, 100) == 0.0
    assert header_values.spent(5, 0) is None
    assert header_values.spent(None, 10) is None
