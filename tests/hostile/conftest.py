"""What every test of a hostile world has at hand."""

from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider


@pytest.fixture(scope="package")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """It has forgotten everything: no script, no account, no book."""
    running_provider.reset()
    return running_provider
