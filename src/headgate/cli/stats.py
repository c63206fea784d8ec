"""`headgate stats reset`: the accounts' counters begin anew."""

import asyncio
from pathlib import Path
from typing import Any

import typer

from headgate.cli.control import open_control
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import counted, failing_as, out, print_json

app = typer.Typer(
    no_args_is_help=True, epilog="Example: headgate stats reset", help="The counters of the accounts."
)

_DOING = "Cannot reset the counters"


@app.callback()
def stats() -> None:
    """Without a callback a group of one command would be that command."""


@app.command("reset", epilog="Example: headgate stats reset")
def reset(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Set every account's counters to zero. The history stays."""
    with failing_as(_DOING):
        answer = asyncio.run(_reset(config))
    if as_json:
        print_json(answer)
    else:
        which = counted(answer["accounts"], "account")
        out.print(f"Counters of {which} are zero; the history stays", markup=False)


async def _reset(config: Path | None) -> Any:
    async with open_control(config, writes=False) as control:
        return await control.ask("POST", "/api/stats/reset", doing=_DOING)
