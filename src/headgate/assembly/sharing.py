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
        """Before the first request: nobody must think that he is alone from now on."""
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
        began, before = self._monotonic(), self._gate.slices
        self._is_asking = True
        try:
            slices = await self._store.round(self._gate.demands(self._ring.stored))
        finally:
            self._is_asking = False
        self._is_away = False
        if self._is_over:
            return
        if slices != before:
            self._gate.use_slices(slices)
            self._on_change()
        now = self._monotonic()
        self._ask_again_at = now + (_IN_VAIN_SECONDS if slices == before else 0.0)
        if self._careful is not None:
            self._careful.cancel()
        left = max(0.0, LEASE_SECONDS - (now - began))
        self._careful = asyncio.get_running_loop().call_later(left, self._be_careful)

    def _be_careful(self) -> None:
        """By now the others may have what we held."""
        _log.warning(
            "The database has not answered for %g s: of each key's limits this gateway lets in an equal part "
            "until it does",
            LEASE_SECONDS,
        )
        self._gate.use_slices(self._gate.slices.without_claims())
