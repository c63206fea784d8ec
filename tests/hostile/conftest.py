"""What every test of a hostile world has at hand."""

from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.hostile.far_side import PATIENT_MS, FarSide, far_gateway


@pytest.fixture(scope="package")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """It has forgotten everything: no script, no account, no book."""
    running_provider.reset()
    return running_provider


@pytest.fixture(scope="package")
def running_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("hostile"), provider=running_provider.url) as running:
        yield running


@pytest.fixture
def gateway(running_gateway: Gateway) -> Iterator[Gateway]:
    """One for all tests that need no settings of their own; each finds it calm and leaves it calm."""
    yield running_gateway
    assert "Unexpected error" not in running_gateway.log_text()
    assert "Traceback" not in running_gateway.output_text(), running_gateway.output_text()
    wait_until(lambda: running_gateway.admin("/status")["in_flight"] == 0, what="in_flight 0")


@pytest.fixture(scope="module")
def running_far_side(
    request: pytest.FixtureRequest,
    running_provider: SimulatedProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FarSide]:
    """A gateway with two accounts: `far`, whose provider says what a test scripts, and `good` behind it.

    It loses patience soon only where a module is about that: elsewhere a busy machine may take its time.
    """
    limit_ms = getattr(request.module, "LIMIT_MS", PATIENT_MS)
    with far_gateway(tmp_path_factory.mktemp("far"), running_provider, limit_ms=limit_ms) as far:
        yield far


@pytest.fixture
def far(running_far_side: FarSide, provider: SimulatedProvider) -> Iterator[FarSide]:
    """Both accounts rested; afterwards the gateway is unharmed and nothing is left open in it."""
    running_far_side.rest()
    yield running_far_side
    running_far_side.check_unharmed()
