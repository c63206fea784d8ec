"""A method that a path does not take."""

from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.journeys.wire import Answer, ask, connect, fetch, request

READ_PATHS = ("/v1/messages", "/api/v1/messages", "/v1/messages/count_tokens", "/v1/complete")


async def test_a_wrong_method_is_refused_before_a_provider_is_asked(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """405 with `Allow`, in the caller's dialect and in the history."""
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        for path in READ_PATHS:
            for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
                answer = await fetch(
                    gateway.url, request(path, ask() if method == "PUT" else b"", method=method)
                )
                assert (answer.status, answer.headers["allow"]) == (405, "POST"), (method, path)
                assert answer.headers["x-headgate-error"] == "method_not_allowed"
                error = answer.json()["error"]
                assert (error["type"], error["code"]) == ("invalid_request_error", "method_not_allowed")
                assert error["message"] == f"{path} takes POST, not {method}"
                assert error["hint"] == "Send the request with POST."
        head = await _head(gateway)
        assert (head.status, head.headers["allow"], head.body) == (405, "POST", b"")
        assert provider.books()["count"] == 0
        assert (await fetch(gateway.url, request(body=ask()))).status == 200
        assert gateway.record_of(answer.id)["error"] == "method_not_allowed"


async def _head(gateway: Gateway) -> Answer:
    async with connect(gateway.url) as connection:
        return await connection.ask(request(method="HEAD"))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_paths_pass_through_with_any_method(
    tmp_path: Path, provider: SimulatedProvider, method: str
) -> None:
    """What they take is the provider's to say."""
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        answer = await fetch(gateway.url, request("/v1/something/new", method=method))
        assert "x-headgate-error" not in answer.headers
        assert provider.received()[-1]["head"].startswith(f"{method} /v1/something/new ".encode())


async def test_without_a_key_the_key_is_missing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Who may not ask at all is not told what he may ask."""
    settings = {"access": {"client_auth": "required", "api_keys": ["a-key-of-a-client"]}}
    async with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        answer = await fetch(gateway.url, request(method="PUT", key="another"))
        assert (answer.status, answer.headers["x-headgate-error"]) == (401, "invalid_client_key")
