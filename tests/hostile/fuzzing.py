"""How many cases the fuzz tests try: as many as `make test` has time for, far more for `make test-all`."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

VARIABLE = "HEADGATE_TEST_FUZZ_CASES"
"""The number of cases of each fuzz test. `make test-all` sets it."""

USUAL_CASES = 2500
"""About a minute for each side of the gateway."""


DELIMITERS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"\x00",
    b"\xff",
    b";",
    b",",
    b"0\r\n\r\n",
    b"{",
    b'"',
)
"""Fragments of what a request is divided by, for damage."""


def fuzz_cases() -> int:
    return int(os.environ.get(VARIABLE) or USUAL_CASES)


def fuzzed(*, share: float = 1.0, **more: Any) -> settings:
    """The decorator of a fuzz test: `@fuzzed()` above `@given(…)`, or a `share` of the cases where
    several tests divide them. What it found fails again in the next run (hypothesis keeps it)."""
    cases = max(1, round(fuzz_cases() * share))
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=cases, deadline=None, print_blob=True, suppress_health_check=quiet, **more)
