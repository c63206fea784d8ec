"""`headgate db`: the database itself."""

import asyncio
from pathlib import Path

import typer

from headgate.cli.options import ConfigPath, load
from headgate.cli.terminal import out
from headgate.storage.database import open_database

app = typer.Typer(no_args_is_help=True, help="The database that accounts and history are kept in.")


@app.callback()
def database() -> None:
    """Without a callback a group of one command would be that command."""


@app.command("upgrade", epilog="Example: headgate db upgrade")
def upgrade(config: ConfigPath = None) -> None:
    """Bring the schema to the newest revision, as every start does; all of it or nothing."""
    done, place = asyncio.run(_upgrade(config))
    said = f"Ran {', '.join(done)} on {place}" if done else f"The schema of {place} is up to date"
    out.print(said, markup=False, soft_wrap=True)


async def _upgrade(config: Path | None) -> tuple[list[str], str]:
    """The revisions that were run, and the database in words that hold no password."""
    loaded = load(config)
    url = loaded.settings.storage.url
    database = await open_database(url.get_secret_value() if url else None, loaded.data_folder)
    try:
        return await database.upgrade(), database.location
    finally:
        await database.close()
