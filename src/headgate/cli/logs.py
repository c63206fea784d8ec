"""`headgate logs`: where the log file is, and its last lines."""

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate import log
from headgate.cli.options import AsJson, ConfigPath, load
from headgate.cli.terminal import CommandFailed, out, print_json

_MOST_BYTES = 1 << 20
"""Of the file's end that are looked at: some thousand lines."""


def logs(
    path: Annotated[bool, typer.Option("--path", help="Print only where the file is.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="How many.")] = 50,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print the last lines of the log file, those of gateway and recorder alike."""
    file = log.file_of(load(config).settings.log.file)
    if file is None:
        raise CommandFailed(
            "Cannot show the log",
            "log.file is null: lines go to the gateway's standard output alone",
            "Set log.file to a path, or to default.",
        )
    found = [] if path else _last_lines(file, lines)
    if as_json:
        print_json({"path": str(file), "lines": found})
        return
    for line in [str(file)] if path else found:
        out.print(line, markup=False, soft_wrap=True)


def _last_lines(file: Path, count: int) -> list[str]:
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - _MOST_BYTES))
            text = opened.read().decode(errors="replace")
    except OSError as error:
        raise CommandFailed("Cannot show the log", f"{file}: {error.strerror}", _mend(error)) from error
    found = text.splitlines()
    if size > _MOST_BYTES:
        del found[0]  # it began before what was read
    return found[-count:]


def _mend(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "headgate serve writes it; the setting log.file says where."
    return (
        "Name a file of your own in the setting log.file, or ask as the user whose gateway writes this one."
    )
