"""Fixtures for every room."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.databases"]

# Tests share their machine: how long an example takes says nothing about the code.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
