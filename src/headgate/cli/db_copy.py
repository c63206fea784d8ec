"""`headgate db copy`: another database for all that is remembered."""

import asyncio
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath, load
from headgate.cli.terminal import counted, err, failing_as, out, print_json

if TYPE_CHECKING:
    from headgate.cli.copying import Copy


def copy(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="postgresql://user@host/database (the password in PGPASSWORD, or in it), or a file's path.",
            show_default=False,
        ),
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Delete what is there.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy accounts, keys, history and all else into another database, all of it or nothing."""
    loaded = load(config)
    began = time.perf_counter()
    with failing_as("Cannot copy the database"), _bar() as progress:
        copied = asyncio.run(on_demand.copy_all(loaded, to, replace=replace, progress=progress))
    if as_json:
        print_json({**asdict(copied.done), "source": copied.source, "target": copied.target})
        return
    seconds = time.perf_counter() - began
    for line in _told(copied, seconds):
        out.print(line, markup=False, soft_wrap=True)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Rows of all, on a terminal; in a pipe nothing."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda table, done, total: bar.update(task, description=table, completed=done, total=total)


def _told(copied: "Copy", seconds: float) -> Iterator[str]:
    rows = copied.done.rows
    yield (
        f"Copied {counted(sum(rows.values()), 'row')} of {len(rows)} tables from {copied.source} to "
        f"{copied.target} in {seconds:.1f} s, among them {counted(rows['requests'], 'request')} and "
        f"{counted(rows['accounts'], 'account')}"
    )
    for name, number in copied.done.changed.items():
        yield f"{counted(number, 'value')} of {name} could not be there as they were, and were made to fit"
    if copied.key_from is not None and copied.key_to is not None:
        command = f"cp -p {shlex.quote(str(copied.key_from))} {shlex.quote(str(copied.key_to))}"
        yield f"The encryption key has to go along: {command}"
    yield f"To use it from now on: DATABASE_URL={shlex.quote(copied.address)} headgate serve"
    password = "; with your password in place of ***" if "***" in copied.address else ""
    yield f"(or the setting storage.url{password}). The old database is as it was."
