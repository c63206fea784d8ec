"""All that a stopped gateway remembers, into another database: nobody else is at work meanwhile.

Heavy: loaded by `headgate db copy` alone.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headgate.assembly.stores import Stores, open_current
from headgate.clock import Clock, SystemClock
from headgate.config.loading import Loaded
from headgate.errors import AlreadyRunning, Conflict
from headgate.record.catch_up import catch_up
from headgate.record.instance import InstanceLock
from headgate.storage.copies import beside, remove
from headgate.storage.database import Database, open_database
from headgate.storage.location import Location, locate, make_data_folder, make_folder, state_folder
from headgate.storage.secrets import FILE_NAME as KEY_FILE
from headgate.storage.transfer import Progress, Transferred, transfer


@dataclass(frozen=True, slots=True)
class Copy:
    source: str
    target: str
    """In words that hold no password."""
    address: str
    """Of the target, as the setting takes it, with stars for the password."""
    done: Transferred
    key_from: Path | None
    """Where the encryption key lies, and must be taken to: None where it lies already."""
    key_to: Path | None


async def copy_all(loaded: Loaded, to: str, *, replace: bool, progress: Progress) -> Copy:
    """Records that wait in the journal go along. AlreadyRunning while a gateway has the folder: what it would
    record, and the tokens that it would renew, were not in the copy."""
    source, target = locate(loaded.settings.storage.address, loaded.data_folder), locate(to, None)
    _refuse_same(source, target)
    instance = InstanceLock()
    make_data_folder(loaded.data_folder)
    make_folder(target)
    try:
        await instance.take({loaded.data_folder, *_folders(source), *_folders(target)})
    except AlreadyRunning as error:
        error.hint = (
            "Stop it, copy, and start it on the copy: what it records meanwhile would be missing there."
        )
        raise
    try:
        clock = SystemClock()
        database = await open_current(loaded, create=False)
        try:
            await _settle(database, loaded, clock)
            async with _new(target, replace=replace) as new:
                await new.upgrade(with_copy=False)
                now_ms = int(clock.now() * 1000)
                done = await transfer(database, new, replace=replace, now_ms=now_ms, progress=progress)
        finally:
            await database.close()
    finally:
        instance.release()
    key_from, key_to = _key(source, target, loaded)
    return Copy(source.shown, target.shown, _address(target), done, key_from, key_to)


async def _settle(database: Database, loaded: Loaded, clock: Clock) -> None:
    """Records that a killed gateway left."""
    stores = Stores.on(database, loaded, clock)
    await stores.prices.load()
    await catch_up(stores.folder / "journal", database, clock, prices=stores.prices.prices, tells=False)


def _refuse_same(source: Location, target: Location) -> None:
    same_file = (
        source.path is not None
        and target.path is not None
        and (source.path.resolve() == target.path.resolve())
    )
    if same_file or (source.path is None and source.shown == target.shown):
        raise Conflict(
            f"The settings name {source.shown} already: it cannot be copied into itself",
            hint="Take DATABASE_URL (or storage.url) away for this command: it reads the old database then.",
        )


def _folders(location: Location) -> set[Path]:
    if location.path is None:
        return set()
    return {folder for folder in (location.path.parent, location.path.resolve().parent) if folder.exists()}


@asynccontextmanager
async def _new(target: Location, *, replace: bool) -> AsyncIterator[Database]:
    """A server's database as it is; a file appears when it is whole."""
    if target.path is None:
        database = await open_database(target.url.render_as_string(hide_password=False))
        try:
            yield database
        finally:
            await database.close()
        return
    if target.path.exists() and not replace:
        raise Conflict(f"There is a file already: {target.path}", hint="Name another one, or add --replace.")
    draft = target.path.with_name(f".{target.path.name}.{os.getpid()}")
    try:
        database = await open_database(draft)
        try:
            yield database
        finally:
            await database.close()
        for rest in beside(target.path):  # the log of a file must not meet another one
            rest.unlink(missing_ok=True)
        draft.replace(target.path)
    finally:
        remove(draft, *beside(draft))


def _address(target: Location) -> str:
    if target.path is not None:
        return f"sqlite:///{target.path}"
    return target.url.set(drivername="postgresql").render_as_string(hide_password=True)


def _key(source: Location, target: Location, loaded: Loaded) -> tuple[Path | None, Path | None]:
    """A gateway looks for it beside a SQLite file, else in the data folder."""
    old, new = (state_folder(one.path, loaded.data_folder) / KEY_FILE for one in (source, target))
    if loaded.secret_key or old.resolve() == new.resolve() or not old.exists():
        return None, None
    return old, new
