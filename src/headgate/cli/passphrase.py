"""The passphrase of a sealed export: from a pipe, from the environment, else asked for on the terminal."""

import sys
from typing import Annotated

import typer

from headgate.cli import on_demand
from headgate.cli.terminal import CommandFailed, asking, read_stdin

PassphraseStdin = Annotated[
    bool,
    typer.Option("--passphrase-stdin", help="Read the passphrase of a sealed export from standard input."),
]

LEAST_CHARACTERS = 8
"""scrypt makes guessing dear, not hopeless."""
_MOST_CHARACTERS = 4096


def new_passphrase(doing: str, *, from_stdin: bool) -> str:
    """To seal with; asked for twice on a terminal."""
    passphrase = _given(doing, from_stdin=from_stdin)
    if passphrase is None:
        with asking():
            passphrase = typer.prompt(
                "Passphrase for the export", hide_input=True, confirmation_prompt=True, err=True
            )
    if len(passphrase) < LEAST_CHARACTERS:
        raise CommandFailed(
            doing,
            f"the passphrase is shorter than {LEAST_CHARACTERS} characters",
            "Choose a longer one: who finds the file can try as many as he likes.",
            exit_code=2,
        )
    return passphrase


def known_passphrase(doing: str, file: str, *, from_stdin: bool) -> str:
    """To open `file` with."""
    passphrase = _given(doing, from_stdin=from_stdin)
    if passphrase is None:
        with asking():
            passphrase = typer.prompt(f"Passphrase of {file}", hide_input=True, err=True)
    return passphrase


def _given(doing: str, *, from_stdin: bool) -> str | None:
    """None: it has to be asked for, and there is a terminal to ask on."""
    if from_stdin:
        return read_stdin(doing, most=_MOST_CHARACTERS).rstrip("\r\n")
    name, value = on_demand.passphrase_variable()
    if value:
        return value
    if not sys.stdin.isatty():
        mend = f"Give it with --passphrase-stdin < FILE, or in the environment variable {name}."
        raise CommandFailed(
            doing, "a passphrase is needed, and there is no terminal to ask on", mend, exit_code=2
        )
    return None
