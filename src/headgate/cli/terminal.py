"""What a command prints: tables, JSON, and failures as what, why and mend.

Answers go to standard output, everything else to standard error. Rich honours `NO_COLOR`,
which is about colours: bold and dim stay.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headgate.errors import HeadgateError, SettingsError

STATUS_STYLES = {
    "active": "green",
    "ok": "green",
    "paused": "dim",
    "rate_limited": "yellow",
    "degraded": "yellow",
    "expired": "red",
    "needs_reauth": "red",
    "disabled": "red",
}

_NOBODY_TO_ASK = "standard input is no terminal to ask on, and --yes was not given"

WIDTH_WITHOUT_TERMINAL = 200
"""For pipes and files: lines are searched there, so they should not fold."""


def _console() -> Console:
    """As wide as the terminal, or as `COLUMNS` says."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 0)).columns
    return console


out = _console()
err = Console(stderr=True, highlight=False)


class CommandFailed(Exception):
    """The end of a command: what could not be done, why, and what mends it."""

    def __init__(self, what: str, why: str, mend: str = "", *, exit_code: int = 1) -> None:
        super().__init__(why)
        self.what, self.why, self.mend, self.exit_code = what, why, mend, exit_code


@contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Says what could not be done when the cause lies below the command: a database away, a port taken.

    Settings that cannot be used are reported as such: no command works with them.
    """
    try:
        yield
    except SettingsError:
        raise
    except HeadgateError as error:
        raise CommandFailed(what, error.message, error.hint) from error


@contextmanager
def asking() -> Iterator[None]:
    """Around a question: Ctrl+C there ends the command as everywhere else, with 130."""
    try:
        yield
    except typer.Abort as aborted:
        if not isinstance(aborted.__context__, KeyboardInterrupt):
            raise  # a no, or the end of input
        err.print()  # the shell's prompt goes on a line of its own
        raise KeyboardInterrupt from aborted


def confirm(question: str, *, doing: str, why: str = _NOBODY_TO_ASK, mend: str) -> None:
    """Go on after a yes; a no ends the command with 1. Without a terminal nobody is asked: `mend` says how to
    do without the question."""
    if not sys.stdin.isatty():
        raise CommandFailed(doing, why, mend, exit_code=2)
    with asking():
        is_wanted = typer.confirm(question, err=True)
    if not is_wanted:
        err.print("Nothing was changed.")
        raise typer.Exit(1)


def read_stdin(doing: str, *, most: int = 0) -> str:
    """All of standard input, or, with `most`, its first line up to so many characters. What is no text ends
    the command: in some locales it would be read as lone surrogates, which nobody takes."""
    try:
        text = sys.stdin.readline(most) if most else sys.stdin.read()
        text.encode()
    except UnicodeError as error:
        why = "what was read from standard input is not UTF-8 text"
        mend = "Save it as plain text (PowerShell writes UTF-16)."
        raise CommandFailed(doing, why, mend, exit_code=2) from error
    return text


def print_failure(failure: CommandFailed) -> None:
    err.print(Text.assemble(("error: ", "bold red"), _lines(failure.what)), soft_wrap=True)
    err.print(Text.assemble(("  why: ", "bold"), _lines(failure.why)), soft_wrap=True)
    if failure.mend:
        err.print(Text.assemble((" mend: ", "bold"), _lines(failure.mend)), soft_wrap=True)


def _lines(words: str) -> str:
    """A failure may quote a provider, or a page that led somebody here."""
    return "\n".join(printable(line) for line in words.split("\n"))


def print_json(data: Any) -> None:
    """For programs: exactly one JSON document, never wrapped, never coloured."""
    out.file.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def print_json_line(data: Any) -> None:
    """One document of many: one line each, written at once."""
    out.file.write(json.dumps(data, ensure_ascii=False) + "\n")
    out.file.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A column whose heading begins with `#` holds numbers. Long cells fold, headings do not."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        heading = column.removeprefix("#")
        justify: Literal["left", "right"] = "left" if column == heading else "right"
        grid.add_column(heading, justify=justify, overflow="fold", min_width=len(heading))
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in row))
    return grid


def printable(text: str) -> str:
    """On one line and without control characters: a stranger's words must not command the terminal."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def counted(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def indented(words: str, characters: int, style: str = "") -> Padding:
    """What is folded stays below its beginning."""
    return Padding(Text(words, style), (0, 0, 0, characters), expand=False)


def state(word: str) -> Text:
    return Text(word, STATUS_STYLES.get(word, ""))


def clock_time(unix_seconds: float | None) -> str:
    """Local time of day; with the date when it is not today."""
    if unix_seconds is None:
        return "-"
    try:
        moment = datetime.fromtimestamp(unix_seconds, UTC).astimezone()
    except (OverflowError, ValueError):
        return "after 9999" if unix_seconds > 0 else "before 0001"  # Python knows no other years
    is_today = moment.date() == datetime.now(UTC).astimezone().date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")


def span(milliseconds: float) -> str:
    """`1 d 2 h`, `3 min 5 s`, `1.2 s`, `340 ms`: the two units that matter."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for big, small, size in (("min", "s", 60), ("h", "min", 3600), ("d", "h", 86400)):
        if seconds < size * (60 if size == 60 else 24):
            return f"{int(seconds // size)} {big} {int(seconds % size // _unit(small))} {small}"
    return f"{int(seconds // 86400)} d"


def _unit(name: str) -> int:
    return {"s": 1, "min": 60, "h": 3600}[name]
