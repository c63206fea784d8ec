"""The `headgate` command: what it understands, and how it ends.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 stopped by Ctrl+C.
"""

import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from headgate.cli import accounts, db, demo, logs, requests, serve, status, strategy
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import CommandFailed, err, out, print_failure, print_json
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
        code = _exit_code()
        _flush()
    except OSError as error:
        # The same words fail again when it was they that could not be written; anything else is a bug.
        if (refusal := _refusal_of_output()) is None:
            raise
        if not isinstance(refusal, BrokenPipeError):  # whoever closed a pipe has read enough
            err.print(f"error: Cannot write the answer: {error.strerror}", soft_wrap=True, markup=False)
        code = 1
    sys.exit(code)


def _exit_code() -> int:
    try:
        app()
    except SystemExit as end:
        return int(end.code or 0)
    except CommandFailed as failure:
        print_failure(failure)
        return failure.exit_code
    except SettingsError as error:
        print_failure(CommandFailed("The settings cannot be used", error.message, error.hint))
        return 2
    except HeadgateError as error:
        print_failure(CommandFailed("The command failed", error.message, error.hint))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _refusal_of_output() -> OSError | None:
    """Why standard output takes nothing; what it did not take is dropped then, so that the end is quiet."""
    try:
        _flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


if __name__ == "__main__":
    main()
