"""`headgate db`: the database itself."""

import asyncio
from pathlib import Path

import typer

from headgate.cli import on_demand
from headgate.cli.options import ConfigPath, load
from headgate.cli.terminal import failing_as, out

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate db upgrade",
    help="The database that accounts and history are kept in.",
)


@app.callback()
def database() -> None:
    """Without a callback a group of one command would be that command."""


@app.command("upgrade", epilog="Example: headgate db upgrade")
def upgrade(config: ConfigPath = None) -> None:
    """Bring the schema to the newest revision, as every start does; all of it or nothing."""
    with failing_as("Cannot upgrade the schema"):
        done, place = asyncio.run(_upgrade(config))
    said = f"Ran {', '.join(done)} on {place}" if done else f"The schema of {place} is up to date"
    out.print(said, markup=False, soft_wrap=True)


async def _upgrade(config: Path | None) -> tuple[list[str], str]:
    """The revisions that were run, and the database in words that hold no password."""
    database = await on_demand.open_database(load(config))
    try:
        return await database.upgrade(), database.location
    finally:
        await database.close()
