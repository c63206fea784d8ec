import re
from typing import Any

import pytest

from headgate.cli.account_limits import fullest, in_words

NOW = 1_800_000_000.0
CLOCK = r"(?:\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d)"


def window(name: str, used: float | None, **forecast: Any) -> dict[str, Any]:
    expected = {"utilization": used, "full_at": None, "full_at_earliest": None, "full_at_latest": None}
    return {
        "name": name,
        "utilization": used,
        "resets_at": NOW,
        "forecast": {**expected, "at_reset": None, **forecast} if forecast else None,
    }


def test_the_fullest_window_is_named() -> None:
    assert fullest([window("5h", 0.4), window("7d", 0.3, utilization=0.62), window("x", None)]) == "7d 62%"
    assert fullest([window("x", None)]) == fullest([]) == "-"


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        ({}, rf"5h: 40% used, resets {CLOCK}"),
        ({"at_reset": 0.7}, rf"5h: 40% used, resets {CLOCK}, about 70% used by then"),
        (
            {"at_reset": 0.7, "full_at_earliest": NOW - 60},
            rf"5h: 40% used, resets {CLOCK}, about 70% used by then, full at {CLOCK} at the earliest",
        ),
        (
            {"at_reset": 1.0, "full_at": NOW - 60, "full_at_earliest": NOW - 90, "full_at_latest": NOW - 30},
            rf"5h: 40% used, resets {CLOCK}, full at about {CLOCK} \({CLOCK} to {CLOCK}\)",
        ),
        (
            {"at_reset": 1.0, "full_at": NOW - 60, "full_at_earliest": NOW - 90},
            rf"5h: 40% used, resets {CLOCK}, full at about {CLOCK} \({CLOCK} or later\)",
        ),
    ],
)
def test_a_forecast_in_words(forecast: dict[str, Any], words: str) -> None:
    said = in_words("windows", [window("5h", 0.4, **forecast)])
    assert said is not None
    assert re.fullmatch(words, said), said


def test_a_full_window_is_not_foretold_to_be_full() -> None:
    """Its moment would be the one at which it was looked at."""
    full = {"full_at": NOW, "full_at_earliest": NOW, "full_at_latest": NOW, "at_reset": 1.0}
    said = in_words("windows", [window("5h", 1.0, **full)])
    assert said is not None
    assert re.fullmatch(rf"5h: 100% used, resets {CLOCK}", said), said


def test_rests_and_conversations_in_words() -> None:
    rest = {"kind": "model_limited", "model": "m", "since": NOW, "until": NOW + 60, "source": "estimate"}
    said = in_words("rests", [rest, {**rest, "kind": "refused", "model": None, "until": None}])
    assert said is not None
    first, second = said.splitlines()
    assert re.fullmatch(rf"model limited m since {CLOCK} until {CLOCK} by our own reckoning", first)
    assert re.fullmatch(rf"refused since {CLOCK}", second)
    assert in_words("sessions", {"count": 0, "since": None, "until": None}) == "none"
    assert in_words("rests", []) == "-"
    assert in_words("name", "one") is None
