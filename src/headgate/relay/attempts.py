"""The attempt loop: pick an account, send, look at the first bytes, serve or move on.

Nothing reaches the client before an attempt is good, so an account can be changed until then and
never afterwards. One coroutine per request; whatever happens, its record is written exactly once.
"""

import asyncio
import logging
from contextlib import suppress

from headgate.access.gate import Gate
from headgate.access.queue import FairQueue
from headgate.clock import Clock
from headgate.config.settings import LONGEST_DELAY_MS, RetrySettings
from headgate.errors import (
    GatewayFault,
    HeadgateError,
    LoopDetected,
    ShuttingDown,
    TokenRefreshFailed,
    UpstreamError,
)
from headgate.oauth.refresh import Refresher
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.relay.answers import Answers, in_words
from headgate.relay.attempt import Opened, keep, open_answer
from headgate.relay.ending import Ending
from headgate.relay.exchange import Exchange
from headgate.relay.patience import Patience
from headgate.relay.plan import Plan, Planner
from headgate.relay.retry import ASTRAY, UNREACHABLE, Step, Verdict, judge
from headgate.relay.targets import Targets
from headgate.relay.trail import Trail
from headgate.relay.waiting import WaitingRoom
from headgate.upstream.client import UpstreamClient

LONGEST_REFRESH_SECONDS = 3.0
"""For which a request waits for a new token while another account could serve it."""

_log = logging.getLogger("headgate.proxy")


