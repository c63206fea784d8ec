"""`headgate strategy`: how an account is chosen, shown and changed."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import completion, on_demand
from headgate.cli.options import AsJson, ConfigPath, warn
from headgate.cli.terminal import CommandFailed, failing_as, out, print_json

app = typer.Typer(
    invoke_without_command=True,
    epilog="Example: headgate strategy get",
    help="How an account is chosen among those that can serve.",
)


@app.callback()
def strategy(context: typer.Context, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """How an account is chosen among those that can serve. Alone it prints the strategy in force."""
    if context.invoked_subcommand is None:
        get_strategy(config, as_json=as_json)
    elif config is not None or as_json:
        command = f"headgate strategy {context.invoked_subcommand}"
        why = f"options stand behind {context.invoked_subcommand}, which would not see them here"
        raise CommandFailed(f"Wrong usage of {command}", why, f"{command} --help", exit_code=2)


@app.command("get", epilog="Example: headgate strategy get")
def get_strategy(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the strategy in force."""
    answer, _ = asyncio.run(_ask(config, "GET", None, doing="Cannot read the strategy"))
    if as_json:
        print_json(answer)
    else:
        out.print(answer["strategy"], markup=False)


@app.command("set", epilog="Example: headgate strategy set least-requests")
def set_strategy(
    name: Annotated[
        str,
        typer.Argument(
            help="session, round-robin, weighted, least-requests, fill-first or headroom.",
            autocompletion=completion.strategies,
        ),
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change the strategy, at once and for good."""
    doing = f"Cannot set the strategy {name}"
    answer, is_running = asyncio.run(_ask(config, "PUT", {"strategy": name}, doing=doing))
    if as_json:
        print_json(answer)
    elif is_running or not answer["warning"]:
        out.print(f"Strategy is now {answer['strategy']}", markup=False)
    if answer["warning"]:
        warn(answer["warning"])


async def _ask(
    config: Path | None, method: str, body: dict[str, Any] | None, *, doing: str
) -> tuple[Any, bool]:
    """The answer, and whether a running gateway gave it."""
    with failing_as(doing):
        async with on_demand.open_control(config, writes=body is not None) as control:
            return await control.ask(method, "/api/strategy", doing=doing, body=body), control.is_running
