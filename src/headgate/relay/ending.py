"""When no account served: the caller's own credential, a kept refusal, or an error that says when to
come back.
"""

import logging
from datetime import UTC, datetime

from headgate.clock import Clock
from headgate.errors import (
    AllAccountsBusy,
    AllAccountsFailed,
    AllAccountsLimited,
    ForwardFailed,
    LoopDetected,
    NoAccountAvailable,
    TokenRefreshFailed,
    UpstreamError,
    UpstreamTimedOut,
)
from headgate.pool.pool import Pool
from headgate.record.events import Skipped
from headgate.relay.answers import WORTH_WAITING_SECONDS, Answers, in_words
from headgate.relay.attempt import open_answer
from headgate.relay.exchange import Exchange
from headgate.relay.patience import Patience
from headgate.relay.plan import Plan
from headgate.relay.targets import Targets
from headgate.relay.trail import Trail
from headgate.upstream.client import UpstreamClient

_log = logging.getLogger("headgate.proxy")

_ABOUT_THE_ACCOUNT = frozenset({401, 402, 429})
_MOST_NAMED = 5
_BUSY_SECONDS = 0.0
"""Told to a client when accounts are busy: as a `retry-after` of one second, the least there is."""
_LONGEST_REASON = 500
"""A provider's words may be long; `headgate account list` has the whole of them."""


