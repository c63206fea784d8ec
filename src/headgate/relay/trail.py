"""What has happened to one request so far: the attempts, the waits, the answer kept for the end.

Ends as the request's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.access.callers import Caller
from headgate.clock import Clock
from headgate.dialects.anthropic import RequestFacts
from headgate.dialects.anthropic_meter import Meter
from headgate.errors import UpstreamError
from headgate.pool.accounts import Account
from headgate.pool.living import LivingAccount
from headgate.record.events import Attempt, RequestRecord
from headgate.relay.exchange import Exchange
from headgate.wire.headers import Headers

_LONGEST_NAME = 256
_LONGEST_PATH = 2048
"""Characters of what a caller sends that a record holds: one that is too long for the journal is lost."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A provider's refusal, whole, in case nobody does better."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes


class Trail:
    """Written by the attempt loop alone."""

    facts: RequestFacts | None = None
    session: str | None = None
    """What the accounts were chosen by: a header's word for the conversation, else the body's."""
    trying: Account | None = None
    """What the account was when its attempt began: its owner may change it meanwhile."""
    serving: LivingAccount | None = None
    meter: Meter | None = None
    kept: KeptAnswer | None = None
    last_error: UpstreamError | None = None
    """Of the last attempt that got no answer."""
    last_reason = ""
    provider_request_id: str | None = None
    waited_seconds = 0.0
    """What was spent waiting for providers and between attempts: not our own time."""
    is_recorded = False

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._monotonic = clock.monotonic
        self.attempts: list[Attempt] = []
        self.tried: list[int] = []
        """Account ids in the order of trying."""
        self.passing: dict[int, tuple[LivingAccount, int]] = {}
        """Account id to the account and its failures that may pass."""

    def note_attempt(
        self,
        account_id: int,
        account: str,
        *,
        began: float,
        status: int | None = None,
        error: str | None = None,
        reason: str | None = None,
        until: float | None = None,
    ) -> None:
        """One attempt has its outcome. `began` is monotonic, `until` Unix seconds."""
        now = self._monotonic()
        self.attempts.append(
            Attempt(
                account_id=account_id,
                account=account,
                started_ms=(began - self._exchange.ready_at) * 1000,
                duration_ms=(now - began) * 1000,
                status=status,
                error=error,
                reason=reason,
                until_at=until,
            )
        )
        if error is not None:
            self.last_reason = reason or error

    def is_about(self, living: LivingAccount) -> bool:
        """Whether what the provider says now is about the key and address that the account still has."""
        return self.trying is not None and self.trying.place == living.account.place

    def note_passing(self, living: LivingAccount) -> None:
        _, failures = self.passing.get(living.account.id, (living, 0))
        self.passing[living.account.id] = (living, failures + 1)

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
        return max(0.0, self._monotonic() - self._exchange.ready_at - self.waited_seconds)

    def to_record(self, status: int, error: str | None, *, last_bytes: int = 0) -> RequestRecord:
        exchange, head = self._exchange, self._exchange.head
        facts, serving = self.facts, self.serving
        usage = self.meter.finish() if self.meter is not None else None
        if error is None and self.meter is not None:
            error = self.meter.error_type
        now = self._monotonic()
        first_byte_at = exchange.first_byte_at or now
        return RequestRecord(
            id=exchange.id,
            at_ms=int(exchange.began_at * 1000),
            dialect=head.endpoint.dialect,
            provider=head.endpoint.provider,
            method=head.method.decode("latin-1"),
            path=head.path[:_LONGEST_PATH].decode("latin-1"),
            caller=_caller_name(exchange.head.client.caller, serving, self.attempts),
            client_address=exchange.client.address,
            user_agent=head.client.user_agent,
            session=self.session,
            model=_shortened(facts.model) if facts is not None else None,
            stream=facts.stream if facts is not None else False,
            account_id=serving.account.id if serving is not None else None,
            account=serving.account.name if serving is not None else None,
            attempts=tuple(self.attempts),
            status=status,
            error=error,
            first_byte_ms=(first_byte_at - exchange.began) * 1000,
            duration_ms=(now - exchange.began) * 1000,
            overhead_ms=max(0.0, first_byte_at - exchange.ready_at - self.waited_seconds) * 1000,
            request_bytes=exchange.body.received,
            response_bytes=exchange.response_bytes + last_bytes,
            usage=usage,
            provider_request_id=self.provider_request_id,
        )


def _shortened(name: str | None) -> str | None:
    return name[:_LONGEST_NAME] if name is not None else None


def _caller_name(caller: Caller, serving: LivingAccount | None, attempts: list[Attempt]) -> str:
    """A caller without a key is named after the credential that in the end served him."""
    is_own = serving is None and bool(attempts) and attempts[-1].account_id == 0
    return "own-credential" if is_own and caller.name == "anonymous" else caller.name
