"""The owner's sources as a running gateway holds them: looked at, taken over, written back.

Looking changes nothing while the files say what they said, so several gateways on one database may look at
the same files. A file that is wrong leaves its accounts as they were.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headgate.access.hosts import Doors
from headgate.clock import Clock
from headgate.config.sources import SourceSettings
from headgate.errors import SettingsError, StorageError
from headgate.pool.accounts import Account
from headgate.pool.pool import Pool
from headgate.sources import accounts_json, problems
from headgate.sources.gathering import Gathered, gather
from headgate.sources.hosts import Hosts
from headgate.sources.problems import Problem
from headgate.sources.survey import (
    DOMAINS,
    Survey,
    Trouble,
    mode_warnings,
    read_denied,
    take_survey,
)
from headgate.sources.watching import moments
from headgate.sources.write_back import write_new
from headgate.sources.writing import Writer
from headgate.storage.accounts import AccountStore
from headgate.storage.drafts import FILES
from headgate.storage.from_files import BUSY, FileAccounts, Taken

_SETTLE_SECONDS = 1.0
"""A file counts as gone, or as wrong, when it still is after this time: others write in steps."""
_SOON_SECONDS = 0.3
_AFTER_FAILURE_SECONDS = 2.0

_log = logging.getLogger("headgate.sources")


class Sources:
    """Lives in the event loop. `changing` is held over every change of accounts and its effect on the pool,
    by the owner's side too; `open` and `apply` are called where that is so already."""

    def __init__(
        self,
        settings: SourceSettings,
        store: AccountStore,
        pool: Pool,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._store = store
        self._files = FileAccounts(store, clock)
        self._pool = pool
        self._clock = clock
        self.changing = asyncio.Lock()
        self.on_hosts: Callable[[Hosts | None, Doors | None], None] = lambda hosts, doors: None
        """Given the hosts in force; None while no folder of domains is set."""
        self._survey = Survey()
        self._gathered = Gathered()
        self._taken = Taken()
        self._unsettled: dict[str, float] = {}
        """Origin -> since when it is gone or wrong, for those that may be so for a moment only."""
        self._told: set[str] = set()
        self._wrong: set[str] = set()
        """The origins of files whose trouble was told."""
        self._is_waiting = False
        """Something is to be looked at again soon, though no file may change."""
        self._anew = asyncio.Event()
        self._writer = Writer(pool, self._look_again)

    # ---- at start, and under other settings ----------------------------------------------------------

    async def open(self) -> None:
        """Before the pool is filled. Raises SettingsError for a file that is wrong, StorageError for one that
        cannot be read; nothing is changed then."""
        survey = await self.examine(self.settings)
        for warning in mode_warnings(survey):
            _log.warning("%s", warning)
        await self._take(survey, set())
        self._tell()

    def begin(self) -> None:
        """The pool is filled: hosts lead to its accounts, and what a file lacks is written."""
        self._arrange()

    async def examine(self, settings: SourceSettings) -> Survey:
        """What the files of other settings say, for `apply`. Raises as `open` does."""
        survey = await self._first_survey(settings)
        self._refuse(survey)
        return survey

    async def apply(self, settings: SourceSettings, survey: Survey) -> None:
        """From now on these."""
        self.settings = settings
        self._unsettled.clear()
        await self._take(survey, set())
        await self._bring_into_pool()
        self._tell()
        self._anew.set()

    async def _first_survey(self, settings: SourceSettings) -> Survey:
        """Makes what is not there yet: an empty file, empty folders."""
        await asyncio.to_thread(_prepare, settings)
        survey = await asyncio.to_thread(take_survey, settings, Survey())
        for _ in range(3):
            if not any(survey.troubles()):
                break
            await asyncio.sleep(_SOON_SECONDS)  # somebody may be writing
            again = await asyncio.to_thread(take_survey, settings, Survey())
            is_same = again.is_like(survey)
            survey = again
            if is_same:
                break
        return survey

    def _refuse(self, survey: Survey) -> None:
        if troubles := list(survey.troubles()):
            kind = SettingsError if any(one.is_wrong for one in troubles) else StorageError
            raise kind("; ".join(one.what for one in troubles), hint=troubles[0].hint)

    # ---- while it runs -------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Look whenever a file may have changed, while `hot_reload` is on. Ends when cancelled."""
        while True:
            self._anew.clear()
            if not (self.settings.hot_reload and self.settings.is_used):
                await self._anew.wait()
                continue
            try:
                await self._follow_these()
            except Exception:  # the edge of this task: one file must not end the looking for all others
                _log.exception("A look at the files of accounts failed; there will be another one")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._anew.wait(), _AFTER_FAILURE_SECONDS)

    async def _follow_these(self) -> None:
        async for is_told in moments(self._folders, self._is_ours, self._anew):
            await self.look(insists=is_told)
            while self._is_waiting and not self._anew.is_set():
                await asyncio.sleep(_SOON_SECONDS)
                await self.look()

    async def look(self, *, insists: bool = False) -> None:
        """Take over what has changed in the files. What is wrong is in the log and among `problems`."""
        if self._writer.is_writing:
            self._is_waiting = True  # one of two files has new tokens, the other not yet
            return
        before, settings = self._survey, self.settings
        survey = await asyncio.to_thread(take_survey, settings, before, insists=insists)
        unsettled = self._note_unsettled(survey, before)
        if survey.is_like(before) and not self._is_waiting:
            self._survey = survey
            return
        async with self.changing:
            if self._survey is not before or self.settings is not settings:
                return
            try:
                await self._take(survey, unsettled)
            except StorageError as error:
                _log.error("The accounts of files were not taken over: %s", error.message)
                self._is_waiting = True
                return
            await self._bring_into_pool()
            self._tell()

    def note_renewed(self, account: Account) -> None:
        """New tokens are in the database: the file follows."""
        if account.origin.startswith(FILES):
            self._writer.write(account.name)

    async def close(self) -> None:
        """What is not written yet is written now, or at the next start."""
        self._anew.set()
        await self._writer.close()

    def path_of(self, origin: str) -> Path | None:
        """The file that keeps an account; None for one that none does."""
        reading = self._survey.readings.get(origin)
        return None if reading is None else reading.path

    @property
    def have_client_keys(self) -> bool:
        """Some host has a client key of its own."""
        return bool(self._gathered.client_keys)

    @property
    def problems(self) -> list[Problem]:
        found = [problems.of_trouble(one) for one in self._settled_troubles()]
        found += [problems.unwritten(file, why) for file, why in self._writer.failures.items()]
        for name, why in self._left_out().items():
            found.append(problems.left_out(name, why))
        return found

    # ---- inside --------------------------------------------------------------------------------------

    async def _take(self, survey: Survey, unsettled: set[str]) -> None:
        unread = {*survey.unread, *unsettled}
        unread |= {origin for origin, one in survey.readings.items() if one.contents is None}
        gathered = gather(survey, self._gathered, unread)
        taken = await self._files.take(gathered.accounts, unread=unread, kept=gathered.kept)
        self._survey, self._gathered, self._taken = survey, gathered, taken
        self._is_waiting = bool(unsettled) or BUSY in taken.left_out.values()

    async def _bring_into_pool(self) -> None:
        # Also where nothing was changed here: another gateway may have been quicker.
        self._pool.replace(await self._store.list())
        self._arrange()

    def _arrange(self) -> None:
        """What hangs on the accounts of the pool."""
        self._writer.places = self._gathered.places
        for name in self._taken.behind:
            self._writer.write(name)
        if self.settings.credentials_path is None:
            self.on_hosts(None, None)
            return
        serving = self._serving()
        ids = {pattern: None if one is None else one.id for pattern, one in serving.items()}
        names = {pattern: None if one is None else one.name for pattern, one in serving.items()}
        self.on_hosts(Hosts(ids), Doors(names, self._gathered.keys_of_hosts()))

    def _serving(self) -> dict[str, Account | None]:
        """By pattern of hosts, the account; None where its file has none that can be used."""
        serving: dict[str, Account | None] = dict.fromkeys(self._gathered.patterns)
        for living in self._pool.living.values():
            account = living.account
            if account.origin.startswith(DOMAINS) and account.domain is not None:
                serving[account.domain] = account
        for pattern, called in self._gathered.patterns.items():
            known = None if called is None else self._pool.by_name(called)
            if known is not None and known.account.origin.startswith(DOMAINS):
                serving[pattern] = known.account
        return serving

    def _note_unsettled(self, survey: Survey, before: Survey) -> set[str]:
        """The origins that are gone or wrong, and were not a moment ago."""
        now = self._clock.monotonic()
        wrong = {
            origin
            for origin, one in survey.readings.items()
            if one.trouble is not None and (origin in self._unsettled or not _had_trouble(before, origin))
        }
        gone = {origin for origin in before.readings if origin not in survey.readings}
        gone |= {origin for origin in self._unsettled if origin not in survey.readings}
        since = {origin: self._unsettled.get(origin, now) for origin in wrong | gone}
        self._unsettled = {origin: at for origin, at in since.items() if now - at < _SETTLE_SECONDS}
        return set(self._unsettled)

    def _settled_troubles(self) -> list[Trouble]:
        troubles = [
            one.trouble for origin, one in self._survey.readings.items() if origin not in self._unsettled
        ]
        return [*self._survey.unread.values(), *(one for one in troubles if one is not None)]

    def _left_out(self) -> dict[str, str]:
        taken = {name: why for name, why in self._taken.left_out.items() if why != BUSY}
        return {**self._gathered.left_out, **taken}

    def _tell(self) -> None:
        """Each thing once, as long as it lasts."""
        taken = self._taken
        for word, names in {"added": taken.added, "changed": taken.changed, "removed": taken.removed}.items():
            if names:
                _log.info("Accounts of files %s: %s", word, ", ".join(names))
        troubles = {one.what for one in self._settled_troubles()}
        lesser = {
            f"Account {name} was not taken as its file has it: {why}"
            for name, why in self._left_out().items()
        }
        lesser |= set(self._gathered.notes)
        for words in sorted(troubles - self._told):
            _log.error("%s; its accounts stay as they were", words)
        for words in sorted(lesser - self._told):
            _log.warning("%s", words)
        wrong = {origin for origin, one in self._survey.readings.items() if one.trouble is not None}
        for origin in sorted(self._wrong - wrong):
            if origin in self._survey.readings:
                _log.info("%s is right again", self._survey.readings[origin].path)
        self._wrong = wrong - self._unsettled.keys()
        self._told = troubles | lesser

    async def _look_again(self) -> None:
        """A file says something else than it did when its tokens were to be written."""
        if self.settings.hot_reload:
            await self.look(insists=True)

    def _is_ours(self, name: str) -> bool:
        """By its name; `..data` is what a mounted secret is changed by."""
        file = self.settings.accounts_path
        is_listed = name.endswith(".json") and not name.startswith(".")
        return is_listed or name.startswith("..data") or (file is not None and name == file.name)

    def _folders(self) -> set[Path]:
        settings = self.settings
        folders = {one for one in (settings.credentials_path, settings.auth_path) if one is not None}
        if (file := settings.accounts_path) is not None:
            # Of a link also the folder it leads to; of a loop of links nothing leads anywhere.
            folders |= {file.parent, Path(os.path.realpath(file)).parent}
        return folders


def _prepare(settings: SourceSettings) -> None:
    """Raises StorageError."""
    file = settings.accounts_path
    try:
        if file is not None and not file.exists() and not file.is_symlink():
            write_new(file, accounts_json.EMPTY)
            _log.info("There was no file of accounts at %s: an empty one is there now", file)
        for folder in (settings.credentials_path, settings.auth_path):
            if folder is not None and not folder.exists():
                folder.mkdir(parents=True, mode=0o700)
                _log.warning("There was no folder of accounts at %s: an empty one is there now", folder)
    except PermissionError as error:
        raise read_denied(Path(error.filename or file or ".")) from error
    except OSError as error:
        raise StorageError(
            f"Cannot make {error.filename or file}: {error.strerror}",
            hint="Make it by hand, or name another place in the setting `sources`.",
        ) from error


def _had_trouble(survey: Survey, origin: str) -> bool:
    reading = survey.readings.get(origin)
    return reading is not None and reading.trouble is not None
