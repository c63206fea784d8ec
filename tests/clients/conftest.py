"""What every test with a real client has at hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.clients.claude_code import ClaudeCode
from tests.gateway import Gateway


@pytest.fixture(scope="package")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """It has forgotten everything: no script, no account, no book."""
    running_provider.reset()
    return running_provider


@pytest.fixture
def gateway(tmp_path: Path, provider: SimulatedProvider) -> Iterator[Gateway]:
    """Two accounts, `a` and `b`."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as running:
        yield running


@pytest.fixture
def claude(tmp_path: Path, gateway: Gateway) -> ClaudeCode:
    return ClaudeCode(tmp_path, gateway.url)
