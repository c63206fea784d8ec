"""`headgate status`: is it up, who serves, what waits."""

import asyncio
from pathlib import Path
from typing import Any

from rich.text import Text

from headgate.cli.accounts import print_accounts
from headgate.cli.control import is_ending, running_gateway
from headgate.cli.options import AsJson, ConfigPath, load
from headgate.cli.terminal import CommandFailed, out, print_json, span, state
from headgate.config.loading import Loaded
from headgate.config.places import CONTROL_SOCKET


def status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show what the running gateway does. Exit code 1 when none runs."""
    view, accounts = asyncio.run(_ask(config))
    if as_json:
        print_json(view)
        return
    _print_gateway(view)
    if accounts:
        print_accounts(accounts, more="A wider terminal, or headgate account list --json,")
    else:
        out.print("No accounts yet. Put one in: headgate account add NAME --api-key-stdin", markup=False)


async def _ask(config: Path | None) -> tuple[Any, list[Any]]:
    loaded = load(config)
    async with running_gateway(loaded.data_folder) as gateway:
        if gateway is None:
            raise _nobody_answers(loaded)
        view = await gateway.get("/status", doing="Cannot read the status")
        accounts = await gateway.get("/api/accounts", doing="Cannot list the accounts")
        return view, accounts["accounts"]


def _nobody_answers(loaded: Loaded) -> CommandFailed:
    socket = loaded.data_folder / CONTROL_SOCKET
    if is_ending(loaded):
        return CommandFailed(
            "The gateway is stopping" if socket.exists() else "The gateway is starting or stopping",
            f"nothing listens on {socket}, but its recorder is still at work",
            "Ask again in a moment; headgate logs shows what it does.",
        )
    return CommandFailed(
        "No gateway is running",
        f"nothing listens on {socket}",
        "headgate serve starts it; headgate demo shows it with a simulated provider.",
    )


def _print_gateway(view: dict[str, Any]) -> None:
    rotation = view["rotation"]
    out.print(
        "Headgate",
        view["version"],
        "is",
        Text.assemble(state(view["status"]), ","),
        "up for",
        span(view["uptime"]),
    )
    for trouble in view["troubles"]:
        out.print(f"  {trouble['reason']}. {trouble['hint']}", style="yellow", markup=False)
    turns = "on" if rotation["enabled"] else "off"
    out.print(f"Strategy {rotation['strategy']}, rotation {turns}, {rotation['switches']} switches")
    out.print(f"{view['in_flight']} requests in flight, {view['open_streams']} of them streams")
    recorder = view["recorder"]
    alive = "running" if recorder["alive"] else "down"
    dropped = view["journal"]["dropped"] + recorder["lost"]
    out.print(f"Recorder {alive}, {recorder['lag_bytes']} bytes behind, {dropped} records lost")
