"""Prices kept in step: what the owner sets, what is fetched, what other gateways fetched.

Fetching is nobody's hurry. It happens on the gateway's own connections, one look after the other, and is
never waited for; whatever fails leaves the prices as they were and is one warning.
"""

import asyncio
import logging
from urllib.parse import urlsplit

from headgate.assembly.stores import own_of
from headgate.clock import Clock
from headgate.config.settings import Settings
from headgate.errors import HeadgateError, StorageError, UpstreamError
from headgate.pricing.litellm import URL, UnusableList, read_list
from headgate.record.supervisor import RecorderProcess
from headgate.storage.prices import PriceStore
from headgate.upstream.client import UpstreamClient
from headgate.upstream.origin import Origin
from headgate.upstream.proxies import Proxies
from headgate.upstream.timeouts import Timeouts

_TIMEOUTS = Timeouts(connect=10.0, first_byte=30.0, idle=15.0, total=60.0)
_MOST_BYTES = 16 * 1_048_576
_AGAIN_HOURS = 1.0
"""After a failure, where prices are not fetched as often anyway."""
_AFTER_START_SECONDS = 0.2
_LOOK_SECONDS = 60.0
"""Whose turn it is, is asked this often at most: several gateways take turns over the database."""

_log = logging.getLogger("headgate.pricing")


def shown(url: str) -> str:
    """Without what may be a secret."""
    return url.partition("?")[0].partition("#")[0]


class PriceList:
    """`settings` and `proxies` are those in force: a reload replaces them by `follow`."""

    def __init__(
        self,
        store: PriceStore,
        recorder: RecorderProcess,
        upstream: UpstreamClient,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._upstream = upstream
        self._clock = clock
        self._settings = settings
        self._changed = asyncio.Event()

    async def look(self) -> None:
        """What is kept is in force from now on, here and with the recorder."""
        await self._store.load()
        self._recorder.look_at_prices()

    def follow(self, settings: Settings) -> None:
        """Other settings; the recorder hears of them as well."""
        before, self._settings = self._settings, settings
        own = own_of(settings)
        if own != self._store.own:
            self._store.use_own(own)
        if settings.pricing != before.pricing:
            self._changed.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.sleep(_AFTER_START_SECONDS)
        while True:
            self._changed.clear()
            wait = await self._turn()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def _turn(self) -> float | None:
        """Fetch, if it is time and nobody else does. Seconds until the next look; None: none."""
        hours = self._settings.pricing.refresh_hours
        if hours == 0:
            return None
        url = self._settings.pricing.url or URL
        try:
            seconds = await self._seconds_left(url, hours)
            if seconds <= 0 and await self._store.claim(url, not_since_ms=self._ms_ago(hours)):
                await self._fetch(url)
                seconds = await self._seconds_left(url, hours)
        except StorageError as error:
            _log.debug("Cannot see when prices were fetched: %s", error.message)
            seconds = _LOOK_SECONDS
        return max(_LOOK_SECONDS, seconds)

    async def _seconds_left(self, url: str, hours: float) -> float:
        last = await self._store.fetched(url)
        if last is None:
            return 0.0
        has_failed = last["failure"] is not None
        wanted = min(hours, _AGAIN_HOURS) if has_failed else hours
        return float(last["tried_at"] / 1000 + wanted * 3600 - self._clock.now())

    def _ms_ago(self, hours: float) -> int:
        """Nobody has tried since: a failure is tried again sooner, but not twice in that time."""
        return round((self._clock.now() - min(hours, _AGAIN_HOURS) * 3600) * 1000)

    async def _fetch(self, url: str) -> None:
        _log.info("Fetching latest pricing from %s", shown(url))
        try:
            data = await self._read(url)
            listed = await asyncio.to_thread(read_list, data, shown(url))
            taken = await self._store.take("fetched", listed)
            await self._store.note(url, models=len(listed))
        except (UpstreamError, UnusableList, HeadgateError) as error:
            await self._note_failure(url, error)
            return
        if taken.begun or taken.ended:
            await self.look()
        _log.info(
            "Prices taken: models %d, new or changed %d, ended %d", len(listed), taken.begun, taken.ended
        )

    async def _note_failure(self, url: str, error: Exception) -> None:
        why = error.message if isinstance(error, HeadgateError) else str(error)
        _log.warning(
            "Prices could not be fetched, the last ones stay in force: %s (pricing.refresh_hours 0 ends it)",
            why,
        )
        await self._store.note(url, failure=why[:300])

    async def _read(self, url: str) -> bytes:
        parts = urlsplit(url)
        origin, _ = Origin.parse(f"{parts.scheme}://{parts.netloc}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: application/json\r\n\r\n" % (
            target.encode(),
            origin.authority.encode(),
        )
        proxy = Proxies(self._settings.upstream).of(origin)
        answer = await self._upstream.send(origin, head, b"", timeouts=_TIMEOUTS, proxy=proxy)
        try:
            if answer.status != 200:
                raise UnusableList(f"{origin.authority} answered with HTTP {answer.status}")
            pieces: list[bytes] = []
            size = 0
            while not answer.is_complete:
                pieces.append(await answer.read())
                size += len(pieces[-1])
                if size > _MOST_BYTES:
                    raise UnusableList(f"the list is longer than {_MOST_BYTES >> 20} MiB")
        finally:
            answer.close()
        return b"".join(pieces)
