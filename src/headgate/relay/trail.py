"""What has happened to one request so far: the attempts, the waits, the answer kept for the end.

Ends as the request's record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from headgate.access.callers import Caller
from headgate.access.meter import Reservation
from headgate.clock import Clock
from headgate.dialects.meters import Meter
from headgate.errors import UpstreamError
from headgate.pool.accounts import Account, Credential
from headgate.pool.living import LivingAccount
from headgate.record.events import Attempt, RequestRecord, Skipped
from headgate.relay.exchange import Exchange
from headgate.relay.tape import Tape
from headgate.wire.headers import Headers

_LONGEST_NAME = 256
"""Characters of what a caller sends that a record holds: one that is too long for the journal is lost."""

_NONE: Mapping[int, tuple[LivingAccount, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A provider's refusal, whole, in case nobody does better."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes


class Trail(msgspec.Struct, eq=False):
    """Written by the attempt loop alone. Made for every request, so it is a struct."""

    exchange: Exchange
    _clock: Clock
    # Tuples and a mapping that grow by being replaced: what most requests leave empty costs nothing.
    attempts: tuple[Attempt, ...] = ()
    tried: tuple[int, ...] = ()
    """Account ids in the order of trying."""
    passing: Mapping[int, tuple[LivingAccount, int]] = _NONE
    """Account id to the account and its failures that may pass."""
    trying: Account | None = None
    """What the account was when its attempt began: its owner may change it meanwhile."""
    serving: LivingAccount | None = None
    meter: Meter | None = None
    kept: KeptAnswer | None = None
    last_error: UpstreamError | None = None
    """Of the last attempt that got no answer."""
    last_reason: str = ""
    refused: Credential | None = None
    """An access token that its provider refused in the attempt just made."""
    renewed: tuple[int, ...] = ()
    """Ids of the accounts whose token was refused once: a second time it is not the token's age."""
    provider_request_id: str | None = None
    skipped: Skipped | None = None
    """Why nobody could be asked."""
    waited_seconds: float = 0.0
    """What was spent waiting for providers and between attempts: not our own time."""
    may_wait_until: float | None = None
    """Monotonic seconds, of one that has waited for its turn: how long it may wait in all."""
    reservation: Reservation | None = None
    """Of the limits of the caller's key; the record settles it."""
    is_recorded: bool = False
    is_admitted: bool = True
    """What a stranger sends is not kept."""
    bodies: int = 0
    """How many will be handed over behind its record."""
    tape: Tape | None = None
    """What passed of an answer that goes on, where answers are kept."""
    apart: bytes = b""
    domain: str | None = None
    """As in `RequestRecord`, both."""

    def note_attempt(
        self,
        account_id: int,
        account: str,
        began: float,
        ended: float,
        status: int | None = None,
        error: str | None = None,
        reason: str | None = None,
        until: float | None = None,
    ) -> None:
        """One attempt has its outcome. `began` and `ended` are monotonic, `until` Unix seconds."""
        attempt = Attempt(
            account_id,
            account,
            (began - self.exchange.ready_at) * 1000.0,
            (ended - began) * 1000.0,
            status,
            error,
            reason,
            until,
        )
        self.attempts += (attempt,)
        if error is not None:
            self.last_reason = reason or error

    def is_about(self, living: LivingAccount) -> bool:
        """Whether what the provider says now is about the key and address that the account still has."""
        return self.trying is not None and self.trying.place == living.account.place

    def may_renew(self, living: LivingAccount) -> bool:
        """A refused access token may have ended early, or be another one by now: noted in `refused`, once
        for each account."""
        if not living.can_renew or living.id in self.renewed or self.trying is None:
            return False
        self.renewed += (living.id,)
        self.refused = self.trying.credential
        return True

    def note_passing(self, living: LivingAccount) -> None:
        _, failures = self.passing.get(living.account.id, (living, 0))
        self.passing = {**self.passing, living.account.id: (living, failures + 1)}

    def keep(self, answer: KeptAnswer | None) -> None:
        """The last refusal counts, but one about limits not over one about the request."""
        if answer is not None and (self.kept is None or answer.status != 429):
            self.kept = answer

    def note_provider_id(self, fields: Mapping[bytes, bytes]) -> None:
        request_id = fields.get(b"request-id") or fields.get(b"x-request-id")
        if request_id is not None:
            self.provider_request_id = request_id.decode("latin-1")[:128]

    def own_seconds(self) -> float:
        """Our own time so far, from the whole request to now."""
        return max(0.0, self._clock.monotonic() - self.exchange.ready_at - self.waited_seconds)

    def to_record(self, status: int, error: str | None, last_bytes: int = 0) -> RequestRecord:
        exchange, head = self.exchange, self.exchange.head
        caller = head.client.caller
        facts, serving = exchange.facts, self.serving
        usage, meter = None, self.meter
        if meter is not None:
            usage = meter.finish()
            if error is None:
                error = meter.error_type
        now = self._clock.monotonic()
        first_byte_at = exchange.first_byte_at or now
        own_seconds = first_byte_at - exchange.ready_at - self.waited_seconds
        # By position, in the order of `RequestRecord`: naming two dozen fields costs a microsecond.
        return RequestRecord(
            exchange.id,
            int(exchange.began_at * 1000.0),
            head.endpoint.dialect,
            head.endpoint.provider,
            head.shown_method,
            head.shown_path,
            caller.name if serving is not None else _caller_name(caller, self.attempts),
            exchange.address(),
            head.client.user_agent,
            exchange.session,
            facts.model[:_LONGEST_NAME] if facts is not None else None,
            facts.stream if facts is not None else False,
            serving.account.id if serving is not None else None,
            serving.account.name if serving is not None else None,
            self.attempts,
            status,
            error,
            (first_byte_at - exchange.began) * 1000.0,
            (now - exchange.began) * 1000.0,
            own_seconds * 1000.0 if own_seconds > 0.0 else 0.0,
            exchange.body.received,
            exchange.response_bytes + last_bytes,
            usage,
            self.provider_request_id,
            self.skipped,
            (caller.key.id or None) if caller.key is not None else None,
            facts.spans if facts is not None else b"",
            self.apart,
            self.domain,
            self.bodies,
            head.client.traceparent,
            head.client.project,
        )


def _caller_name(caller: Caller, attempts: Sequence[Attempt]) -> str:
    """A caller without a key whom no account served is named after the credential that in the end did."""
    is_own = bool(attempts) and attempts[-1].account_id == 0
    return "own-credential" if is_own and caller.name == "anonymous" else caller.name
