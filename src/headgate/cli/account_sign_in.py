"""`headgate account add NAME --oauth`, `account reauth NAME --oauth`: by browser or by device code."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from rich.text import Text

from headgate.cli import on_demand
from headgate.cli.control import Control
from headgate.cli.terminal import CommandFailed, clock_time, err, failing_as

_LOOK_SECONDS = 0.5
_LEFT = "the sign-in was left before its end"


def sign_in(config: Path | None, wanted: dict[str, Any], *, doing: str, by_device: bool) -> Any:
    """The account as it is then. `wanted` is the body of `POST /oauth/authorize`."""
    return asyncio.run(_sign_in(config, wanted, doing=doing, by_device=by_device))


async def _sign_in(config: Path | None, wanted: dict[str, Any], *, doing: str, by_device: bool) -> Any:
    with failing_as(doing):
        # One visit from the start to the end: without a running gateway the attempt lives in this process.
        async with on_demand.open_control(config, writes=True) as control:
            if by_device:
                started = await control.ask("POST", "/oauth/device", doing=doing, body=wanted)
                _show_device(started)
            else:
                started = await control.ask("POST", "/oauth/authorize", doing=doing, body=wanted)
                _show_page(started)
            try:
                if by_device or started["comes_back_by_itself"]:
                    return await _awaited(control, started["state"], doing=doing)
                code = await asyncio.to_thread(_read_code, doing)
                body = {"code": code, "state": started["state"]}
                return await control.ask("POST", "/oauth/exchange", doing=doing, body=body)
            except asyncio.CancelledError:
                await control.ask("POST", "/oauth/cancel", doing=doing, params={"state": started["state"]})
                raise


async def _awaited(control: Control, state: str, *, doing: str) -> Any:
    while True:
        found = await control.ask("GET", "/oauth/status", doing=doing, params={"state": state})
        if found["status"] == "done":
            return await control.ask("GET", f"/api/accounts/{found['account']}", doing=doing)
        if found["status"] not in ("waiting", "exchanging"):
            why = found["error"] or f"the sign-in is {found['status']}"
            raise CommandFailed(doing, why, found["hint"] or "Start it again.")
        await asyncio.sleep(_LOOK_SECONDS)


def _show_page(started: dict[str, Any]) -> None:
    """To standard error: the answer of the command is the account."""
    err.print("Open this page in a browser and sign in:")
    err.print(Text(started["url"], style="bold"), soft_wrap=True)
    until = clock_time(started["expires_at"])
    if started["comes_back_by_itself"]:
        err.print(f"It leads back to the gateway; this command waits for it until {until}.")
    else:
        err.print(f"Then paste what the page shows (until {until}):")


def _show_device(started: dict[str, Any]) -> None:
    err.print("On any device, open this page and enter the code:")
    err.print(Text(started["verification_uri"], style="bold"), soft_wrap=True)
    err.print(Text(started["user_code"], style="bold"))
    if started["verification_uri_complete"]:
        err.print(
            Text(f"The page with the code in it: {started['verification_uri_complete']}"), soft_wrap=True
        )
    err.print(f"This command waits for it until {clock_time(started['expires_at'])}.")


def _read_code(doing: str) -> str:
    """One line, from a terminal or from whoever drives it."""
    line = sys.stdin.readline()
    if not line.strip():
        raise CommandFailed(doing, _LEFT, "Start it again and paste the code that the page shows.")
    return line.strip()
