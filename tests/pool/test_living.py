from dataclasses import replace

import pytest

from headgate.pool.accounts import Credential
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount, Status
from headgate.wire.headers import Headers
from tests.pool.sample import MODEL, START, StillClock, Told, account, named, pool_of

PREFIX = b"anthropic-ratelimit-unified-"


def status_headers(status: bytes, *more: tuple[bytes, bytes]) -> Headers:
    return [(b"date", b"x"), (PREFIX + b"status", status), *((PREFIX + name, value) for name, value in more)]


def note(living: LivingAccount, headers: Headers) -> None:
    living.note_headers(headers, dict(headers), START)


def test_a_soft_status_is_told_once_and_does_not_take_the_account_out(clock: StillClock) -> None:
    told = Told()
    living = named(pool_of(account(1), clock=clock, told=told), "a1")
    for status in (b"allowed", b"allowed_warning", b"allowed_warning", b"allowed_warning"):
        note(living, status_headers(status, (b"5h-utilization", b"0.91")))
    assert told.soft == [("a1", "allowed_warning")]
    assert living.can_serve(MODEL, START)
    assert living.rate_limit_status == "allowed_warning"
    assert [window.utilization for window in living.windows] == [0.91]


def test_a_warning_that_comes_back_is_told_again(clock: StillClock) -> None:
    told = Told()
    living = named(pool_of(account(1), clock=clock, told=told), "a1")
    for status in (b"queueing_soft", b"allowed", b"queueing_soft"):
        note(living, status_headers(status))
    assert len(told.soft) == 2


@pytest.mark.parametrize("status", [b"rejected", b"rate_limited", b"blocked", b"queueing_hard"])
def test_a_hard_status_on_a_good_answer_takes_the_account_out(clock: StillClock, status: bytes) -> None:
    living = named(pool_of(account(1), clock=clock), "a1")
    note(living, status_headers(status, (b"reset", str(int(START + 300)).encode())))
    assert living.status is Status.RATE_LIMITED
    assert (living.rate_limit_status, living.rate_limit_reset) == ("limited", START + 300)
    clock.at = START + 300
    assert (living.status, living.rate_limit_reset) == (Status.ACTIVE, None)


def test_payment_required_waits_for_a_check(clock: StillClock) -> None:
    living = named(pool_of(account(1), clock=clock), "a1")
    note(living, status_headers(b"payment_required"))
    assert living.status is Status.DISABLED
    assert living.health.unavailable_until(MODEL, START) == START + 1800


def test_a_used_up_plan_that_goes_on_with_paid_overage_goes_on(clock: StillClock) -> None:
    living = named(pool_of(account(1), clock=clock), "a1")
    note(living, status_headers(b"rejected", (b"overage-status", b"allowed")))
    assert living.can_serve(MODEL, START)


def test_a_used_up_window_of_other_models_does_not_take_the_account_out(clock: StillClock) -> None:
    living = named(pool_of(account(1), clock=clock), "a1")
    note(living, status_headers(b"rejected", (b"7d_opus-status", b"rejected")))
    assert living.can_serve(MODEL, START)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.LIMITED, Status.RATE_LIMITED),
        (Fault.REFUSED, Status.NEEDS_REAUTH),
        (Fault.BILLING, Status.DISABLED),
        (Fault.SERVER_ERROR, Status.ACTIVE),
        (Fault.MODEL_MISSING, Status.ACTIVE),
    ],
)
def test_status_says_what_the_owner_should_know(clock: StillClock, fault: Fault, status: Status) -> None:
    living = named(pool_of(account(1), clock=clock), "a1")
    living.health.apply(fault, model=MODEL, now=START)
    assert living.status is status


def test_a_new_credential_starts_with_a_clean_slate(clock: StillClock) -> None:
    pool = pool_of(account(1), clock=clock)
    named(pool, "a1").health.apply(Fault.REFUSED, now=START)
    pool.put(replace(account(1), credential=Credential("sk-new")))
    assert named(pool, "a1").status is Status.ACTIVE
    assert named(pool, "a1").credential_header == (b"x-api-key", b"sk-new")


def test_another_weight_or_name_keeps_the_health(clock: StillClock) -> None:
    pool = pool_of(account(1), clock=clock)
    named(pool, "a1").health.apply(Fault.REFUSED, now=START)
    pool.put(account(1, "renamed", weight=5))
    assert named(pool, "renamed").status is Status.NEEDS_REAUTH


def test_an_account_that_is_resumed_is_asked_again(clock: StillClock) -> None:
    pool = pool_of(account(1, paused=True), clock=clock)
    named(pool, "a1").health.apply(Fault.REFUSED, now=START)
    assert named(pool, "a1").status is Status.PAUSED
    pool.put(account(1))
    assert named(pool, "a1").status is Status.ACTIVE


def test_a_secret_that_cannot_stand_in_a_header_disables_its_account_only(clock: StillClock) -> None:
    """One bad line in the settings must not stop the others, nor smuggle a header."""
    pool = pool_of(account(1, credential=Credential("sk\r\nx-evil: 1")), account(2), clock=clock)
    broken = named(pool, "a1")
    assert broken.status is Status.DISABLED
    assert "unusable credential" in (broken.skipped_because(None, START) or "")
    assert "evil" not in (broken.skipped_because(None, START) or "")
    assert named(pool, "a2").status is Status.ACTIVE


def test_an_account_of_an_unknown_provider_is_shown_and_never_used(clock: StillClock) -> None:
    pool = pool_of(replace(account(1), provider="elsewhere"), clock=clock)
    living = named(pool, "a1")
    note(living, [(b"date", b"x")])
    assert (living.status, living.windows) == (Status.DISABLED, ())
    assert pool.explain("elsewhere", None) == {"a1": "unknown provider elsewhere"}


def test_a_typo_is_not_a_model_the_account_knows(clock: StillClock) -> None:
    pool = pool_of(account(1, models=("listed",)), account(2), clock=clock)
    assert named(pool, "a1").knows("listed")
    assert not named(pool, "a2").knows(MODEL)
    named(pool, "a2").health.succeeded(MODEL, START)
    assert named(pool, "a2").knows(MODEL)


def test_an_account_whose_secret_does_not_open_waits_for_a_new_one(clock: StillClock) -> None:
    """Its key was lost: it is passed by with the reason, and serves as soon as it has a secret again."""
    pool = pool_of(account(1, credential=None), account(2), clock=clock)
    closed = named(pool, "a1")
    assert closed.status is Status.NEEDS_REAUTH
    assert not closed.can_serve(MODEL, START)
    assert "does not open" in pool.explain("anthropic", MODEL)["a1"]
    pool.put(account(1))
    assert closed.status is Status.ACTIVE
    assert closed.can_serve(MODEL, START)
