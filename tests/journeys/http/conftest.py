"""One provider and one gateway for all of these tests; each finds them calm and leaves them calm."""

from collections.abc import Iterator

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.journeys.http.samples import MAX_BODY, MAX_UPLOAD


@pytest.fixture(scope="package")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    running_provider.reset()
    running_provider.keep_bytes(True)
    return running_provider


@pytest.fixture(scope="package")
def running_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"server": {"max_body_bytes": MAX_BODY, "max_upload_bytes": MAX_UPLOAD}}
    folder = tmp_path_factory.mktemp("http")
    with Gateway(folder, provider=running_provider.url, settings=settings) as running:
        yield running


@pytest.fixture
def gateway(running_gateway: Gateway) -> Iterator[Gateway]:
    yield running_gateway
    assert "Unexpected error" not in running_gateway.log_text()
    assert "Traceback" not in running_gateway.output_text(), running_gateway.output_text()
    status = running_gateway.admin("/status")
    assert (status["in_flight"], status["open_streams"]) == (0, 0)
