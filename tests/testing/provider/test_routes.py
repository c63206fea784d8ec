"""What is not there."""

import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import fetch


@pytest.mark.parametrize("line", [b"GET /v1/nothing", b"DELETE /v1/messages", b"GET /", b"PUT /v1/files/x/y"])
def test_unknown_route_is_404(provider: SimulatedProvider, line: bytes) -> None:
    rest = b" HTTP/1.1\r\nhost: s\r\nx-api-key: sk-ant-sim-one\r\nanthropic-version: 2023-06-01\r\n\r\n"
    status, _, body = fetch(provider.url, line + rest)
    assert (status, b"not_found_error" in body) == (404, True)
