import pytest

from tests.pool.sample import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()
