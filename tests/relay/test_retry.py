"""The table of what one failure does: to the request, and to the account."""

import pytest

from headgate.pool.faults import Fault
from headgate.providers.limits import Limits
from headgate.providers.provider import Complaint, ProviderError
from headgate.relay.retry import SERVE, UNREACHABLE, Step, Verdict, judge

NOTHING_STATED = Limits()


@pytest.mark.parametrize("complaint", list(Complaint))
def test_every_complaint_has_a_verdict(complaint: Complaint) -> None:
    """None falls through; the caller's own faults never touch an account."""
    verdict = judge(ProviderError(complaint), NOTHING_STATED)
    assert (verdict.step is Step.SERVE) == (
        complaint in {Complaint.INVALID, Complaint.TOO_LARGE, Complaint.NOT_FOUND}
    )
    assert verdict.step is not Step.SERVE or verdict.fault is None


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        (Complaint.INVALID, SERVE),
        (Complaint.REFUSED, Verdict(Step.MOVE, Fault.REFUSED)),
        (Complaint.FORBIDDEN, Verdict(Step.MOVE, Fault.FORBIDDEN)),
        (Complaint.MODEL_NOT_FOUND, Verdict(Step.MOVE, Fault.MODEL_MISSING)),
        (Complaint.REQUEST_LIMITED, Verdict(Step.MOVE)),
        (Complaint.OVERLOADED, Verdict(Step.RETRY, Fault.OVERLOADED)),
        (Complaint.SERVER_ERROR, Verdict(Step.RETRY, Fault.SERVER_ERROR)),
        (Complaint.TIMED_OUT, Verdict(Step.RETRY, Fault.SERVER_ERROR)),
    ],
)
def test_moving_on_is_no_retry(complaint: Complaint, expected: Verdict) -> None:
    """A limited or refused account is left; what may pass is tried again."""
    assert judge(ProviderError(complaint), NOTHING_STATED) == expected


def test_a_limit_rests_until_its_stated_reset() -> None:
    assert judge(ProviderError(Complaint.LIMITED), Limits(reset_at=1000.0)) == Verdict(
        Step.MOVE, Fault.LIMITED, until=1000.0
    )


def test_a_limit_on_one_model_leaves_the_others() -> None:
    limits = Limits(reset_at=1000.0, is_model_limit=True)
    assert judge(ProviderError(Complaint.LIMITED), limits).fault is Fault.MODEL_LIMITED


def test_billing_rests_until_what_the_message_or_else_the_headers_say() -> None:
    limits = Limits(reset_at=1000.0)
    assert judge(ProviderError(Complaint.BILLING, until=7.0), limits).until == 7.0
    assert judge(ProviderError(Complaint.BILLING), limits).until == 1000.0


def test_an_overload_with_a_stated_time_rests_that_long() -> None:
    assert judge(ProviderError(Complaint.OVERLOADED), Limits(reset_at=5.0)).until == 5.0


def test_a_provider_that_says_nothing_may_be_asked_again() -> None:
    assert Verdict(Step.RETRY, Fault.UNREACHABLE) == UNREACHABLE
