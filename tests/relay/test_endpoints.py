"""The routing table of provider routes."""

import pytest

from headgate.relay.endpoints import find_endpoint


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (b"/v1/messages", b"/v1/messages"),
        (b"/api/v1/messages", b"/v1/messages"),
        (b"/v1/messages/count_tokens", None),
        (b"/v1/complete", None),
    ],
)
def test_what_routing_has_to_read(path: bytes, upstream: bytes | None) -> None:
    """Only these bodies are kept and read; and only when posted."""
    endpoint = find_endpoint(b"POST", path)
    assert endpoint is not None
    assert (endpoint.reads_body, endpoint.upstream_path) == (True, upstream)
    other = find_endpoint(b"GET", path)
    assert other is None or not other.reads_body


@pytest.mark.parametrize("path", [b"/v1/files", b"/v1/messages/batches/x/results", b"/v1/a..b", b"/v1/..."])
def test_the_rest_of_the_providers_tree_passes_through(path: bytes) -> None:
    endpoint = find_endpoint(b"GET", path)
    assert endpoint is not None
    assert not endpoint.reads_body


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/v1",
        b"/v2/messages",
        b"/health",
        b"/v1/metrics/providers",
        b"/v1/../api/accounts",
        b"/v1/x/%2e%2E/y",
        b"/v1/..%2fx",
        b"/v1/..%5Cx",
        b"/v1/.",
        b"/v1/\\..\\x",
    ],
)
def test_other_paths_are_no_providers(path: bytes) -> None:
    """The owner's, unknown ones, and those that could leave the provider's tree once resolved."""
    assert find_endpoint(b"GET", path) is None
