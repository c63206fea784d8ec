"""`headgate status`: is it up, who can serve, what is in trouble and what mends it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from headgate.cli import on_demand
from headgate.cli.accounts import print_accounts
from headgate.cli.options import AsJson, ConfigPath, load, origin, warn_beside_gateway
from headgate.cli.passed_by import print_passed_by
from headgate.cli.terminal import (
    CommandFailed,
    clock_time,
    counted,
    indented,
    out,
    print_json,
    printable,
    span,
    state,
)

if TYPE_CHECKING:
    from headgate.config.loading import Loaded


def status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show what the running gateway does. Exit code 1 when none runs."""
    view, accounts = asyncio.run(_ask(config))
    if as_json:
        print_json(view)
        return
    _print_gateway(view)
    if accounts:
        print_accounts(accounts, more="A wider terminal, or headgate account list --json,")
        _print_who_serves(accounts, rotates=view["rotation"]["enabled"])
    else:
        out.print("No accounts yet. Put one in: headgate account add NAME --api-key-stdin", markup=False)


async def _ask(config: Path | None) -> tuple[Any, list[Any]]:
    async with on_demand.running_gateway(origin(config).data_folder()) as gateway:
        if gateway is None:
            raise _nobody_answers(load(config))
        warn_beside_gateway(config)
        view = await gateway.get("/status", doing="Cannot read the status")
        accounts = await gateway.get("/api/accounts", doing="Cannot list the accounts")
        return view, accounts["accounts"]


def _nobody_answers(loaded: "Loaded") -> CommandFailed:
    socket = on_demand.control_socket(loaded.data_folder)
    if on_demand.is_ending(loaded):
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
    where = f"on {view['url']}, " if view["url"] else ""
    up = f"{where}up for {span(view['uptime'])}"
    word = state(view["status"])
    if view["troubles"] and view["status"] == "ok":
        word = Text("up, but not all is well", "yellow")
    out.print("Headgate", view["version"], "is", Text.assemble(word, ","), up)
    for trouble in view["troubles"]:
        out.print(indented(f"{trouble['reason'].rstrip('.')}. {trouble['hint']}", 2, "yellow"))
    turns = "on" if rotation["enabled"] else "off"
    switches = f"{rotation['switches']:,} switch{'' if rotation['switches'] == 1 else 'es'}"
    out.print(f"Strategy {rotation['strategy']}, rotation {turns}, {switches}")
    if switch := rotation["last_switch"]:
        moved = f"{switch['from_account']} -> {switch['to_account']}: {printable(switch['why'])}"
        out.print(indented(f"The last one at {clock_time(switch['at'])}: {moved}", 2))
    streams = counted(view["open_streams"], "stream")
    out.print(f"{counted(view['in_flight'], 'request')} in flight, {streams} among them")
    if (queue := view["queue"])["waiting"]:
        longest = span(queue["longest_ms"])
        out.print(f"{counted(queue['waiting'], 'request')} in the queue, the first of them for {longest}")
    recorder = view["recorder"]
    alive = "running" if recorder["alive"] else "down"
    dropped = view["journal"]["dropped"] + recorder["lost"]
    behind = counted(recorder["lag_bytes"], "byte")
    out.print(f"Recorder {alive}, {behind} behind, {counted(dropped, 'record')} lost")
    kept = view["bodies"]
    if kept["refusal"] is not None:
        out.print(f"Requests and answers are not kept: {kept['refusal']}", style="yellow")
    elif kept["bodies"] is not None and (kept["keeping"] or kept["bodies"]):
        lost = f", {kept['dropped']:,} for want of room not" if kept["dropped"] else ""
        bodies = f"{kept['bodies']:,} {'body' if kept['bodies'] == 1 else 'bodies'}"
        out.print(f"{bodies} kept, {kept['bytes'] / 2**20:,.1f} MiB{lost}")
    if machine := view["machine"]:
        _print_machine(machine)


def _print_machine(machine: dict[str, Any]) -> None:
    """What explains a busy processor or a full memory."""
    memory = f"{machine['memory_bytes'] >> 20:,} MiB"
    cpu = f"{machine['cpu_seconds']:,.1f} s of CPU so far"
    lag = f"event loop late by {machine['loop_lag_ms']:.0f} ms at worst"
    clients, providers = machine["connections"], machine["upstream_connections"]
    out.print(
        f"{memory}, {cpu}, {lag}; {counted(clients, 'connection')} of clients, {providers:,} to providers"
    )
    if stages := machine["stages"]:
        parts = (("own", "our own"), ("waiting", "waiting"), ("provider", "provider"), ("body", "body"))
        means = ", ".join(f"{word} {stages[f'{name}_ms']:,.1f} ms" for name, word in parts)
        out.print(f"A request in the mean of {stages['requests']:,}: {means}")


def _print_who_serves(accounts: list[dict[str, Any]], *, rotates: bool) -> None:
    """How many can, and of each that is passed by why, and what mends it."""
    others = [one for one in accounts if one["skipped_because"] is not None]
    busy = sum(one["is_active"] and _is_full(one) for one in others)
    # Any other active one is passed by for its priority alone: it takes over when the better ones cannot.
    reserve = sum(one["is_active"] for one in others) - busy if rotates else 0
    serving = len(accounts) - len(others) + reserve
    count = f"{serving} of {len(accounts)} accounts can serve now"
    if reserve:
        count += f", {reserve} of them in reserve"
    if busy:
        count += f"; {busy} {'is' if busy == 1 else 'are'} busy"
    lacks_all = not serving and not busy
    out.print(count + (":" if others else ""), style="green" if not others else "red" if lacks_all else "")
    for one in others:
        print_passed_by(one, indent=2)


def _is_full(one: dict[str, Any]) -> bool:
    """It is back as soon as one of its requests ends."""
    return one["concurrency"] is not None and one["in_flight"] >= one["concurrency"]