class Relay:
    """Serves exchanges. Built anew when settings change; what is under way keeps the old one."""

    def __init__(
        self,
        *,
        pool: Pool,
        planner: Planner,
        targets: Targets,
        upstream: UpstreamClient,
        patience: Patience,
        retry: RetrySettings,
        answers: Answers,
        ending: Ending,
        tokens: Refresher,
        gate: Gate,
        queue: FairQueue,
        room: WaitingRoom | None,
        clock: Clock,
    ) -> None:
        """`room`: None where nobody joins the queue."""
        self._pool = pool
        self._gate = gate
        self._queue = queue
        self._room = room
        self._planner = planner
        self._targets = targets
        self._upstream = upstream
        self._patience = patience
        self._retry = retry
        self._answers = answers
        self._ending = ending
        self._tokens = tokens
        self._clock = clock

    # ---- the request edge ----------------------------------------------------------------------

    async def serve(self, exchange: Exchange) -> None:
        """The whole way of one request whose body is here, or is streamed. Never raises but to cancel."""
        trail = Trail(exchange, self._clock)
        try:
            plan = self._planner.plan(exchange, trail)
            room = self._room
            if room is not None:
                plan = await room.enter(exchange, trail, plan)
            elif plan.key is not None:
                trail.reservation = self._gate.enter(
                    plan.key, exchange.body.received, plan.model, exchange.ready_at
                )
            while plan.uses_pool and not exchange.body.is_spent:
                if room is not None and room.has_precedence(trail):
                    living = None
                else:
                    living = self._pool.pick(plan.wanted, trail.tried) or await self._again(exchange, trail)
                if living is None:
                    if room is None or (turn := await room.account(exchange, trail, plan)) is None:
                        break
                    plan, living = turn
                if await self._attempt(exchange, trail, plan, living):
                    return
                if trail.refused is not None and await self._attempt_anew(exchange, trail, plan, living):
                    return
            await self._ending.serve(exchange, trail, plan)
        except asyncio.CancelledError:
            if exchange.client_left:
                self._answers.left(exchange, trail)
            else:
                self._answers.fail(exchange, trail, shutting_down())
            raise
        except HeadgateError as error:
            named = self._patience.named(exchange, error)
            self._answers.fail(exchange, trail, named.with_traceback(None))
        except Exception:
            # The edge: nothing a request does may take the gateway down or leave a client waiting.
            _log.exception("Unexpected error", extra={"request_id": exchange.id})
            self._answers.fail(exchange, trail, _fault(exchange.id))
        finally:
            if self._queue.waiting:  # also where new ones do not wait any more
                self._queue.wake()

    def refuse(self, exchange: Exchange, error: HeadgateError, *, is_recorded: bool = True) -> None:
        """Answer a request that was not admitted."""
        trail = Trail(exchange, self._clock)
        trail.is_recorded = not is_recorded
        trail.is_admitted = False
        self._answers.fail(exchange, trail, error)

    def abandon(self, exchange: Exchange) -> None:
        """Record a request whose client left before it was whole."""
        trail = Trail(exchange, self._clock)
        trail.is_admitted = False
        self._answers.left(exchange, trail)

    # ---- the loop ------------------------------------------------------------------------------

    async def _again(self, exchange: Exchange, trail: Trail) -> LivingAccount | None:
        """When all were tried: one that failed in passing, after the delay of its next try."""
        passing = [
            (tries, living)
            for living, tries in trail.passing.values()
            if tries < self._retry.attempts and not living.is_full
        ]
        if not passing:
            return None
        tries, living = min(passing, key=lambda candidate: candidate[0])
        delay = self._retry.delay_ms / 1000 * self._retry.backoff ** (tries - 1)
        delay = min(delay, LONGEST_DELAY_MS / 1000, self._patience.seconds_left(exchange))
        trail.waited_seconds += delay
        with living.place_kept():
            await asyncio.sleep(delay)
        self._patience.check(exchange)
        return living

    async def _attempt(self, exchange: Exchange, trail: Trail, plan: Plan, living: LivingAccount) -> bool:
        """One account's try. True: the request is answered."""
        began = self._clock.monotonic()
        trail.trying = living.account
        trail.tried += (living.account.id,)
        learns = self._planner.listener(living.account.id) if plan.deals_in_objects else None
        living.in_flight += 1
        living.request_count += 1
        living.last_used_at = now = self._clock.now()
        health = living.health
        probed = None if not health.on_record else health.begin_probe(plan.model, now)
        try:
            try:
                lines, began_asking = plan.lines, began
                if living.is_signed_in:
                    if living.stale_at <= now:
                        await self._renew(trail, plan, living)
                        began_asking = self._clock.monotonic()
                    trail.trying, lines = living.account, plan.provider.bearer_lines(lines)
                timeouts = self._patience.timeouts(exchange, began_asking)
                opened = await open_answer(
                    self._upstream, exchange, self._targets.of(living), lines, timeouts, began_asking, learns
                )
                ended = self._clock.monotonic()
                trail.waited_seconds += ended - began
            except UpstreamError as error:
                trail.waited_seconds += self._clock.monotonic() - began
                # Without its frames, which hold the body and lead back to it: the collector comes seldom.
                trail.last_error = error.with_traceback(None)
                self._note_failure(
                    trail,
                    plan,
                    living,
                    _verdict_on(error),
                    began,
                    error.code,
                    living.without_secret(in_words(error)),
                )
                return False
            try:
                if not self._is_good(trail, plan, living, opened, began, ended):
                    return False
                if opened.answer.is_complete:
                    self._answers.relay_whole(exchange, trail, opened)
                else:
                    await self._answers.relay(exchange, trail, opened)
                return True
            except UpstreamError:  # the answer broke off
                living.error_count += 1
                raise
            finally:
                opened.answer.close()
        finally:
            living.in_flight -= 1
            if probed:
                health.end_probe(probed)

    async def _renew(self, trail: Trail, plan: Plan, living: LivingAccount) -> None:
        """Waits for a new token: while others could serve not for long, for the provider may be hanging. The
        refresh goes on meanwhile."""
        stale = living.account.credential
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_REFRESH_SECONDS):
                await self._tokens.renew(living, stale)
                return
        if self._pool.has_others(plan.wanted, trail.tried):
            words = f"The refresh of its token takes longer than {LONGEST_REFRESH_SECONDS:.0f} s"
            raise TokenRefreshFailed(words, needs_owner=False)
        await self._tokens.renew(living, stale)

    async def _attempt_anew(
        self, exchange: Exchange, trail: Trail, plan: Plan, living: LivingAccount
    ) -> bool:
        """The provider refused an access token before its time: once more with a new one, if there is one."""
        refused, trail.refused = trail.refused, None
        began = self._clock.monotonic()
        try:
            with living.place_kept():
                await self._tokens.renew(living, refused)
        except TokenRefreshFailed as error:
            trail.last_error = error.with_traceback(None)
            return False
        finally:
            trail.waited_seconds += self._clock.monotonic() - began
        if exchange.body.is_spent or not living.is_open:
            return False
        return await self._attempt(exchange, trail, plan, living)

    def _is_good(
        self, trail: Trail, plan: Plan, living: LivingAccount, opened: Opened, began: float, ended: float
    ) -> bool:
        """The answer has begun: do we relay it, or does the next account do better? The attempt began and
        ended at these moments, monotonic."""
        answer, meter, now = opened.answer, opened.meter, self._clock.now()
        status = answer.status
        if status >= 400 or meter.error_data is not None:
            verdict, reason = self._judge(plan, living, opened, now)
            if verdict.step is not Step.SERVE:
                trail.keep(keep(opened))
                error = living.without_secret(meter.error_type or f"http_{status}")
                if verdict.fault is Fault.REFUSED and trail.may_renew(living):
                    verdict = Verdict(Step.MOVE)
                self._note_failure(trail, plan, living, verdict, began, error, reason, status=status)
                return False
        living.note_headers(answer.headers, answer.fields, now)
        if status < 400:
            living.health.succeeded(plan.model, now)
        account = living.account
        trail.note_attempt(account.id, account.name, began, ended, status)
        trail.serving, trail.meter = living, meter
        trail.note_provider_id(answer.fields)
        return True

    def _judge(self, plan: Plan, living: LivingAccount, opened: Opened, now: float) -> tuple[Verdict, str]:
        """The verdict on an answer that reports an error and, for the log, the provider's words."""
        status = opened.answer.status
        error = plan.provider.read_error(status, opened.meter.error_data or b"", now)
        limits = plan.provider.read_limits(opened.answer.headers, now)
        verdict = judge(error, limits)
        if verdict.step is not Step.SERVE:
            living.note_limits(limits)
        reason = living.without_secret(f"{status} {error.type or ''} {error.message}".strip())
        return verdict, reason

    def _note_failure(
        self,
        trail: Trail,
        plan: Plan,
        living: LivingAccount,
        verdict: Verdict,
        began: float,
        error: str,
        reason: str,
        *,
        status: int | None = None,
    ) -> None:
        """Tell the account's health and the trail."""
        living.error_count += 1
        until = None
        if verdict.fault is not None and trail.is_about(living) and not plan.is_typo(verdict.fault, living):
            until = living.health.apply(
                verdict.fault,
                model=plan.model,
                until=verdict.until,
                source=verdict.source,
                reason=reason,
                now=self._clock.now(),
            )
        if verdict.step is Step.RETRY:
            trail.note_passing(living)
        account = living.account
        trail.note_attempt(
            account.id,
            account.name,
            began,
            self._clock.monotonic(),
            status,
            error=error,
            reason=reason,
            until=until,
        )


def _verdict_on(error: UpstreamError) -> Verdict:
    if isinstance(error, TokenRefreshFailed):
        return Verdict(Step.MOVE)  # who renews tokens has told the account's health
    return ASTRAY if isinstance(error, LoopDetected) else UNREACHABLE


def shutting_down() -> ShuttingDown:
    return ShuttingDown("The gateway is shutting down.", hint="Send the request again in a moment.")


def _fault(request_id: str) -> GatewayFault:
    return GatewayFault(
        f"The gateway met an unexpected error (request {request_id}).",
        hint="The log has the details under this request id.",
    )
