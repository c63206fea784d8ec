"""Where a request waits instead of being refused: for a limit of its key that ends in time, for an account
that has as many requests as it may, or for one whose own limit is over in a moment.
"""

from typing import Any

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.meter import Reservation
from headgate.access.queue import FairQueue, Ticket
from headgate.clock import Clock
from headgate.errors import RateLimited
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.relay.exchange import Exchange
from headgate.relay.patience import Patience
from headgate.relay.plan import Plan, Planner
from headgate.relay.trail import Trail

_SETTING = "`access.queue.timeout_ms`"

_NEAR_SECONDS = 1.0
"""What returns so soon may return with the end of any request: of the one that finds out about it, say."""


class WaitingRoom:
    """Built with the relay, when settings change; the queue in it stays."""

    def __init__(
        self, queue: FairQueue, *, gate: Gate, pool: Pool, planner: Planner, patience: Patience, clock: Clock
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._pool = pool
        self._planner = planner
        self._patience = patience
        self._clock = clock

    def has_precedence(self, trail: Trail) -> bool:
        """Whether others were there before: what is free is theirs. Who tries a second one had its turn."""
        return self._queue.contested > 0 and not trail.tried

    # ---- its key's limits -----------------------------------------------------------------------

    async def enter(self, exchange: Exchange, trail: Trail, plan: Plan) -> Plan:
        """Reserve what the request will use; the plan by its key as that is then. Raises RateLimited, at once
        where waiting is in vain, BudgetExceeded, and what `Planner.plan` raises."""
        key, size, model = plan.key, exchange.body.received, plan.model
        if key is None:
            return plan
        if not self._queue.has_line(key.id):
            try:
                trail.reservation = self._gate.enter(key, size, model)
                return plan
            except RateLimited as error:
                if not self._is_in_time(trail, error):
                    raise

        def attempt() -> Reservation | None:
            key = self._key_of(exchange)
            if self._gate.is_full(key):
                ticket.opens_at = None
                return None
            try:
                return self._gate.enter(key, size, model)
            except RateLimited as error:
                if not self._is_in_time(trail, error):
                    raise
                ticket.opens_at = self._clock.monotonic() + error.wait_seconds if error.is_by_time else None
                return None

        ticket = Ticket(
            line=key.id,
            weight=self._weight_of(key),
            attempt=attempt,
            give_back=lambda got: got.settle(None, None),
            barrier=("key", key.id),
            costs_a_turn=False,
            request_id=exchange.id,
            why="a limit of its key",
        )
        trail.reservation = await self._wait(exchange, trail, ticket)
        if trail.reservation is None:
            trail.reservation = self._last_try(exchange, plan)
        return self._planner.renewed(plan, exchange, trail)

    def _key_of(self, exchange: Exchange) -> ClientKey:
        """Of one that came with a key: as it is now. While it waited it may have been revoked."""
        key = self._planner.key_of(exchange)
        assert key is not None
        return key

    def _last_try(self, exchange: Exchange, plan: Plan) -> Reservation:
        try:
            return self._gate.enter(self._key_of(exchange), exchange.body.received, plan.model)
        except RateLimited as error:
            error.hint += f" There was no turn for it in time ({_SETTING})."
            raise

    def _is_in_time(self, trail: Trail, error: RateLimited) -> bool:
        return not error.is_by_time or error.wait_seconds <= self._seconds_left(trail)

    # ---- an account ------------------------------------------------------------------------------

    async def account(
        self, exchange: Exchange, trail: Trail, plan: Plan
    ) -> tuple[Plan, LivingAccount] | None:
        """The next account that can serve, and the plan by which it may; None: none will in time. Who brought
        a credential of his own gets what is free for him, and waits for nothing. Who was refused for a limit
        may be asked again when that is over."""
        while True:
            try:
                living = await self._account(exchange, trail, plan)
                return None if living is None else (plan, living)
            except _Changed:
                plan = self._planner.renewed(plan, exchange, trail)

    async def _account(self, exchange: Exchange, trail: Trail, plan: Plan) -> LivingAccount | None:
        """Raises _Changed where it waits for what its key does not open any more."""
        may_wait = exchange.head.client.caller.own_credential is None
        wanted = plan.wanted
        again = self._pool.limited(trail.tried, wanted.model)
        tried = tuple(id for id in trail.tried if id not in again)
        moment = self._pool.opens_at(wanted, tried)
        seconds_left = self._seconds_left(trail) if may_wait else 0.0
        if moment is None or moment - self._clock.now() > seconds_left:
            return None

        def attempt() -> _Grant | None:
            if self._planner.key_of(exchange) is not plan.key:
                raise _Changed
            living = self._pool.pick(wanted, tried)
            if living is None:
                opens_at, now = self._pool.opens_at(wanted, tried), self._clock.now()
                ticket.opens_at = None
                if opens_at is not None and opens_at > now + _NEAR_SECONDS:
                    ticket.opens_at = self._clock.monotonic() + opens_at - now
                return None
            return _Grant(living, wanted.model, self._clock.now())

        ticket = Ticket(
            line=plan.key.id if plan.key is not None else 0,
            weight=self._weight_of(plan.key),
            attempt=attempt,
            give_back=_Grant.end,
            barrier=("account", wanted.provider, wanted.model, wanted.pinned_id, wanted.among, *tried),
            wide=wanted.provider,  # a client may ask for as many models as it likes to name
            is_wide_closed=lambda: self._pool.is_taken(wanted.provider),
            request_id=exchange.id,
            why="an account",
        )
        grant: _Grant | None = await self._wait(exchange, trail, ticket, may_wait=may_wait)
        if grant is None:
            return None
        grant.end()  # the attempt, which begins in this turn of the event loop, counts itself
        trail.tried = tried
        return grant.living

    # ---- both ------------------------------------------------------------------------------------

    def _weight_of(self, key: ClientKey | None) -> int:
        return 1 if key is None else self._gate.limits_of(key).queue_weight or 1

    async def _wait(self, exchange: Exchange, trail: Trail, ticket: Ticket, *, may_wait: bool = True) -> Any:
        began = self._clock.monotonic()
        seconds = 0.0
        if may_wait:
            seconds = min(self._seconds_left(trail), self._patience.seconds_left(exchange))
        if trail.may_wait_until is None:
            trail.may_wait_until = began + self._queue.seconds
        try:
            return await self._queue.wait(ticket, max(0.0, seconds))
        finally:
            trail.waited_seconds += self._clock.monotonic() - began

    def _seconds_left(self, trail: Trail) -> float:
        """Of the time that this request may wait in all."""
        if trail.may_wait_until is None:
            return self._queue.seconds
        return trail.may_wait_until - self._clock.monotonic()


class _Changed(Exception):
    """The owner changed the key of a request that waits: it waits for something else now."""


class _Grant:
    """An account that is taken, though its request has to wake up first: a place on it, and the one question
    whether its limit is over."""

    __slots__ = ("_probed", "living")

    def __init__(self, living: LivingAccount, model: str | None, now: float) -> None:
        self.living = living
        living.in_flight += 1
        self._probed = [] if not living.health.on_record else living.health.begin_probe(model, now)

    def end(self) -> None:
        self.living.in_flight -= 1
        self.living.health.end_probe(self._probed)
