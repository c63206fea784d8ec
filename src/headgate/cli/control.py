"""How a command reaches the owner's side: always the admin API, by one of two ways.

A running gateway is asked over the Unix socket in its data folder. When none runs, the same app
answers inside this process, straight from the database; commands cannot tell the difference.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from headgate.cli import on_demand
from headgate.cli.http import httpx
from headgate.cli.options import load, origin, warn_beside_gateway
from headgate.cli.terminal import CommandFailed
from headgate.config.places import CONTROL_SOCKET, short_path

BASE_URL = "http://localhost"
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
WRONG_USAGE_CODES = frozenset({"invalid_setting", "invalid_request"})
"""Codes of the API that mean that the command line itself was wrong (exit code 2)."""


class Control:
    """The owner's side, whichever way it was reached. Failures are raised as `CommandFailed`."""

    def __init__(self, client: httpx.AsyncClient, *, is_running: bool) -> None:
        self._client = client
        self.is_running = is_running
        """A gateway answers; False: the database does."""

    async def get(self, path: str, *, doing: str, params: dict[str, Any] | None = None) -> Any:
        return await self.ask("GET", path, doing=doing, params=params)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Any:
        """The JSON answer. `doing` says what fails, should it fail: `Cannot pause work`."""
        try:
            answer = await self._client.request(method, path, params=params, json=body)
        except httpx.HTTPError as error:
            raise _cut_off(doing, error) from error
        if answer.is_error:
            raise _refused(doing, answer)
        return answer.json()

    async def file(self, path: str, *, doing: str) -> bytes:
        """An answer that is no JSON, as it is."""
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError as error:
            raise _cut_off(doing, error) from error
        if answer.is_error:
            raise _refused(doing, answer)
        return answer.content

    async def events(
        self, path: str, *, doing: str, params: dict[str, Any], after: str | None = None
    ) -> AsyncIterator[tuple[str, Any]]:
        """Id and data of each event of a stream, until the gateway ends it. `after` goes on behind an id.

        Raises CutOff when the gateway is gone."""
        headers = {"last-event-id": after} if after is not None else {}
        request = self._client.build_request("GET", path, params=params, headers=headers, timeout=None)
        try:
            answer = await self._client.send(request, stream=True)
            try:
                if answer.is_error:
                    await answer.aread()
                    raise _refused(doing, answer)
                event_id = ""
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        event_id = line.removeprefix("id: ")
                    elif line.startswith("data: "):
                        yield event_id, json.loads(line.removeprefix("data: "))
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise _cut_off(doing, error) from error


class CutOff(CommandFailed):
    """The gateway was there, and does not answer any more."""


def _cut_off(doing: str, error: httpx.HTTPError) -> CutOff:
    return CutOff(
        doing,
        f"the gateway did not answer ({type(error).__name__}: {error})",
        "headgate status shows whether it runs; its log says why it stopped.",
    )


def _refused(doing: str, answer: httpx.Response) -> CommandFailed:
    try:
        problem = answer.json()
        why, mend, code = problem["detail"], problem.get("hint", ""), problem.get("code", "")
    except (ValueError, KeyError, TypeError):
        why, mend, code = f"the gateway answered {answer.status_code}", "", ""
    return CommandFailed(doing, why, mend, exit_code=2 if code in WRONG_USAGE_CODES else 1)


@asynccontextmanager
async def open_control(config: Path | None, *, writes: bool) -> AsyncIterator[Control]:
    """The running gateway, whatever its file says by now; else the database on the settings of `config`.

    `writes`: a missing database may be made.
    """
    async with running_gateway(origin(config).data_folder()) as gateway:
        if gateway is not None:
            warn_beside_gateway(config)
            yield gateway
            return
    async with on_demand.open_app(load(config), may_create=writes) as app:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE_URL, timeout=TIMEOUT, trust_env=False
        ) as client:
            yield Control(client, is_running=False)


@asynccontextmanager
async def running_gateway(data_folder: Path) -> AsyncIterator[Control | None]:
    """The gateway that runs on this folder, None when none does."""
    path = data_folder / CONTROL_SOCKET
    if not path.exists():
        yield None
        return
    with short_path(path) as address:
        # Nobody speaks TLS on this socket: to read all authorities' certificates would take 27 ms.
        transport = httpx.AsyncHTTPTransport(uds=address, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE_URL, timeout=TIMEOUT, trust_env=False
        ) as client:
            yield Control(client, is_running=True) if await _listens(client) else None


async def _listens(client: httpx.AsyncClient) -> bool:
    try:
        await client.get("/ready")
    except httpx.ConnectError:
        # A socket file that nobody listens on is what a killed gateway leaves behind.
        return False
    except httpx.HTTPError:
        # It listens, but is slow or stopping: what the command asks next says so in its own words.
        return True
    return True
