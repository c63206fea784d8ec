"""The `headgate` command: what it understands, and how it ends.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 stopped by Ctrl+C.
"""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from headgate.cli import accounts, db, demo, logs, requests, serve, status, strategy
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import CommandFailed, out, print_failure, print_json
from headgate.errors import HeadgateError, SettingsError

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

app = typer.Typer(
    name="headgate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog="Example: headgate serve --port 9000")(serve.serve)
app.command("demo", epilog="Example: headgate demo --once")(demo.demo)
app.command("status", epilog="Example: headgate status --json")(status.status)
app.add_typer(accounts.app, name="account")
app.command("requests", epilog="Example: headgate requests --status error --limit 20")(requests.requests)
app.command("logs", epilog="Example: headgate logs --path")(logs.logs)
app.add_typer(strategy.app, name="strategy")
app.add_typer(db.app, name="db")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        version()
        raise typer.Exit


@app.callback()
def headgate(
    is_version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A self-hosted gateway between AI coding tools and the model providers."""


@app.command("version", epilog="Example: headgate version")
def version(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the version."""
    number = installed_version("headgate")
    if as_json:
        print_json({"version": number})
    else:
        out.print(f"headgate {number}", markup=False)


def main() -> None:
    """Entry point of the command. Every failure that has a name ends in what, why and mend."""
    try:
        app()
    except CommandFailed as failure:
        print_failure(failure)
        sys.exit(failure.exit_code)
    except SettingsError as error:
        print_failure(CommandFailed("The settings cannot be used", error.message, error.hint))
        sys.exit(2)
    except HeadgateError as error:
        print_failure(CommandFailed("The command failed", error.message, error.hint))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
