"""Limits of client keys, shared with the other gateways on the database: the gate lets in what this process
holds, and what it holds follows what is asked for.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from headgate.access.gate import Gate
from headgate.access.ring import KeyRing
from headgate.clock import Clock
from headgate.errors import StorageError
from headgate.storage.slices import LEASE_SECONDS, SliceStore

_RENEW_SECONDS = 1.5
_GAP_SECONDS = 0.1
"""Between two rounds, however much is asked for."""
_IN_VAIN_SECONDS = 1.0
"""A round that brought nothing is not tried again at once: the limit is reached."""

_MOST_STEPS = 3
"""Rounds without a pause: what is given away is given in two, and who lacks it waits for the second."""
_JOIN_SECONDS = 1.0
"""For so long a start waits until the others know of it, which takes two rounds of each. One that is dead and
not struck out yet would take longer."""

_log = logging.getLogger("headgate.server")


class SharedLimits:
    """Nothing here is waited for by a request."""

    def __init__(
        self, store: SliceStore, gate: Gate, ring: KeyRing, clock: Clock, *, on_change: Callable[[], None]
    ) -> None:
        """`on_change`: other parts are held, and who waits for a limit may go on."""
        self._store = store
        self._on_change = on_change
        self._ring = ring
        self._gate = gate
        self._monotonic = clock.monotonic
        self._wake = asyncio.Event()
        self._ask_again_at = 0.0
        self._careful: asyncio.TimerHandle | None = None
        self._is_over = self._is_asking = self._is_away = False
        gate.on_lack = self._lacks

    def look(self) -> None:
        """Something changed at the others."""
        self._wake.set()

    async def join(self) -> None:
        """Before the first request: until the others know, this gateway has no part of any limit."""
        until = self._monotonic() + _JOIN_SECONDS
        await self._round()
        while self._gate.slices.spread is not None and self._monotonic() < until:
            await asyncio.sleep(_GAP_SECONDS)
            await self._round()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            if self._is_over:
                return
            try:
                await self._round()
            except StorageError as error:
                self._is_away = True
                _log.debug("Limits cannot be shared just now: %s", error.message)
            await asyncio.sleep(_GAP_SECONDS)

    async def leave(self) -> None:
        """A database that does not answer keeps no gateway from its end: what is held is free in a moment."""
        self._is_over = True
        if self._careful is not None:
            self._careful.cancel()
        if self._is_asking or self._is_away:
            return
        try:
            await self._store.leave()
        except StorageError as error:
            _log.debug("What this gateway holds of limits is free in a moment: %s", error.message)

    def _lacks(self) -> None:
        if self._monotonic() >= self._ask_again_at:
            self._wake.set()

    async def _round(self) -> None:
        before = self._gate.slices
        for _ in range(_MOST_STEPS):
            if not await self._step() or self._is_over:
                break
        else:
            self._wake.set()
        is_in_vain = self._gate.slices == before
        self._ask_again_at = self._monotonic() + (_IN_VAIN_SECONDS if is_in_vain else 0.0)

    async def _step(self) -> bool:
        """Whether the others wait for another one."""
        began, before = self._monotonic(), self._gate.slices
        self._is_asking = True
        try:
            # What the gate wants and what it goes by are of one moment.
            found = await self._store.round(self._gate.demands(self._ring.stored), before)
        finally:
            self._is_asking = False
        self._is_away = False
        if self._is_over:
            return False
        if found.slices != self._gate.slices:
            self._gate.use_slices(found.slices)
            self._on_change()
        if self._careful is not None:
            self._careful.cancel()
        left = max(0.0, LEASE_SECONDS - (self._monotonic() - began))
        self._careful = asyncio.get_running_loop().call_later(left, self._be_careful)
        return found.goes_on

    def _be_careful(self) -> None:
        """By now the others may have what we held."""
        _log.warning(
            "The database has not answered for %g s: of each key's limits this gateway lets in an equal part "
            "at most until it does",
            LEASE_SECONDS,
        )
        self._gate.use_slices(self._gate.slices.careful())
        self._careful = asyncio.get_running_loop().call_later(LEASE_SECONDS, self._forget)

    def _forget(self) -> None:
        """By now so do all that are cut off with us: who held little has an equal part as well."""
        self._gate.use_slices(self._gate.slices.forgotten())
        self._on_change()
