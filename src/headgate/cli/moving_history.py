"""Moving in: the history, straight into the database, however long it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.status import Status

from headgate.cli.moving_report import ADDED, FAILED, LEFT_OUT, UNCHANGED
from headgate.cli.moving_state import DOING, Move
from headgate.cli.terminal import err
from headgate.clock import SystemClock
from headgate.errors import ForeignDataUnreadable, StorageError
from headgate.moving.found import HISTORY, History
from headgate.moving.history import Accounts, Moved, add_history
from headgate.storage.database import open_database
from headgate.storage.history import kept_since


async def take_history(move: Move) -> None:
    history = move.found.history
    if history is None or not move.wants(HISTORY):
        return
    if move.taken is None:
        move.report.add(HISTORY, "requests", FAILED, "it waits for the accounts that it is about")
        return
    theirs = Accounts.of(move.taken, move.here_as or {}, set(move.absent))
    moved = Moved()
    failure = ""
    with _told(history.total) as tell:
        try:
            await _add(move, history, theirs, tell, moved)
        except (ForeignDataUnreadable, StorageError) as error:
            failure = f"{error.message} What was added until then stays, and a second run goes on."
    move.report.history = {
        "added": moved.added,
        "there": moved.there,
        "older": moved.older,
        "unreadable": history.unreadable,
    }
    counted = f"{moved.added} added, {moved.there} here already"
    if failure:
        move.report.add(HISTORY, "requests", FAILED, f"{counted}. {failure}")
    else:
        move.report.add(HISTORY, "requests", ADDED if moved.added else UNCHANGED, counted)
    if moved.older:
        days = move.loaded.settings.storage.retention_days
        why = f"{moved.older} are older than {days} days; with storage.retention_days 0 all are kept"
        move.report.add(HISTORY, "requests", LEFT_OUT, why)
    if history.unreadable:
        move.report.add(HISTORY, "requests", LEFT_OUT, f"{history.unreadable} have no id or no time")


async def _add(
    move: Move, history: History, theirs: Accounts, tell: Callable[[Moved], None], moved: Moved
) -> None:
    storage, clock = move.loaded.settings.storage, SystemClock()
    database = await open_database(storage.address, move.loaded.data_folder)
    try:
        if move.control.is_running:
            used = (await move.control.get("/api/database", doing=DOING))["location"]
            if used != database.location:
                raise StorageError(f"The gateway that runs uses {used}, and these settings name another.")
        await add_history(
            database,
            history,
            theirs,
            moved=moved,
            clock=clock,
            since_ms=kept_since(storage.retention_days, clock.now()),
            writes=not move.report.dry_run,
            gently=move.control.is_running,
            tell=tell,
        )
    finally:
        await database.close()


@contextmanager
def _told(total: int) -> Iterator[Callable[[Moved], None]]:
    """How far it is, on a terminal."""
    if not err.is_terminal:
        yield lambda moved: None
        return
    with Status("History …", console=err) as status:
        yield lambda moved: status.update(f"History: {moved.seen} of {total} requests")
