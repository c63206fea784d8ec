from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """One process for the file, fresh books and scripts for every test."""
    running_provider.keep_bytes(True)
    running_provider.reset()
    return running_provider
