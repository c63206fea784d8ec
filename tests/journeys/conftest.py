"""A simulated provider for every journey; each test starts the gateway that it needs."""

from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running
