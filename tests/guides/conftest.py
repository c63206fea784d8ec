"""What every guide test has at hand."""

from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running
