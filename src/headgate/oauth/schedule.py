"""Refreshing ahead of time, so that no request has to wait for it."""

import asyncio
import logging
from contextlib import suppress
from random import Random

from headgate.clock import Clock
from headgate.errors import TokenRefreshFailed
from headgate.oauth.refresh import Refresher
from headgate.pool.accounts import Credential
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.tasks import TaskGroup

_LOOK_SECONDS = 1.0
_LONGEST_LEAD_SECONDS = 900.0
_PART_OF_LIFE = 0.2
"""A token is renewed when about this part of its life is left."""
_JITTER = 0.25
"""A fleet that signed in together does not refresh together, and of two processes one comes first."""

_log = logging.getLogger("headgate.oauth")


class Schedule:
    """Looks every second which tokens are due: what is due depends on tokens that others may change."""

    def __init__(
        self, pool: Pool, refresher: Refresher, clock: Clock, *, random: Random | None = None
    ) -> None:
        self._pool = pool
        self._refresher = refresher
        self._clock = clock
        self._random = random or Random()
        self._due: dict[int, tuple[Credential, float]] = {}
        """Account id -> the tokens that it is about, and when they are renewed (Unix seconds)."""

    async def run(self) -> None:
        """Until it is cancelled. A failure is in the log and in the account's health."""
        tasks = TaskGroup()
        try:
            while True:
                for living in self.due():
                    tasks.spawn(self._renew(living), name="token refresh ahead of time")
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await tasks.cancel()

    def due(self) -> list[LivingAccount]:
        """Those whose tokens are to be renewed now, each told once for a token and its retries."""
        now = self._clock.now()
        living = [one for one in self._pool.living.values() if one.can_renew and not one.account.paused]
        self._due = {one.id: self._due[one.id] for one in living if one.id in self._due}
        return [one for one in living if self._is_due(one, now)]

    def _is_due(self, living: LivingAccount, now: float) -> bool:
        credential = living.account.credential
        if credential is None or credential.expires_at is None or living.health.waits_for_owner:
            return False
        known = self._due.get(living.id)
        if known is None or known[0] is not credential:
            lead = min((credential.expires_at - now) * _PART_OF_LIFE, _LONGEST_LEAD_SECONDS)
            lead *= self._random.uniform(1 - _JITTER, 1 + _JITTER)
            known = self._due[living.id] = credential, credential.expires_at - max(lead, 0.0)
        if known[1] > now:
            return False
        # Once more only when this has failed and its pause is over; the store keeps the pause.
        self._due[living.id] = credential, now + _LOOK_SECONDS * 5
        return True

    async def _renew(self, living: LivingAccount) -> None:
        with suppress(TokenRefreshFailed):
            await self._refresher.renew(living, living.account.credential)
