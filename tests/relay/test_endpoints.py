"""The routing table of provider routes."""

import pytest

from headgate.errors import MethodNotAllowed
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
    """Only these bodies are kept and read."""
    endpoint = find_endpoint(b"POST", path)
    assert endpoint is not None
    assert (endpoint.reads_body, endpoint.upstream_path) == (True, upstream)
    endpoint.refuse_other_methods(b"POST", path)


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"PROPFIND"])
def test_what_is_read_is_posted(method: bytes) -> None:
    """Whatever else comes is told so here, also a method that no provider's API has a use for."""
    endpoint = find_endpoint(method, b"/v1/messages/count_tokens")
    assert endpoint is not None
    with pytest.raises(MethodNotAllowed) as refused:
        endpoint.refuse_other_methods(method, b"/v1/messages/count_tokens")
    assert refused.value.allowed == "POST"
    assert refused.value.message == f"/v1/messages/count_tokens takes POST, not {method.decode()}"


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