class Ending:
    def __init__(
        self,
        *,
        pool: Pool,
        targets: Targets,
        upstream: UpstreamClient,
        patience: Patience,
        answers: Answers,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._targets = targets
        self._upstream = upstream
        self._patience = patience
        self._answers = answers
        self._clock = clock

    async def serve(self, exchange: Exchange, trail: Trail, plan: Plan) -> None:
        """Answers the exchange, always."""
        can_forward = exchange.head.client.caller.own_credential is not None and not exchange.body.is_spent
        if can_forward:
            await self._forward_own(exchange, trail, plan)
        elif self._is_busy(trail, plan):
            self._say_busy(exchange, trail, plan)
        elif self._returns_at(trail, plan) is not None:
            self._say_limited(exchange, trail, plan)
        elif trail.kept is not None:
            error = None if plan.wanted.pinned_id is not None else _all_failed(trail)
            self._answers.kept(exchange, trail, trail.kept, error=error)
        elif trail.attempts and not _only_lacked_tokens(trail):
            raise _nobody_answered(trail)
        else:
            raise self._no_account(trail, plan)

    # ---- busy ------------------------------------------------------------------------------------

    def _is_busy(self, trail: Trail, plan: Plan) -> bool:
        """Whether nobody served because an account has all the requests that it may have."""
        is_about_limits = all(one.status == 429 for one in trail.attempts)
        return is_about_limits and self._pool.is_busy(plan.wanted, trail.tried)

    def _say_busy(self, exchange: Exchange, trail: Trail, plan: Plan) -> None:
        skipped = _note_skipped(trail, _skipped(self._pool, plan))
        way_out = (
            "requests can wait for their turn (`access.queue.max_waiting`)"
            if trail.may_wait_until is None
            else "there was no turn for it in time (`access.queue.timeout_ms`)"
        )
        error = AllAccountsBusy(
            "No active accounts available: those that could serve have as many requests as they may.",
            hint=f"{_in_words(skipped)}. Try again in a moment; {way_out}.",
        )
        self._answers.fail(exchange, trail, error, retry_after=_BUSY_SECONDS)

    # ---- limited -------------------------------------------------------------------------------

    def _returns_at(self, trail: Trail, plan: Plan) -> float | None:
        """Unix seconds of the earliest reset, when limits alone are why nobody served."""
        if not self._pool.rotation:
            return None
        # Another account's wrong key or empty purse is no answer for a client that only has to wait.
        is_limited = trail.kept is not None and trail.kept.status in _ABOUT_THE_ACCOUNT
        if trail.attempts and not (is_limited and any(one.status == 429 for one in trail.attempts)):
            return None
        return self._pool.earliest_return(plan.wanted)

    def _say_limited(self, exchange: Exchange, trail: Trail, plan: Plan) -> None:
        now = self._clock.now()
        returns_at = self._returns_at(trail, plan) or now
        seconds = max(0.0, returns_at - now)
        moment = datetime.fromtimestamp(returns_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        skipped = _skipped(self._pool, plan)
        limited, out = _limited_and_out(self._pool, plan, skipped, now)
        # A client's owner must not wait for hours for what `account resume` ends at once.
        who, instead = "all are rate limited", "add an account"
        if limited and out:
            verb = "is" if limited == 1 else "are"
            who = f"{limited} of {limited + out} {verb} rate limited, the others are out"
            instead = "mend the others: `headgate status` says how"
        error = AllAccountsLimited(
            f"No active accounts available: {who}. The first returns at {moment}.",
            hint=f"{_in_words(_note_skipped(trail, skipped))}. Wait until then, or {instead}.",
        )
        should_retry = seconds <= WORTH_WAITING_SECONDS
        self._answers.fail(exchange, trail, error, retry_after=seconds, should_retry=should_retry)

    # ---- nobody ----------------------------------------------------------------------------------

    def _no_account(self, trail: Trail, plan: Plan) -> NoAccountAvailable:
        skipped = _note_skipped(trail, _skipped(self._pool, plan))
        if not self._pool.explain(plan.wanted.provider, plan.model, among=plan.wanted.among):
            return NoAccountAvailable(
                "No active accounts available: none is configured.",
                hint="Add one: `headgate account add NAME --provider anthropic --api-key-stdin`.",
            )
        return NoAccountAvailable(
            "No active accounts available",
            hint=f"{_in_words(skipped)}. `headgate status` says what mends it.",
        )

    # ---- the caller's own credential -------------------------------------------------------------

    async def _forward_own(self, exchange: Exchange, trail: Trail, plan: Plan) -> None:
        """One attempt with what the caller brought; whatever the provider says is its answer."""
        if plan.uses_pool:
            _log.warning(
                "No active accounts available - forwarding request without authentication",
                extra={"request_id": exchange.id},
            )
        assert exchange.head.client.caller.own_credential is not None
        credential = exchange.head.client.caller.own_credential
        target = self._targets.of_own(credential, plan.provider)
        lines = plan.provider.bearer_lines(plan.lines) if credential.is_bearer else plan.lines
        began = self._clock.monotonic()
        try:
            opened = await open_answer(
                self._upstream, exchange, target, lines, self._patience.timeouts(exchange, began), began
            )
            ended = self._clock.monotonic()
            trail.waited_seconds += ended - began
        except UpstreamError as error:
            ended, why = self._clock.monotonic(), in_words(error)
            trail.note_attempt(0, "own-credential", began, ended, error=error.code, reason=why)
            if isinstance(error, LoopDetected) or _was_reached(error):
                raise
            raise ForwardFailed(
                f"Failed to forward unauthenticated request: {in_words(error)}",
                hint="Is the provider reachable from this machine?",
            ) from error.with_traceback(None)  # its frames hold the body
        try:
            trail.note_attempt(0, "own-credential", began, ended, opened.answer.status)
            trail.meter = opened.meter
            trail.note_provider_id(opened.answer.fields)
            if opened.answer.is_complete:
                self._answers.relay_whole(exchange, trail, opened)
            else:
                await self._answers.relay(exchange, trail, opened)
        finally:
            opened.answer.close()


def _was_reached(error: UpstreamError) -> bool:
    """It took the request, and then too long: told as a timeout."""
    return isinstance(error, UpstreamTimedOut) and error.setting != "upstream.connect_timeout_ms"


def _all_failed(trail: Trail) -> AllAccountsFailed:
    return AllAccountsFailed(
        f"All accounts failed to proxy the request ({len(trail.attempts)} attempts).",
        hint="`headgate requests ID` shows each attempt; ID is this answer's request_id.",
    )


def _only_lacked_tokens(trail: Trail) -> bool:
    """No provider was asked for what the client wants: there was no account to ask with."""
    return all(one.error == TokenRefreshFailed.code for one in trail.attempts)


def _nobody_answered(trail: Trail) -> Exception:
    """No provider said anything: a timeout is told as such, everything else as a bad gateway."""
    if isinstance(trail.last_error, UpstreamTimedOut | LoopDetected):
        return trail.last_error
    mend = (trail.last_error and trail.last_error.hint) or "Is the provider reachable from this machine?"
    return AllAccountsFailed(
        "All accounts failed to proxy the request",
        hint=f"{mend} `headgate requests ID` shows each attempt; ID is this answer's request_id.",
    )


def _skipped(pool: Pool, plan: Plan) -> list[tuple[str, str]]:
    """The accounts that the request asked for and cannot have, each with the reason."""
    found = pool.explain(plan.wanted.provider, plan.model, among=plan.wanted.among)
    skipped = list(found.items())
    if plan.wanted.pinned_id is None:
        return skipped
    return [one for one in skipped if (living := pool.by_name(one[0])) and living.id == plan.wanted.pinned_id]


def _limited_and_out(pool: Pool, plan: Plan, skipped: list[tuple[str, str]], now: float) -> tuple[int, int]:
    """How many accounts wait for a limit, and how many for something else, of those with the model."""
    limited = out = 0
    for name, _ in skipped:
        living = pool.by_name(name)
        if living is None or not living.serves(plan.model):
            continue
        rest = living.health.open_rest(plan.model, now) if living.is_open else None
        if rest is not None and rest.is_limit:
            limited += 1
        else:
            out += 1
    return limited, out


def _note_skipped(trail: Trail, skipped: list[tuple[str, str]]) -> Skipped:
    """Why each account is passed by, of many the first few: for the client, and for the record."""
    named = [(name, why[:_LONGEST_REASON]) for name, why in skipped[:_MOST_NAMED]]
    trail.skipped = Skipped(tuple(named), max(0, len(skipped) - _MOST_NAMED))
    return trail.skipped


def _in_words(skipped: Skipped) -> str:
    more = f"; and {skipped.more} more" if skipped.more else ""
    return "; ".join(f"{name}: {why}" for name, why in skipped.accounts) + more
