"""What the owner's side needs of a gateway, in one object that `assembly/` fills.

The commands fill one as well when no gateway runs: the same routes then answer from the database
(`process` is None, because nothing is relayed).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from headgate.access.gate import Gate
from headgate.access.queue import FairQueue
from headgate.access.ring import KeyRing
from headgate.admin import setting_changes
from headgate.admin.actor import ACTOR
from headgate.admin.configuration import Configuration, Swap
from headgate.admin.workings import Workings
from headgate.clock import Clock
from headgate.config.changing import Changed
from headgate.config.settings import Settings
from headgate.errors import HeadgateError, SettingsError, StorageError
from headgate.oauth.signing_in import SigningIn
from headgate.pool.pool import Pool
from headgate.pricing.litellm import URL
from headgate.record.supervisor import RecorderReport
from headgate.relay.exchange import Exchange
from headgate.sources.sources import Sources
from headgate.storage.accounts import AccountStore
from headgate.storage.audit import AuditStore
from headgate.storage.bodies import BodyStore
from headgate.storage.changes import Change
from headgate.storage.client_keys import KeyStore
from headgate.storage.conversations import ConversationStore
from headgate.storage.database import Database
from headgate.storage.prices import PriceStore
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox
from headgate.upstream.client import UpstreamClient

_log = logging.getLogger("headgate.server")


class GatewayProcess(Protocol):
    """The relaying side as its owner sees it; every value is read at the moment it is shown."""

    @property
    def in_flight(self) -> int:
        """Requests of clients that have no complete answer yet."""
        ...

    @property
    def open_streams(self) -> int: ...

    @property
    def open_requests(self) -> Collection[Exchange]:
        """The same, each as it stands."""
        ...

    @property
    def is_draining(self) -> bool:
        """A stop was asked for: what runs ends, nothing new is taken."""
        ...

    @property
    def journal_dropped(self) -> int:
        """Records lost since the start, because the journal was full or could not be written."""
        ...

    @property
    def journal_failure(self) -> str | None:
        """Why records are being lost right now; None: they are not."""
        ...

    @property
    def certificate_failure(self) -> HeadgateError | None:
        """Why the newest files of `server.tls` are not in force."""
        ...

    @property
    def certificate_ends_at(self) -> float | None:
        """Unix seconds, of the one in force; None: clients are spoken to in clear."""
        ...

    @property
    def recorder(self) -> RecorderReport: ...

    @property
    def workings(self) -> Workings:
        """Looks at the disk, for a question and not for every request."""
        ...


class BodyKeeping(Protocol):
    """Whether the gateway keeps what is said."""

    refusal: str | None
    """Why it does not, though it should."""

    @property
    def dropped(self) -> int:
        """Bodies that the journal had no room for, since the start."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What came of a change of settings, with the words for it."""

    changed: Changed
    swap: Swap
    warnings: list[str]


async def _is_settled() -> bool:
    return True


