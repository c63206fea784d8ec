"""The judgement of one answer: whom it concerns and what the attempt loop does next.

A pure table (design: "What one failure does"). Only what a provider itself said reaches an account's
health; a caller's own faults never do.
"""

from dataclasses import dataclass
from enum import StrEnum

from headgate.pool.faults import Fault
from headgate.providers.limits import Limits, Source
from headgate.providers.provider import Complaint, ProviderError


class Step(StrEnum):
    """What becomes of the request."""

    SERVE = "serve"
    """Relay this answer, whatever it is: nobody else would answer better."""
    MOVE = "move"
    """Leave this account; the next one is asked. Not counted as a retry."""
    RETRY = "retry"
    """A passing trouble: the next account, or this one again after a delay."""


@dataclass(frozen=True, slots=True)
class Verdict:
    step: Step
    fault: Fault | None = None
    """What the account's health is told; None: nothing."""
    until: float | None = None
    """Unix seconds, as the provider stated them."""
    source: Source = Source.HEADER
    """Where it stated them."""


SERVE = Verdict(Step.SERVE)
UNREACHABLE = Verdict(Step.RETRY, Fault.UNREACHABLE)
"""Nothing came back: connect error, timeout before the first byte, broken answer."""

ASTRAY = Verdict(Step.MOVE, Fault.UNREACHABLE)
"""Its address leads back to us: another try would not go elsewhere."""

_OF_COMPLAINT = {
    Complaint.INVALID: SERVE,
    Complaint.TOO_LARGE: SERVE,
    Complaint.NOT_FOUND: SERVE,
    Complaint.MODEL_NOT_FOUND: Verdict(Step.MOVE, Fault.MODEL_MISSING),
    Complaint.REFUSED: Verdict(Step.MOVE, Fault.REFUSED),
    Complaint.FORBIDDEN: Verdict(Step.MOVE, Fault.FORBIDDEN),
    Complaint.BILLING: Verdict(Step.MOVE, Fault.BILLING),
    Complaint.LIMITED: Verdict(Step.MOVE, Fault.LIMITED),
    Complaint.REQUEST_LIMITED: Verdict(Step.MOVE),
    Complaint.OVERLOADED: Verdict(Step.RETRY, Fault.OVERLOADED),
    Complaint.TIMED_OUT: Verdict(Step.RETRY, Fault.SERVER_ERROR),
    Complaint.SERVER_ERROR: Verdict(Step.RETRY, Fault.SERVER_ERROR),
}


def judge(error: ProviderError, limits: Limits) -> Verdict:
    """The verdict on an answer that reports an error. `limits` are what its headers say."""
    verdict = _OF_COMPLAINT[error.complaint]
    match verdict.fault:
        case Fault.LIMITED:
            fault = Fault.MODEL_LIMITED if limits.is_model_limit else Fault.LIMITED
            return Verdict(Step.MOVE, fault, until=limits.reset_at)
        case Fault.BILLING:
            source = Source.HEADER if error.until is None else Source.BODY
            until = limits.reset_at if error.until is None else error.until
            return Verdict(Step.MOVE, Fault.BILLING, until=until, source=source)
        case Fault.OVERLOADED | Fault.SERVER_ERROR:
            return Verdict(verdict.step, verdict.fault, until=limits.reset_at)
    return verdict
