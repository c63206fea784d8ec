"""The settings in force, and the one way to others: load, check, build, swap.

Whether the file changed, a signal came or the owner asked: all go through `reload` or `change`, one after the
other. What is wrong leaves everything as it was, and is remembered until it is mended.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from headgate.config import changing, fingerprints, restart, table
from headgate.config.changing import Changed
from headgate.config.fingerprints import Fingerprint
from headgate.config.loading import Examined, Loaded, Origin
from headgate.config.merging import Source
from headgate.config.settings import Settings
from headgate.errors import HeadgateError, SettingsError, SettingsNotApplied

_Wanted = TypeVar("_Wanted")

_PLACE = re.compile(r"line \d+, column \d+")

_log = logging.getLogger("headgate.config")


@dataclass(frozen=True, slots=True)
class Swap:
    """What a reload brought."""

    changed: tuple[str, ...]
    """Paths of the settings that are others now."""
    waiting: tuple[str, ...]
    """Paths of those that wait for a restart, from this reload or an earlier one."""


class Configuration:
    """`apply` makes settings the gateway's own, or raises and leaves everything as it was."""

    def __init__(self, loaded: Loaded, *, apply: Callable[[Settings], Awaitable[None]]) -> None:
        self.loaded = loaded
        """With the values in force: what waits for a restart is in `waiting`."""
        self.waiting: Mapping[str, Any] = {}
        self.failure: SettingsError | SettingsNotApplied | None = None
        """Why the newest settings are not in force."""
        self.failure_place = ""
        """Where they are wrong, in words that anybody may read."""
        self.unsaved: tuple[str, ...] = ()
        """Settings that hold for this process only, because the file could not be written."""
        self.has_stored_keys: Callable[[], bool] = lambda: False
        """Whether the database keeps client keys, which let the gateway listen wide as well."""
        self.watched: Mapping[Path, Fingerprint] = loaded.watched
        """The files that had a say, as they were when they were last read, right or wrong."""
        self._had_words = loaded.has_file
        self._apply = apply
        self._place = ""
        """Of the first thing that the last reload found wrong, and how many there are besides."""
        self._one_at_a_time = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    def source_of(self, path: str) -> Source | None:
        return self.loaded.source_of(path)

    async def reload(self) -> Swap:
        """Raises SettingsError, or what kept the new settings from being applied; the old ones stay then."""
        async with self._one_at_a_time:
            try:
                with _naming_faults("the settings"):
                    return await self._reload()
            except HeadgateError as error:
                self._remember(error)
                raise

    async def change(self, changes: Mapping[str, Any]) -> tuple[Changed, Swap]:
        """Write settings into the file and take them over. Raises what `reload` raises; nothing is changed
        then, nor is the file."""
        async with self._one_at_a_time:
            try:
                with _naming_faults(", ".join(changes)):
                    return await self._change(changes)
            except SettingsNotApplied as error:
                self._remember(error)
                raise

    async def replace(self, text: str) -> tuple[Changed, Swap]:
        """The same with another text in the file's place, whatever state the file is in."""
        async with self._one_at_a_time:
            try:
                with _naming_faults("the settings"):
                    changed, swap = await self._taken_over(
                        partial(changing.replace_file, has_stored_keys=self.has_stored_keys()), text
                    )
            except SettingsNotApplied as error:
                self._remember(error)
                raise
            self._had_words = True
            self.unsaved = () if changed.is_saved else tuple(changed.loaded.origin.overrides)
            return changed, swap

    async def _change(self, changes: Mapping[str, Any]) -> tuple[Changed, Swap]:
        self._refuse_a_loss(await asyncio.to_thread(self.loaded.origin.examine))
        changed, swap = await self._taken_over(
            partial(changing.change, has_stored_keys=self.has_stored_keys()), changes
        )
        kept_here = set(changed.loaded.origin.overrides)
        unsaved = {*self.unsaved, *(() if changed.is_saved else changes)}
        if changed.is_saved:
            unsaved -= set(changes)
        self.unsaved = tuple(path for path in unsaved if path in kept_here)
        return changed, swap

    async def _taken_over(
        self, write: Callable[[Origin, Path, _Wanted], Changed], wanted: _Wanted
    ) -> tuple[Changed, Swap]:
        path = self.loaded.path
        was_known = self.watched.get(path) == fingerprints.of([path])[path]
        changed = await asyncio.to_thread(write, self.loaded.origin, path, wanted)
        try:
            swap = await self._swap(changed.loaded)
        except BaseException:
            changed.put_back()
            if was_known:  # what we wrote ourselves is no reason to look at the file once more
                self.watched = {**self.watched, **fingerprints.of([path])}
            raise
        return changed, swap

    async def _reload(self) -> Swap:
        self._place = ""
        seen = await asyncio.to_thread(fingerprints.of, self.watched)
        self.watched = seen  # also where the file turns out to be none
        examined: Examined = await asyncio.to_thread(self.loaded.origin.examine)
        self.watched = examined.watched
        self._refuse_a_loss(examined)
        if examined.complaints:
            first = examined.complaints[0]
            more = f" and {others} more" if (others := len(examined.complaints) - 1) else ""
            self._place = (f"{first.position}: {first.path}" if first.position else first.path) + more
        return await self._swap(examined.or_raise())

    def _refuse_a_loss(self, examined: Examined) -> None:
        """A file that vanished, or that a full disk left empty, must not take keys and accounts away."""
        if self._had_words and examined.is_blank:
            state = "is empty" if examined.has_file else "is gone"
            raise SettingsError(
                f"The settings file {examined.path} {state}.",
                hint="Put it back. To have the defaults, write a comment into it, or restart.",
            )
        self._had_words = self._had_words or not examined.is_blank

    async def _swap(self, loaded: Loaded) -> Swap:
        before = self.loaded
        settings, waiting = restart.kept(loaded.settings, before.settings)
        changed = _differences(before.settings, settings)
        if changed:
            with _naming_faults(", ".join(changed)):
                await self._apply(settings)
        new_waiting = {path: table.value_at(loaded.settings, path) for path in waiting}
        told = _told(changed, before.settings, settings)
        self._tell(told, new_waiting, [one for one in loaded.warnings if one not in before.warnings])
        self.loaded = replace(loaded, settings=settings)
        self.waiting = new_waiting
        self.watched = loaded.watched
        self.failure, self.failure_place = None, ""
        return Swap(changed, waiting)

    def _tell(self, changed: Sequence[str], waiting: Mapping[str, Any], warnings: list[str]) -> None:
        """Names only: a value may be a secret."""
        for warning in warnings:
            _log.warning("%s", warning)
        if changed:
            _log.info("Settings reloaded, changed: %s", ", ".join(changed))
        elif self.failure is not None:
            _log.info("The settings are right again")
        if waiting and waiting != self.waiting:
            _log.warning("Changed, but kept as before until a restart: %s", ", ".join(waiting))

    def _remember(self, error: HeadgateError) -> None:
        found = _PLACE.search(error.message)
        self.failure_place = self._place or (found[0] if found else "")
        if self.failure is None or self.failure.message != error.message:
            _log.error("Settings not reloaded, the old ones stay in force: %s", error.message)
        if isinstance(error, SettingsNotApplied):
            self.failure = error
        else:
            self.failure = SettingsError(error.message, hint=error.hint)


