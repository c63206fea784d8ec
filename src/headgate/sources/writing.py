"""Renewed tokens on their way into files: one at a time, again until it works."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from headgate.pool.accounts import Credential
from headgate.pool.pool import Pool
from headgate.sources.found import Found
from headgate.sources.gathering import Place
from headgate.sources.write_back import Overtaken, write_tokens
from headgate.tasks import TaskGroup

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 60.0
_CLOSING_SECONDS = 5.0

_log = logging.getLogger("headgate.sources")


class Writer:
    """`on_overtaken` is awaited when a file says something else than it did."""

    def __init__(self, pool: Pool, on_overtaken: Callable[[], Awaitable[None]]) -> None:
        self.places: dict[str, list[Place]] = {}
        self.failures: dict[Path, str] = {}
        """Files that could not be written, and why."""
        self.is_writing = False
        self._pool = pool
        self._on_overtaken = on_overtaken
        self._waiting: set[str] = set()
        self._tasks = TaskGroup()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = asyncio.Event()

    def write(self, name: str) -> None:
        """The tokens in force of that account, into every file that has it."""
        self._waiting.add(name)
        if self._task is None or self._task.done():
            self._task = self._tasks.spawn(self._write_all(), name="tokens into files")

    async def close(self) -> None:
        """One more try for what waits, and no longer than a moment."""
        self._is_closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_CLOSING_SECONDS)
        await self._tasks.cancel()

    async def _write_all(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while True:
            is_last, is_overtaken = self._is_closing.is_set(), False
            self.is_writing = True
            try:
                for file, names in self._files().items():
                    is_overtaken |= await self._write_file(file, names)
            finally:
                self.is_writing = False
            if is_overtaken and not is_last:
                await self._on_overtaken()
            if not self._waiting or is_last:
                return
            if not self.failures:
                continue  # asked for meanwhile
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _files(self) -> dict[Path, set[str]]:
        names, self._waiting = self._waiting, set()
        files: dict[Path, set[str]] = {}
        for name in names:
            for place in self.places.get(name, []):
                files.setdefault(place.file, set()).add(name)
        return files

    async def _write_file(self, file: Path, names: set[str]) -> bool:
        """True: the file is to be read first."""
        news, places = self._news(file, names)
        if not news:
            return False
        try:
            is_written = await asyncio.to_thread(write_tokens, file, places[0].reader, news)
        except Overtaken:
            _log.info("%s was changed by another program: it is read before new tokens are written", file)
            return True
        except OSError as error:
            self._waiting |= names
            reason = error.strerror or str(error)
            if self.failures.get(file) != reason:
                _log.error("New tokens of %s are not in %s yet: %s", ", ".join(sorted(names)), file, reason)
            self.failures[file] = reason
            return False
        for place, (_, credential) in zip(places, news, strict=True):
            place.found = replace(place.found, credential=credential)
        self.failures.pop(file, None)
        if is_written:
            _log.info("New tokens of %s written to %s", ", ".join(sorted(names)), file)
        return False

    def _news(self, file: Path, names: set[str]) -> tuple[list[tuple[Found, Credential]], list[Place]]:
        news: list[tuple[Found, Credential]] = []
        places: list[Place] = []
        for name in names:
            living = self._pool.by_name(name)
            for place in self.places.get(name, []):
                if place.file == file and living is not None and living.account.credential is not None:
                    news.append((place.found, living.account.credential))
                    places.append(place)
        return news, places
