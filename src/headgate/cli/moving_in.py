"""What another gateway left is taken in: accounts, client keys, settings, history, each whole or not at all.

Through the owner's API, like every other command; the history, which may be long, straight into the database.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError
from rich.status import Status

from headgate.admin.account_forms import CarriedAccount
from headgate.cli import stopped
from headgate.cli.control import BASE_URL, TIMEOUT, Control, open_control, running_gateway
from headgate.cli.moving_report import ADDED, CHANGED, FAILED, KEPT, LEFT_OUT, UNCHANGED, Report
from headgate.cli.options import load_quietly, origin
from headgate.cli.terminal import CommandFailed, clock_time, err
from headgate.clock import SystemClock
from headgate.config import changing
from headgate.config.loading import Loaded
from headgate.errors import ForeignDataUnreadable, SettingsError, StorageError
from headgate.moving.found import (
    ACCOUNT,
    HISTORY,
    KEY,
    SETTING,
    Found,
    FoundAccount,
    History,
    names_of,
    with_fitting_names,
    without_twins,
)
from headgate.moving.history import Accounts, Moved, add_history
from headgate.storage.database import open_database
from headgate.storage.location import locate

_DOING = "Cannot move in"
_WANTED = {ACCOUNT: "accounts", KEY: "keys", SETTING: "settings", HISTORY: "history"}


async def move_in(
    found: Found, *, config: Path | None, only: frozenset[str], dry_run: bool, replace: bool
) -> Report:
    """Raises CommandFailed and HeadgateError only where nothing can be done at all."""
    report = Report(found.system, dry_run)
    async with _control(config, dry_run=dry_run) as (control, loaded):
        mover = _Mover(found, report, control, loaded, only, replaces=replace)
        await mover.take_accounts()
        await mover.take_keys()
        await mover.take_settings()
        await mover.take_history()
        mover.say_what_is_left_out()
        await mover.say_what_cannot_be_refreshed()
    return report


@asynccontextmanager
async def _control(config: Path | None, *, dry_run: bool) -> AsyncIterator[tuple[Control, Loaded]]:
    """The gateway that runs, or the database; for a dry run where there is none, one that is thrown away."""
    loaded = load_quietly(config)
    path = locate(loaded.settings.storage.address, loaded.data_folder).path
    async with running_gateway(origin(config).data_folder()) as gateway:
        is_there = gateway is not None or path is None or path.exists()
    if is_there or not dry_run:
        async with open_control(config, writes=not dry_run) as control:
            yield control, loaded
        return
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        trial = load_quietly(config, storage_url=f"sqlite:///{folder}/headgate.db")
        async with stopped.open_app(trial, may_create=True) as app:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url=BASE_URL, timeout=TIMEOUT, trust_env=False
            ) as client:
                yield Control(client, is_running=False), trial


@dataclass(slots=True)
class _Mover:
    """One kind after the other; what one of them meets does not keep out the next."""

    found: Found
    report: Report
    control: Control
    loaded: Loaded
    only: frozenset[str]
    replaces: bool
    taken: list[FoundAccount] | None = None
    """Those that are here now, or would be, under their names of this import; None: they were refused."""
    here_as: dict[str, str] | None = None
    absent: frozenset[str] = frozenset()
    """Of them those that would only be added."""
    new: frozenset[str] = frozenset()
    """Of them those that were not here before, or with another credential."""
    set_now: frozenset[str] = frozenset()
    """Settings that were taken over, or would be."""

    def _wants(self, kind: str) -> bool:
        return _WANTED[kind] in self.only

    # ---- accounts --------------------------------------------------------------------------------

    async def take_accounts(self) -> None:
        """Also where they are not wanted: the history has to know which of them are here."""
        without_twins(self.found)
        accounts, called = with_fitting_names(self._fit_to_be_taken())
        plan = await self._ask_for_accounts(accounts, dry_run=True)
        if plan["conflicts"]:
            if self._wants(ACCOUNT):
                self._tell_conflicts(plan["conflicts"])
            return
        is_taking = self._wants(ACCOUNT) and not self.report.dry_run
        if is_taking and accounts:
            plan = await self._ask_for_accounts(accounts, dry_run=False)
        self.taken, self.here_as = accounts, plan["here_as"]
        self.absent = frozenset(() if is_taking else plan["added"])
        self.new = frozenset([*plan["added"], *plan["changed"]])
        if self._wants(ACCOUNT):
            self._tell_accounts(accounts, called, plan)

    def _fit_to_be_taken(self) -> Iterator[FoundAccount]:
        """Those that the owner's own form would take; what it says of the others."""
        for account in self.found.accounts:
            try:
                CarriedAccount.model_validate({**account.carried(), "name": "any"})
            except ValidationError as error:
                wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
                self.found.could_not_read(ACCOUNT, account.name, wrong)
            else:
                yield account

    async def _ask_for_accounts(self, accounts: list[FoundAccount], *, dry_run: bool) -> dict[str, Any]:
        body = {
            "accounts": [one.carried() for one in accounts],
            **{"replace": self.replaces, "keep": True, "dry_run": dry_run},
        }
        answer: dict[str, Any] = await self.control.ask(
            "POST", "/api/import/accounts", doing=_DOING, body=body
        )
        return answer

    def _tell_conflicts(self, conflicts: list[str]) -> None:
        for conflict in conflicts:
            name, _, why = conflict.partition(": ")
            mend = "; rename one of them, or take theirs with --replace" if "of that name" in why else ""
            self.report.add(ACCOUNT, name, FAILED, f"{why}{mend}; so no account was taken")

    def _tell_accounts(
        self, accounts: list[FoundAccount], called: Mapping[str, str], plan: dict[str, Any]
    ) -> None:
        for one in accounts:
            outcome = next((word for word in (ADDED, CHANGED, UNCHANGED) if one.name in plan[word]), KEPT)
            remarks = [f"it was called {called[one.name]}"] if one.name in called else []
            remarks += [why] if (why := plan["kept"].get(one.name)) else []
            remarks += one.remarks
            self.report.add(ACCOUNT, one.name, outcome, "; ".join(remarks))

    # ---- client keys -----------------------------------------------------------------------------

    async def take_keys(self) -> None:
        if not self._wants(KEY) or not self.found.keys:
            return
        keys = {one.digest: one for one in self.found.keys}
        body = {
            "keys": [{"name": one.name, "digest": one.digest} for one in keys.values()],
            "dry_run": self.report.dry_run,
        }
        try:
            answer = await self.control.ask("POST", "/api/import/keys", doing=_DOING, body=body)
        except CommandFailed as failure:
            for one in keys.values():
                self.report.add(KEY, one.name, FAILED, _words_of(failure), one.digest)
            return
        known = set(answer["unchanged"])
        for one in keys.values():
            named = f"named key-{one.digest.removeprefix('sha256:')[:8]} in the history"
            outcome = UNCHANGED if one.name in known else ADDED
            self.report.add(KEY, one.name, outcome, named, one.digest)
        self._warn_of(answer)

    def _warn_of(self, answer: dict[str, Any]) -> None:
        self.report.notices += [one for one in answer["warnings"] if one not in self.report.notices]

    # ---- settings --------------------------------------------------------------------------------

    async def take_settings(self) -> None:
        if not self._wants(SETTING) or not self.found.settings:
            return
        here = await self._settings_here()
        changes: dict[str, Any] = {}
        for one in self.found.settings:
            row = here.get(one.path)
            if row is not None and one.value in (row["value"], row["waiting"]):
                self.report.add(SETTING, one.path, UNCHANGED, f"{one.called} there")
            elif row is not None and row["source"] != "default" and not self.replaces:
                place = row["source"] + (f", line {row['line']}" if row["line"] else "")
                self.report.add(SETTING, one.path, KEPT, f"it is set here already ({place})")
            else:
                changes[one.path] = one.value
        if not changes:
            return
        called = {one.path: one.called for one in self.found.settings}
        failure = "" if self.report.dry_run else await self._change(changes)
        self.set_now = frozenset(() if failure else changes)
        for path in changes:
            self.report.add(SETTING, path, FAILED if failure else ADDED, failure or f"{called[path]} there")

    async def _change(self, changes: dict[str, Any]) -> str:
        """All of them or none; why not, in words. Without a gateway it is the file that is changed."""
        try:
            if self.control.is_running:
                answer = await self.control.ask("PUT", "/api/config", doing=_DOING, body=changes)
                self._warn_of(answer)
                is_saved = bool(answer["persisted"])
            else:
                changed = changing.change(self.loaded.origin, self.loaded.path, changes)
                self.report.notices += changed.warnings
                is_saved = changed.is_saved
        except CommandFailed as failure:
            return _words_of(failure)
        except SettingsError as error:
            return f"{error.message} {error.hint}".strip()
        return "" if is_saved else "the settings file cannot be written"

    async def _settings_here(self) -> dict[str, dict[str, Any]]:
        answer = await self.control.get("/api/config", doing=_DOING)
        return {row["path"]: row for row in answer["settings"]}

    # ---- history ---------------------------------------------------------------------------------

    async def take_history(self) -> None:
        history = self.found.history
        if history is None or not self._wants(HISTORY):
            return
        if self.taken is None:
            self.report.add(HISTORY, "requests", FAILED, "it waits for the accounts that it is about")
            return
        theirs = Accounts.of(self.taken, self.here_as or {}, set(self.absent))
        moved = Moved()
        failure = ""
        with _told(history.total) as tell:
            try:
                await self._add(history, theirs, tell, moved)
            except (ForeignDataUnreadable, StorageError) as error:
                failure = f"{error.message} What was added until then stays, and a second run goes on."
        self.report.history = {"added": moved.added, "there": moved.there, "unreadable": history.unreadable}
        counted = f"{moved.added} added, {moved.there} here already"
        if failure:
            self.report.add(HISTORY, "requests", FAILED, f"{counted}. {failure}")
        else:
            self.report.add(HISTORY, "requests", ADDED if moved.added else UNCHANGED, counted)
        if history.unreadable:
            self.report.add(HISTORY, "requests", LEFT_OUT, f"{history.unreadable} have no id or no time")

    async def _add(
        self, history: History, theirs: Accounts, tell: Callable[[Moved], None], moved: Moved
    ) -> None:
        database = await open_database(self.loaded.settings.storage.address, self.loaded.data_folder)
        try:
            if self.control.is_running:
                used = (await self.control.get("/api/database", doing=_DOING))["location"]
                if used != database.location:
                    raise StorageError(f"The gateway that runs uses {used}, and these settings name another.")
            await add_history(
                database,
                history,
                theirs,
                moved=moved,
                clock=SystemClock(),
                writes=not self.report.dry_run,
                gently=self.control.is_running,
                tell=tell,
            )
        finally:
            await database.close()

    # ---- what the owner should know --------------------------------------------------------------

    def say_what_is_left_out(self) -> None:
        for one in self.found.left_out:
            if _WANTED.get(one.kind) in (None, *self.only):
                self.report.add(one.kind, one.name, FAILED if one.is_failure else LEFT_OUT, one.why)

    async def say_what_cannot_be_refreshed(self) -> None:
        signed_in = [one for one in self.taken or () if one.signs_in and self._wants(ACCOUNT)]
        for one in signed_in:
            if one.refresh_token is None:
                ends = clock_time(one.expires_at) if one.expires_at else "no one knows when"
                self.report.notices.append(
                    f"{one.name} came without a refresh token. Its access token ends ({ends}), then it must "
                    f"sign in again: headgate account reauth {one.name}"
                )
        if new := [one.name for one in signed_in if one.refresh_token and one.name in self.new]:
            self.report.notices.append(
                f"{names_of(new)}: stop the other gateway now. Were both to refresh the same tokens, the "
                "provider would take back what one of them has"
            )
        here = await self._settings_here()
        for provider in sorted({one.provider for one in signed_in if one.refresh_token}):
            path = f"providers.{provider}.oauth.client_id"
            if path not in self.set_now and not (here.get(path) or {}).get("value"):
                names = [one.name for one in signed_in if one.provider == provider and one.refresh_token]
                self.report.notices.append(
                    f"{names_of(names)}: no client id is set, so their tokens cannot be refreshed when they "
                    f"end. Mend: headgate config set {path} YOUR-CLIENT-ID"
                )


def _words_of(failure: CommandFailed) -> str:
    return f"{failure.why} {failure.mend}".strip()


@contextmanager
def _told(total: int) -> Iterator[Callable[[Moved], None]]:
    """How far it is, on a terminal."""
    if not err.is_terminal:
        yield lambda moved: None
        return
    with Status("History …", console=err) as status:
        yield lambda moved: status.update(f"History: {moved.seen} of {total} requests")
