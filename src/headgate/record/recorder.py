"""The recorder: a process of its own that moves records from the journal into the database.

It lives as long as its standard input is open. When that ends (the gateway stopped, or died) or a
SIGTERM comes, it stores what is there and exits.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headgate.clock import Clock
from headgate.errors import HeadgateError
from headgate.pricing.prices import Listed
from headgate.record.bodies import Bodies, BodyWishes
from headgate.record.events import Record
from headgate.record.lines import RequestLog
from headgate.record.lock import FolderLock
from headgate.record.replay import Counts, Replay
from headgate.record.state import LOW_DISK_BYTES, StateFile, free_bytes
from headgate.record.tally import Counter, TallyFile
from headgate.record.telemetry import Telemetry
from headgate.storage.batch import Row
from headgate.storage.bodies import forget_bodies
from headgate.storage.body_keys import BodyKeys
from headgate.storage.database import Database, open_database
from headgate.storage.history import PIECE, delete_before, kept_since
from headgate.storage.partitions import make_months_ahead
from headgate.storage.prices import PriceStore
from headgate.storage.rollups import forget_rollups
from headgate.storage.secrets import SecretBox
from headgate.storage.spans import forget_spans

LOCK_PAUSE_SECONDS = 0.05
GATHER_SECONDS = 0.05
BUSY_GATHER_SECONDS = 0.2
BUSY_BYTES = 16 << 10
"""Between batches, and when the last one was larger than this: a transaction costs as much as 60 records."""
IDLE_SECONDS = 0.1
DISK_LOOK_SECONDS = 30.0
FORGET_SECONDS = 300.0
FORGET_STEPS = 50
"""Small deletions in the roll-ups, in a row: what a long absence left is gone after some turns."""
FORGET_PIECES = 3
"""Of requests, in a row: half a second at most, in which nothing is recorded."""

FIRST_RETRY_SECONDS = 0.25
LAST_RETRY_SECONDS = 10.0
DRAIN_SECONDS = 4.0
"""How long a database that is away is tried again at the end. The journal keeps what is left."""

_log = logging.getLogger("headgate.async-db-writer")


class Wishes(msgspec.Struct):
    """What the settings ask of a recorder; they may change while it runs."""

    log: dict[str, object]
    """The settings under `log`."""
    retention_days: int = 0
    """How long records of requests are kept; 0: for ever."""
    prices: list[Listed] = []
    """The owner's own."""
    price_looks: int = 0
    """Another number: the database keeps other prices than a moment ago."""
    bodies: BodyWishes = BodyWishes()
    otlp_endpoint: str | None = None
    """The base URL of an OpenTelemetry collector."""


class Order(msgspec.Struct):
    """What the gateway tells a new recorder: one line of JSON on standard input, and other `Wishes` in each
    further line.

    Not on the command line: `database_url` may hold a password, and a command line is public.
    """

    folder: str
    """Where the journal lies."""
    database_url: str
    """As the setting `storage.url`, or the path of the SQLite file."""
    wishes: Wishes
    secret_key: str | None = None
    """As the environment gave it to the gateway; None: it stands in the file beside the journal's folder."""


