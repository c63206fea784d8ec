"""What the other gateway has and this one does not."""

import httpx
import pytest

from headgate.admin.owner import Owner
from tests.admin.conftest import with_key


@pytest.mark.parametrize(
    "name",
    [
        *(
            "latest-version",
            "plugins",
            "plugin-store/x/install",
            "usage-queue",
            "usage/export",
            "request-log",
        ),
        *("request-error-logs/a.log", "claude-api-key", "openai-compatibility", "vertex/import", "api-call"),
        *(
            "anthropic-auth-url",
            "get-auth-status",
            "oauth-model-alias",
            "model-definitions/claude",
            "ws-auth",
        ),
        *("quota-exceeded/switch-project", "ampcode/upstream-url", "reset-quota", "max-retry-interval"),
    ],
)
async def test_what_is_not_offered_is_said_so(owner: Owner, name: str) -> None:
    """501 with the reason and what to do instead; a stranger learns nothing."""
    async with with_key(owner) as client:
        for method in ("GET", "PUT", "POST"):
            answer = await client.request(method, f"/v0/management/{name}")
            assert (answer.status_code, answer.json()["code"]) == (501, "not_offered")
            assert name in answer.json()["detail"]
        del client.headers["x-management-key"]
        assert (await client.get(f"/v0/management/{name}")).status_code == 401


async def test_all_else_is_not_there(manager: httpx.AsyncClient) -> None:
    """As anywhere; a wrong method is named."""
    for path in ("", "/", "/x", "/config/", "/config/x", "/latest-version/x", "/api-keys/0", "x"):
        answer = await manager.get(f"/v0/management{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    answer = await manager.post("/v0/management/config")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_nothing_of_it_is_there_without_an_admin_key(client: httpx.AsyncClient) -> None:
    """Whatever is sent, in the words for a path that is nobody's."""
    nobody = (await client.get("/api/nothing")).json()
    for path in ("", "/", "/config", "/nothing", "/latest-version"):
        for method in ("GET", "POST", "PUT", "DELETE", "TRACE"):
            answer = await client.request(method, f"/v0/management{path}", headers={"x-management-key": "x"})
            assert answer.status_code == 404
            assert answer.json() == {**nobody, "detail": f"There is nothing at /v0/management{path}"}
