import pytest
from hypothesis import HealthCheck, settings

from tests.pool.sample import StillClock

# A machine that others use as well: how long an example takes says nothing about the code.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()
