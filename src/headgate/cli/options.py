"""Options that many commands share, and the settings they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import completion, on_demand
from headgate.cli.terminal import err

if TYPE_CHECKING:
    from headgate.config.loading import Loaded, Origin

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Settings file instead of the platform's own."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the account.", autocompletion=completion.account_names),
]
NewAccountName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
"""One that is not there yet."""


def load(config: Path | None, **flags: Any) -> "Loaded":
    """The settings in force for one command; `server_port=9000` sets `server.port`.

    What is odd about them is said on standard error. A file that is named and missing is one of those: the
    command that runs the gateway makes it, others work on the defaults.
    """
    loaded = load_quietly(config, **flags)
    if loaded.is_named and not loaded.has_file:
        warn(f"There is no settings file at {loaded.path}: the defaults are in force")
    for warning in loaded.warnings:
        warn(warning)
    return loaded


def load_quietly(config: Path | None, **flags: Any) -> "Loaded":
    """The same for a command that says all this itself."""
    return origin(config, **flags).load()


def origin(config: Path | None, **flags: Any) -> "Origin":
    """What the settings of this command are loaded from, now or again."""
    paths = {name.replace("_", ".", 1): value for name, value in flags.items()}
    return on_demand.origin(paths, config)


def warn(sentence: str) -> None:
    err.print(f"warning: {sentence}", style="yellow", soft_wrap=True, markup=False)
