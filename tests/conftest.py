"""Fixtures for every room."""

import os

from hypothesis import HealthCheck, settings

collect_ignore = ["clients"]
"""They need hundreds of megabytes of other people's programs: `make clients` names the folder itself."""

pytest_plugins = ["tests.databases"]

# Tests share their machine: how long an example takes says nothing about the code.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: two more than there are cores, for a test that starts processes waits for them."""
    return (os.cpu_count() or 1) + 2