@dataclass
class Owner:
    """All that the owner's side may touch."""

    configuration: Configuration
    clock: Clock
    version: str
    database: Database
    accounts: AccountStore
    secrets: SecretBox
    requests: RequestStore
    conversations: ConversationStore
    pool: Pool
    ring: KeyRing
    gate: Gate
    queue: FairQueue
    client_keys: KeyStore
    prices: PriceStore
    bodies: BodyStore
    upstream: UpstreamClient
    sign_in: SigningIn
    providers: Collection[str]
    sources: Sources | None = None
    """Accounts that files keep; None where no gateway runs."""
    process: GatewayProcess | None = None
    keeping: BodyKeeping | None = None
    """None where nothing is relayed."""
    forget_heads: Callable[[], None] = lambda: None
    """Who was let in by the ring as it was is asked once more."""
    url: str = ""
    """Where clients reach the gateway; empty when none runs."""
    settle: Callable[[], Awaitable[bool]] = _is_settled
    """Wait until what has happened so far is in the database; False: it takes longer than one waits."""
    started_at: float = 0.0
    """Unix seconds."""
    on_new_key: list[Callable[[], None]] = field(default_factory=list)
    """Called when `admin.key` has become another one: what the old one opened is over."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held over a write and its effect on the pool, so that both see changes in the same order."""
    editing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held over reading a list or a file and writing it anew, outside of `changing`."""

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    @property
    def price_url(self) -> str | None:
        """Where prices are fetched; None: they are not."""
        pricing = self.settings.pricing
        return (pricing.url or URL) if pricing.refresh_hours else None

    # ---- changes, and the record of them ---------------------------------------------------------

    @property
    def audit(self) -> AuditStore:
        return AuditStore(self.database)

    def change(self, action: str, of: str, **words: Any) -> Change:
        """What is about to be made, by whoever asks. `words`: the other fields of a Change."""
        actor, at_ms = ACTOR.get(), round(self.clock.now() * 1000)
        return Change(at_ms=at_ms, who=actor.who, address=actor.address, action=action, object=of, **words)

    async def note(self, change: Change) -> None:
        """What was made elsewhere than in a transaction: it stands, also where its row cannot be written."""
        try:
            await self.audit.keep(change)
        except StorageError as error:
            change.tell()
            _log.error("The change %s of %s is not in the record: %s", change.action, change.object, error)

    async def reload_settings(self) -> Swap:
        """Raises SettingsError, or what else kept them from being applied; the old ones stay then."""
        async with self.changing:
            seen = setting_changes.seen(self.configuration)
            try:
                swap = await self.configuration.reload()
            except HeadgateError as error:
                await self.note(self.change("config.reload", setting_changes.ALL, error=error.code))
                raise
            self._end_log_ins(swap)
            paths = setting_changes.differing(seen, self.configuration, swap)
            if paths:
                await self._note_settings("config.reload", paths, seen)
            return swap

    async def change_settings(
        self, changes: Mapping[str, Any], *, action: str = "config.change"
    ) -> ChangeOutcome:
        """In force from the next request on. Raises SettingsError; nothing is changed then."""
        async with self.changing:
            seen = setting_changes.seen(self.configuration)
            try:
                changed, swap = await self.configuration.change(changes)
            except HeadgateError as error:
                if not isinstance(error, SettingsError):  # a wrong value is no change that failed
                    of = setting_changes.name_of([*changes])
                    await self.note(self.change(action, of, error=error.code))
                raise
            self._end_log_ins(swap)
            paths = setting_changes.named(changes, swap)
            await self._note_settings(action, paths, seen)
        return _outcome(changed, swap, changed.needs_restart)

    async def replace_settings(self, text: str) -> ChangeOutcome:
        """The same with another text in the place of the settings file."""
        async with self.changing:
            seen = setting_changes.seen(self.configuration)
            try:
                changed, swap = await self.configuration.replace(text)
            except HeadgateError as error:
                if not isinstance(error, SettingsError):
                    await self.note(self.change("config.replace", setting_changes.ALL, error=error.code))
                raise
            self._end_log_ins(swap)
            if paths := setting_changes.differing(seen, self.configuration, swap):
                await self._note_settings("config.replace", paths, seen)
        return _outcome(changed, swap, swap.waiting)

    def _end_log_ins(self, swap: Swap) -> None:
        if "admin.key" in swap.changed:
            for end in self.on_new_key:
                end()

    async def _note_settings(self, action: str, paths: Sequence[str], before: setting_changes.Seen) -> None:
        """Which ones is in the log already: `Configuration` tells it."""
        after = setting_changes.seen(self.configuration)
        shown = {"before": before.shown(paths), "after": after.shown(paths)}
        await self.note(self.change(action, setting_changes.name_of(paths), **shown))


def _outcome(changed: Changed, swap: Swap, waiting: Sequence[str]) -> ChangeOutcome:
    warnings = list(changed.warnings)
    if waiting:
        warnings.append(f"{', '.join(waiting)}: a running gateway needs a restart for it")
    return ChangeOutcome(changed, swap, warnings)


def _owner_of(request: Request) -> Owner:
    owner: Owner = request.app.state.owner
    return owner


def _is_asked_by_owner(request: Request) -> bool:
    return request.scope.get("headgate.owner") is True


AskedByOwner = Annotated[bool, Depends(_is_asked_by_owner)]
"""Parameter of an open route: whether to tell what is the owner's alone."""

ItsOwner = Annotated[Owner, Depends(_owner_of)]
"""Parameter of a route: the object above."""
