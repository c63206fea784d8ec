"""Options that many commands share, and the settings they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.terminal import err

if TYPE_CHECKING:
    from headgate.config.loading import Loaded

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Settings file instead of the platform's own."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]


def load(config: Path | None, **flags: Any) -> "Loaded":
    """The settings in force for one command; `server_port=9000` sets `server.port`."""
    paths = {name.replace("_", ".", 1): value for name, value in flags.items()}
    loaded = on_demand.load_settings(paths, config)
    for warning in loaded.warnings:
        err.print(f"warning: {warning}", style="yellow", soft_wrap=True, markup=False)
    return loaded