@contextmanager
def _naming_faults(names: str) -> Iterator[None]:
    """What nobody has thought of: it must neither look like a 500 of the route nor end the watch of files."""
    try:
        yield
    except HeadgateError:
        raise
    except Exception as error:  # any part of the gateway may have failed
        _log.exception("Settings could not be applied: %s", names)
        raise SettingsNotApplied(
            f"The gateway could not take over {names} ({type(error).__name__}).",
            hint="Nothing was changed. The log has the stack trace; give the setting another value.",
        ) from error


def _differences(one: Settings, other: Settings) -> tuple[str, ...]:
    """The paths at which the values differ; of those that the owner names, all there are on either side."""
    before, after = dict(table.values(one)), dict(table.values(other))
    absent = object()
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(path for path in paths if before.get(path, absent) != after.get(path, absent))


def _told(changed: tuple[str, ...], before: Settings, after: Settings) -> list[str]:
    """Settings by path; an account as one, by its name: its dozen numbered paths tell nobody anything."""
    told = [path for path in changed if path.partition(".")[0] != "accounts"]
    if len(told) == len(changed):
        return told
    old = {account.name: account for account in before.accounts}
    new = {account.name: account for account in after.accounts}
    accounts = [f"account {name} added" for name in new if name not in old]
    accounts += [f"account {name} removed" for name in old if name not in new]
    accounts += [f"account {name} changed" for name in new if name in old and new[name] != old[name]]
    return told + (accounts or ["the order of the accounts"])
