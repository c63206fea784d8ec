"""What an earlier life left in the journal, stored before the gateway reads anything back."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from headgate.clock import Clock
from headgate.errors import StorageError
from headgate.pricing.prices import Prices
from headgate.record.bodies import Bodies
from headgate.record.events import Record
from headgate.record.lines import RequestLog
from headgate.record.lock import FolderLock
from headgate.record.replay import Counts, Replay
from headgate.storage.batch import Row
from headgate.storage.database import Database

WAIT_SECONDS = 30.0
"""For a recorder whose gateway died: longer than it takes to give a database up (`recorder.py`)."""

_PAUSE_SECONDS = 0.05

_log = logging.getLogger("headgate.recorder")


async def catch_up(
    folder: Path,
    database: Database,
    clock: Clock,
    *,
    prices: Prices | None = None,
    bodies: Bodies | None = None,
    wait_seconds: float = WAIT_SECONDS,
    tells: bool = True,
) -> Counts:
    """Store everything that lies in `folder`. Called before the journal opens, on an upgraded database.

    StorageError when the recorder of a killed gateway does not let go of the folder. Without `tells` nothing
    is written to the log: a command has none.
    """
    with FolderLock(folder) as lock:
        give_up_at = clock.monotonic() + wait_seconds
        is_told = False
        while not lock.take():
            if tells and not is_told:
                is_told = True
                _log.info(
                    "Waiting up to %g s for process %s, which still stores a killed gateway's records",
                    wait_seconds,
                    lock.holder(),
                )
            if clock.monotonic() >= give_up_at:
                raise StorageError(
                    f"The journal is in use: process {lock.holder()} still stores records from {folder}.",
                    hint="It is a killed gateway's recorder. See in the log why it does not end, "
                    f"or end it (`kill {lock.holder()}`): what it has not stored stays in the journal.",
                )
            await asyncio.sleep(_PAUSE_SECONDS)
        on_written = _writing(RequestLog()) if tells else _say_nothing
        replay = Replay(folder, database, on_written, prices, bodies, clock)
        await replay.drain()
        return replay.counts


def _writing(lines: RequestLog) -> Callable[[Sequence[Record], Sequence[Row]], None]:
    return lambda records, _: lines.write(records)


def _say_nothing(_: Sequence[Record], __: Sequence[Row]) -> None:
    """Their lines are missing from the log; the records are not."""
