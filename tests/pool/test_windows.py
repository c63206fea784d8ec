from headgate.pool.windows import Windows
from headgate.providers.anthropic import AnthropicProvider
from headgate.wire.headers import Headers

NOW = 1_800_000_000.0


def unified(name: str, utilization: str, reset: float) -> Headers:
    prefix = f"anthropic-ratelimit-unified-{name}-".encode()
    return [(prefix + b"utilization", utilization.encode()), (prefix + b"reset", str(int(reset)).encode())]


def used(windows: Windows, now: float) -> dict[str, float | None]:
    return {window.name: window.utilization for window in windows.at(now)}


def test_the_newest_statement_about_a_window_counts() -> None:
    windows = Windows(AnthropicProvider())
    windows.put_aside(unified("5h", "0.2", NOW + 900), NOW)
    windows.put_aside(unified("5h", "0.3", NOW + 900), NOW + 0.1)
    assert used(windows, NOW + 1) == {"5h": 0.3}


def test_an_answer_without_limits_does_not_wipe_what_is_known() -> None:
    """A list of models carries no limit headers."""
    windows = Windows(AnthropicProvider())
    windows.put_aside(unified("5h", "0.2", NOW + 900), NOW)
    windows.put_aside([(b"date", b"x")], NOW + 5)
    windows.put_aside([], NOW + 5.1)
    assert used(windows, NOW + 6) == {"5h": 0.2}


def test_windows_of_different_answers_stand_side_by_side() -> None:
    windows = Windows(AnthropicProvider())
    windows.put_aside(unified("5h", "0.2", NOW + 900), NOW)
    windows.add(AnthropicProvider().read_limits(unified("7d", "0.9", NOW + 9000), NOW))
    assert used(windows, NOW) == {"5h": 0.2, "7d": 0.9}


def test_a_window_whose_reset_is_past_says_nothing_any_more() -> None:
    windows = Windows(AnthropicProvider())
    windows.put_aside(unified("5h", "1.0", NOW + 900), NOW)
    assert used(windows, NOW + 899) == {"5h": 1.0}
    assert used(windows, NOW + 900) == {"5h": None}