class Recorder:
    """One life, from taking the folder's lock to the last record."""

    def __init__(self, order: Order, clock: Clock, stop: asyncio.Event) -> None:
        self._order = order
        self._folder = Path(order.folder)
        self._clock = clock
        self._stop = stop
        self._state = StateFile(self._folder, clock)
        self._stopped_at: float | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._next_disk_look = 0.0
        self._next_forgetting = 0.0
        self.retention_days = order.wishes.retention_days
        self._has_new_prices = True
        self._wishes = order.wishes
        self._is_disk_low = False
        self._forgotten = 0
        self._bodies: Bodies | None = None
        self._telemetry: Telemetry | None = None

    async def run(self) -> int:
        """The exit code: 0 when everything is stored, 1 when the database stayed away."""
        with FolderLock(self._folder) as lock:
            while not lock.take():
                if self._stop.is_set():
                    return 0  # whoever holds it stores what is there
                await self._pause(LOCK_PAUSE_SECONDS)
            database = await self._open()
            if database is None:
                return 1
            try:
                return await self._record(database)
            finally:
                if self._telemetry is not None:
                    await asyncio.to_thread(self._telemetry.close)
                await database.close()

    async def _open(self) -> Database | None:
        while True:
            try:
                database = await open_database(self._order.database_url)
                try:
                    await database.upgrade()
                except BaseException:
                    await database.close()
                    raise
                return database
            except HeadgateError as error:
                self._state.save(Counts(), {}, error.message)
                if not await self._may_retry(error):
                    return None

    async def _record(self, database: Database) -> int:
        prices = PriceStore(database, self._clock)
        box = SecretBox.open_or_create(self._folder.parent, self._order.secret_key)
        self._bodies = Bodies(BodyKeys(database, box, self._clock), self._wishes.bodies)
        lines, counter = RequestLog(), Counter()
        tally_file = TallyFile(self._folder, self._clock)
        tally_file.save(counter.tally)
        telemetry = self._telemetry = Telemetry(counter.tally.exports)
        telemetry.follow(self._wishes.otlp_endpoint)

        def on_written(records: Sequence[Record], rows: Sequence[Row]) -> None:
            lines.write(records)
            counter.add(records, rows)
            telemetry.add(records)

        replay = Replay(self._folder, database, on_written, prices.prices, self._bodies, self._clock)
        while True:
            # Asked before the step: what the gateway wrote before it left is then in it.
            is_last = self._stop.is_set()
            try:
                await self._look_at_prices(prices)
                moved = await replay.step()
            except HeadgateError as error:
                self._state.save(replay.counts, replay.positions or {}, error.message)
                if not await self._may_retry(error):
                    return 1
                continue
            self._retry_seconds = FIRST_RETRY_SECONDS
            self._watch_the_disk()
            if moved:
                _log.debug("Stored %d bytes of the journal", moved)
            self._state.save(replay.counts, replay.positions or {}, None)
            tally_file.save(counter.tally)
            if is_last and not moved:
                _log.info("Async DB writer queue flushed")
                return 0
            if not is_last and not replay.is_behind:
                await self._forget(database)
                await self._pause(_pause_after(moved))

    def _watch_the_disk(self) -> None:
        """Say once that there is little room left, before there is none."""
        now = self._clock.monotonic()
        if now < self._next_disk_look:
            return
        self._next_disk_look = now + DISK_LOOK_SECONDS
        free = free_bytes(self._folder)
        is_low = free is not None and free < LOW_DISK_BYTES
        if is_low and not self._is_disk_low:
            _log.warning("Disk space is low: %d MiB are free at %s", (free or 0) >> 20, self._folder)
        self._is_disk_low = is_low

    async def _look_at_prices(self, prices: PriceStore) -> None:
        if self._has_new_prices:
            self._has_new_prices, prices.own = False, self._wishes.prices
            try:
                await prices.load()
            except HeadgateError:
                self._has_new_prices = True
                raise

    def obey(self, wishes: Wishes) -> None:
        """From now on."""
        before, self._wishes = self._wishes, wishes
        if (wishes.prices, wishes.price_looks) != (before.prices, before.price_looks):
            self._has_new_prices = True
        if self._telemetry is not None:
            self._telemetry.follow(wishes.otlp_endpoint)
        if self._bodies is not None:
            self._bodies.wishes = wishes.bodies
        if wishes.retention_days != self.retention_days or wishes.bodies != before.bodies:
            self.retention_days = wishes.retention_days
            self._next_forgetting = 0.0

    async def _forget(self, database: Database) -> None:
        """What is kept no longer, a little at a time: requests, minutes and hours in the roll-ups, messages
        that nobody names any more. On PostgreSQL the months to come are made."""
        if self._clock.monotonic() < self._next_forgetting:
            return
        self._next_forgetting = self._clock.monotonic() + FORGET_SECONDS
        try:
            await make_months_ahead(database, self._clock.now())
        except HeadgateError as error:
            _log.warning("The months to come are not made yet: %s", error.message)
        for forget in (forget_rollups, forget_spans):
            try:
                for _ in range(FORGET_STEPS):
                    if self._stop.is_set() or not await forget(database, round(self._clock.now() * 1000)):
                        break
            except HeadgateError as error:
                _log.warning("Old roll-ups or messages stay for now: %s", error.message)
        try:
            has_more = await self._forget_bodies(database)
            if await self._forget_requests(database) or has_more:
                self._next_forgetting = 0.0  # after what has come in meanwhile
        except HeadgateError as error:
            _log.warning("Old requests stay for now: %s", error.message)

    async def _forget_bodies(self, database: Database) -> bool:
        """Whether there are more of them that are too old, or too many: what comes in makes its own room."""
        wishes, now = self._wishes.bodies, self._clock.now()
        before_ms = kept_since(wishes.retention_days, now)
        most = wishes.most_bytes
        for _ in range(FORGET_PIECES):
            if self._stop.is_set():
                break
            _, has_more = await forget_bodies(
                database, before_ms=before_ms, most_bytes=most, now_ms=round(now * 1000)
            )
            if not has_more:
                return False
        return not self._stop.is_set()

    async def _forget_requests(self, database: Database) -> bool:
        """Whether there are more of them."""
        days = self.retention_days
        if not days or self._stop.is_set():
            return False
        before_ms = kept_since(days, self._clock.now())
        deleted = await delete_before(database, before_ms, most=FORGET_PIECES * PIECE)
        self._forgotten += deleted
        if deleted >= FORGET_PIECES * PIECE:
            return True
        if self._forgotten:
            _log.info(
                "Deleted %d requests that were older than %d days (storage.retention_days)",
                self._forgotten,
                days,
            )
            self._forgotten = 0
        return False

    async def _may_retry(self, error: HeadgateError) -> bool:
        """Wait a little longer each time; False when we are to stop and have tried long enough."""
        _log.error("Failed to execute DB job: %s", error.message)
        if self._stop.is_set():
            now = self._clock.monotonic()
            self._stopped_at = self._stopped_at or now
            if now - self._stopped_at > DRAIN_SECONDS:
                return False
        await self._pause(self._retry_seconds)
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
        return True

    async def _pause(self, seconds: float) -> None:
        """Cut short by the order to stop; after it, a plain pause."""
        if self._stop.is_set():
            await asyncio.sleep(min(seconds, 1.0))
            return
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _pause_after(moved_bytes: int) -> float:
    if moved_bytes > BUSY_BYTES:
        return BUSY_GATHER_SECONDS
    return GATHER_SECONDS if moved_bytes else IDLE_SECONDS
