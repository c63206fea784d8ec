"""`headgate account add NAME --oauth`, `account reauth NAME --oauth`: by browser or by device code."""

import asyncio
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from headgate.cli import on_demand
from headgate.cli.terminal import CommandFailed, clock_time, err, failing_as

if TYPE_CHECKING:
    from headgate.cli.control import Control

_LOOK_SECONDS = 0.5
_ENDS = {"expired": "the sign-in was not finished within 10 minutes"}
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
                code = await _code_pasted(control, started["state"], doing=doing)
                if code is None:
                    return await _awaited(control, started["state"], doing=doing)
                body = {"code": code, "state": started["state"]}
                return await control.ask("POST", "/oauth/exchange", doing=doing, body=body)
            except asyncio.CancelledError:
                await control.ask("POST", "/oauth/cancel", doing=doing, params={"state": started["state"]})
                raise


async def _awaited(control: "Control", state: str, *, doing: str) -> Any:
    while True:
        found = await control.ask("GET", "/oauth/status", doing=doing, params={"state": state})
        if found["status"] == "done":
            return await control.ask("GET", f"/api/accounts/{found['account']}", doing=doing)
        if found["status"] not in ("waiting", "exchanging"):
            why = found["error"] or _ENDS.get(found["status"], f"the sign-in is {found['status']}")
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


async def _code_pasted(control: "Control", state: str, *, doing: str) -> str | None:
    """One line, from a terminal or from whoever drives it. None: the sign-in has gone on without one. The
    page may lead back to the gateway by a name that the gateway does not know to be its own."""
    line = _line_typed()
    while not line.done():
        found = await control.ask("GET", "/oauth/status", doing=doing, params={"state": state})
        if found["status"] != "waiting":
            return None
        await asyncio.wait({line}, timeout=_LOOK_SECONDS)
    if not (code := line.result().strip()):
        raise CommandFailed(doing, _LEFT, "Start it again and paste the code that the page shows.")
    return code


def _line_typed() -> "asyncio.Future[str]":
    """The first line of standard input; empty at its end.

    A thread of our own, which the end of the program does not wait for: Ctrl+C would else count only after
    the next line. It reads past `sys.stdin`, whose lock would be in the way of that end.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        typed = b""
        with suppress(OSError):  # a terminal that went away: what came is what there is
            while b"\n" not in typed and (more := os.read(sys.stdin.fileno(), 8192)):
                typed += more
        with suppress(RuntimeError):  # the command has ended meanwhile
            loop.call_soon_threadsafe(take, typed.decode(errors="replace"))

    def take(typed: str) -> None:
        if not line.done():
            line.set_result(typed)

    threading.Thread(target=read, name="pasted code", daemon=True).start()
    return line
