"""`headgate history clear`: the past taken away."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.control import open_control
from headgate.cli.moments import SINCE_HELP, read_since
from headgate.cli.options import AsJson, ConfigPath, warn
from headgate.cli.terminal import clock_time, confirm, counted, failing_as, out, print_json

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate history clear --before 30d --yes",
    help="What was asked and how it ended.",
)

_DOING = "Cannot clear the history"

Before = Annotated[
    str | None, typer.Option("--before", metavar="T", help=f"Only what began earlier: {SINCE_HELP}")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback()
def history() -> None:
    """Without a callback a group of one command would be that command."""


@app.command("clear", epilog="Example: headgate history clear --before 30d --yes")
def clear(
    before: Before = None, yes: Yes = False, config: ConfigPath = None, as_json: AsJson = False
) -> None:
    """Delete requests with their attempts and sums. Accounts, counters and settings stay."""
    before_ms = None if before is None else read_since(before, doing=_DOING, option="--before")
    if not yes:
        which = "all requests" if before_ms is None else f"all requests from before {_shown(before_ms)}"
        question = f"Delete {which} from the history? Accounts stay."
        confirm(question, doing=_DOING, mend="Add --yes to the command.")
    with failing_as(_DOING):
        answer = asyncio.run(_clear(config, before_ms))
    if not answer["settled"]:
        warn("Some records still wait in the journal: what of them is that old will appear yet")
    if as_json:
        print_json(answer)
        return
    which = f" from before {_shown(before_ms)}" if before_ms is not None else ""
    out.print(f"Deleted {counted(answer['deleted'], 'request')}{which}", markup=False)
    if answer["deleted"]:
        out.print("headgate db vacuum gives their room back to the disk.", style="dim", markup=False)


def _shown(before_ms: int) -> str:
    moment = datetime.fromtimestamp(before_ms / 1000, UTC)
    return f"{clock_time(before_ms / 1000)} ({moment:%Y-%m-%dT%H:%M:%SZ})"


async def _clear(config: Path | None, before_ms: int | None) -> dict[str, Any]:
    """Piece by piece: between two of them the recorder has its turn."""
    deleted, is_settled = 0, True
    async with open_control(config, writes=False) as control:
        while True:
            body = {"before": before_ms, "deleted_before": deleted}
            answer = await control.ask("POST", "/api/history/clear", doing=_DOING, body=body)
            deleted, is_settled = deleted + answer["deleted"], is_settled and answer["settled"]
            before_ms = answer["before"]
            if answer["complete"]:
                return {"deleted": deleted, "before": before_ms, "settled": is_settled}
