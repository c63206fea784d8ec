"""Official clients of two accounts."""

from collections.abc import Iterator

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, OTHER_KEY


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
def other(client: anthropic.Anthropic) -> anthropic.Anthropic:
    return client.with_options(api_key=OTHER_KEY)
