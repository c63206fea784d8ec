"""In front of the door: what a stranger can make the gateway write."""

import logging

import httpx
import pytest
from starlette.responses import PlainTextResponse

from headgate.access.allowance import MOST_AT_ONCE
from headgate.admin.outside import Outside
from headgate.clock import SystemClock


async def test_paths_that_are_nobodys_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each is answered; some are logged one by one, the rest in one warning that counts."""
    caplog.set_level(logging.INFO)
    app = Outside(PlainTextResponse("inside"), routes=[], clock=SystemClock())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for _ in range(MOST_AT_ONCE * 3):
            answer = await client.get("/.env")
            assert answer.status_code == 400
            assert answer.headers["x-headgate-error"] == "unknown_path"
    said = [one.message for one in caplog.records if one.name == "headgate.server"]
    assert MOST_AT_ONCE <= sum("cannot handle path" in one for one in said) < MOST_AT_ONCE * 2
    assert sum("Strangers" in one for one in said) == 1
