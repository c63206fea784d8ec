"""Options that many commands share, and the settings they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import completion, on_demand
from headgate.cli.terminal import err
from headgate.errors import SettingsError

if TYPE_CHECKING:
    from headgate.config.loading import Loaded, Origin


def read_path(text: str) -> Path:
    """Typer's own reading takes nothing for the working folder: an unset variable would write there."""
    if not text.strip():
        raise typer.BadParameter("it is empty; is a variable unset that was meant? . would be this folder")
    return Path(text)


ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="PATH", parser=read_path, help="Settings file instead of the platform's own."
    ),
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
    _say_what_is_odd(loaded)
    return loaded


def warn_beside_gateway(config: Path | None) -> None:
    """For a command that a running gateway answers: wrong settings are no reason to refuse it, but to say so.

    The file may be half edited, or want a variable that the gateway's environment has and this one lacks.
    """
    start = origin(config)
    try:
        examined = start.examine()
        if examined.lacks_variables_only:
            places = "; ".join(str(one) for one in examined.complaints)
            warn(
                f"This shell lacks what {examined.path} takes from the environment: {places}. "
                "The gateway that runs has settings of its own and answers"
            )
            return
        _say_what_is_odd(examined.or_raise())
    except SettingsError as error:
        warn(
            f"The settings are wrong: {error.message}. The gateway that runs keeps the settings it has; "
            "headgate config check says more"
        )


def _say_what_is_odd(loaded: "Loaded") -> None:
    if loaded.is_named and not loaded.has_file:
        warn(f"There is no settings file at {loaded.path}: the defaults are in force")
    for warning in loaded.warnings:
        if warning not in loaded.lasting:  # the start, `config set`, `check` and `show` say those
            warn(warning)


def load_quietly(config: Path | None, **flags: Any) -> "Loaded":
    """The same for a command that says all this itself."""
    return origin(config, **flags).load()


def origin(config: Path | None, **flags: Any) -> "Origin":
    """What the settings of this command are loaded from, now or again."""
    paths = {name.replace("_", ".", 1): value for name, value in flags.items()}
    return on_demand.origin(paths, config)


def warn(sentence: str) -> None:
    err.print(f"warning: {sentence}", style="yellow", soft_wrap=True, markup=False)
