import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import SettingsError
from headgate.pool.faults import Fault
from headgate.pool.pool import Pool
from headgate.pool.selection import STRATEGIES
from headgate.pool.wanted import Wanted
from tests.pool.sample import MODEL, START, StillClock, Told, account, named, pool_of
from tests.pool.test_windows import unified

ANYONE = Wanted("anthropic", MODEL)
TALK = Wanted("anthropic", MODEL, session="talk")


def picked(pool: Pool, wanted: Wanted = ANYONE, tried: tuple[int, ...] = ()) -> str | None:
    """Picks, and counts as the relay does."""
    living = pool.pick(wanted, tried)
    if living is None:
        return None
    living.request_count += 1
    return living.account.name


def limit(clock: StillClock, pool: Pool, name: str, seconds: float, fault: Fault = Fault.LIMITED) -> None:
    named(pool, name).health.apply(fault, model=MODEL, until=clock.at + seconds, now=clock.at)


@given(
    strategy=st.sampled_from(STRATEGIES),
    priorities=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    out=st.sets(st.integers(1, 5)),
    paused=st.sets(st.integers(1, 5)),
    tried=st.sets(st.integers(1, 5)),
    session=st.sampled_from([None, "s", "t"]),
)
def test_only_an_account_that_can_serve_is_picked_and_of_the_best_priority(
    strategy: str,
    priorities: list[int],
    out: set[int],
    paused: set[int],
    tried: set[int],
    session: str | None,
) -> None:
    """Whatever the strategy, also when the conversation was on another account before."""
    accounts = [account(n, priority=priority) for n, priority in enumerate(priorities, 1)]
    clock = StillClock()
    pool = pool_of(*accounts, clock=clock, strategy=strategy)
    wanted = Wanted("anthropic", MODEL, session)
    pool.pick(wanted, ())
    for one in accounts:
        if one.id in paused:
            pool.put(replace(one, paused=True))
        if one.id in out:
            limit(clock, pool, one.name, 60)
    able = [one for one in accounts if one.id not in out | paused | tried]
    choice = pool.pick(wanted, tried)
    if not able:
        assert choice is None
    else:
        assert choice is not None
        assert choice.account in able
        assert choice.account.priority == min(one.priority for one in able)
    skipped = pool.explain("anthropic", MODEL, tried)
    assert (choice is None) == (len(skipped) == len(accounts))
    assert choice is None or choice.account.name not in skipped


def test_a_limited_account_gets_nothing_until_its_reset(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock, strategy="round-robin")
    limit(clock, pool, "a1", 60)
    assert {picked(pool) for _ in range(10)} == {"a2"}
    clock.at += 60
    assert {picked(pool) for _ in range(10)} == {"a1", "a2"}


def test_a_conversation_stays_and_new_ones_spread(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), account(3), clock=clock)
    homes = {n: picked(pool, Wanted("anthropic", MODEL, f"s{n}")) for n in range(30)}
    assert {name: list(homes.values()).count(name) for name in ("a1", "a2", "a3")} == {
        "a1": 10,
        "a2": 10,
        "a3": 10,
    }
    clock.at += 3599
    assert {n: picked(pool, Wanted("anthropic", MODEL, f"s{n}")) for n in range(30)} == homes


def test_a_conversation_is_spread_anew_when_its_hour_is_over(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    home = picked(pool, TALK)
    for _ in range(5):
        assert picked(pool, TALK) == home
    clock.at += 3600
    assert picked(pool, TALK) != home


def test_a_conversation_whose_account_is_limited_moves_for_good(clock: StillClock) -> None:
    """It would lose the prompt cache twice if it went back at the reset."""
    pool = pool_of(account(1), account(2), clock=clock)
    home = picked(pool, TALK)
    assert home is not None
    limit(clock, pool, home, 60)
    moved = picked(pool, TALK)
    assert moved != home
    clock.at += 61
    assert picked(pool, TALK) == moved


def test_one_limited_model_does_not_move_the_conversation(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    home = picked(pool, TALK)
    assert home is not None
    limit(clock, pool, home, 60, Fault.MODEL_LIMITED)
    assert picked(pool, TALK) != home
    assert picked(pool, msgspec.structs.replace(TALK, model="another-model")) == home


def test_a_better_priority_that_is_back_takes_its_conversations_again(clock: StillClock) -> None:
    told = Told()
    pool = pool_of(account(1), account(2, priority=1), clock=clock, told=told)
    limit(clock, pool, "a1", 60)
    assert picked(pool, TALK) == "a2"
    clock.at += 60
    assert picked(pool, TALK) == "a1"
    assert all(one.is_conversation for one in told.switches)
    assert [(one.from_account, one.to_account, one.why) for one in told.switches] == [
        ("a2", "a1", "better priority")
    ]


def test_passing_trouble_is_a_preference_for_others_not_a_ban(clock: StillClock) -> None:
    """A single account that answered 500 once is asked again rather than refused by us."""
    pool = pool_of(account(1), account(2), clock=clock)
    limit(clock, pool, "a1", 60, Fault.OVERLOADED)
    assert {picked(pool) for _ in range(5)} == {"a2"}
    limit(clock, pool, "a2", 30, Fault.SERVER_ERROR)
    assert picked(pool) == "a2"
    assert picked(pool, tried=(2,)) == "a1"
    limit(clock, pool, "a2", 30, Fault.LIMITED)
    assert picked(pool) == "a1"


def test_within_a_request_no_account_is_tried_twice(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    first = pool.pick(TALK, ())
    assert first is not None
    second = pool.pick(TALK, (first.id,))
    assert second is not None
    assert second is not first
    assert pool.pick(TALK, (first.id, second.id)) is None


def test_a_pinned_request_goes_to_its_account_or_nowhere(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2, priority=5), clock=clock)
    pinned = msgspec.structs.replace(ANYONE, pinned_id=2)
    assert picked(pool, pinned) == "a2"
    assert picked(pool, pinned, tried=(2,)) is None
    limit(clock, pool, "a2", 60, Fault.SERVER_ERROR)
    assert picked(pool, pinned) == "a2"
    limit(clock, pool, "a2", 60)
    assert picked(pool, pinned) is None
    assert picked(pool, msgspec.structs.replace(ANYONE, pinned_id=99)) is None


def test_without_rotation_the_first_by_priority_and_name_serves(clock: StillClock) -> None:
    pool = pool_of(account(1, "b"), account(2, "a"), account(3, "0", priority=1), clock=clock, rotation=False)
    assert {picked(pool, TALK) for _ in range(4)} == {"a"}
    assert picked(pool, tried=(2,)) is None
    assert pool.explain("anthropic", MODEL) == {
        "b": "rotation is off: a serves",
        "0": "rotation is off: a serves",
    }
    limit(clock, pool, "a", 60)
    assert picked(pool) is None
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == START + 60


def test_a_newcomer_does_not_take_everything_until_it_has_caught_up(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock, strategy="least-requests")
    for _ in range(100):
        picked(pool)
    pool.put(account(3))
    assert sorted(str(picked(pool)) for _ in range(9)) == ["a1"] * 3 + ["a2"] * 3 + ["a3"] * 3


def test_every_skipped_account_says_why(clock: StillClock) -> None:
    pool = pool_of(
        account(1, "good"),
        account(2, "paused", paused=True),
        account(3, "limited"),
        account(4, "other", models=("x",)),
        account(5, "refused"),
        account(6, "tried"),
        account(7, "later", priority=9),
        clock=clock,
    )
    limit(clock, pool, "limited", 60)
    named(pool, "refused").health.apply(Fault.REFUSED, reason="401 invalid x-api-key", now=START)
    assert pool.explain("anthropic", MODEL, tried=(6,)) == {
        "paused": "paused",
        "limited": "rate limited until 2027-01-15T08:01:00Z",
        "other": f"model {MODEL} not served",
        "refused": "needs re-auth: 401 invalid x-api-key",
        "tried": "tried already",
        "later": "worse priority than good",
    }


def test_the_earliest_return_is_that_of_an_account_that_comes_back_by_itself(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), account(3), account(4, paused=True), clock=clock)
    named(pool, "a1").health.apply(Fault.REFUSED, now=START)
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == START
    limit(clock, pool, "a2", 90)
    limit(clock, pool, "a3", 60)
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == START + 60
    pool.remove("a2")
    pool.remove("a3")
    assert pool.earliest_return(Wanted("anthropic", MODEL)) is None
    assert pool.earliest_return(Wanted("nobody", MODEL)) is None


def test_a_change_of_strategy_holds_from_the_next_request_and_a_wrong_name_changes_nothing(
    clock: StillClock,
) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    pool.strategy = "Round_Robin"
    assert [picked(pool, TALK) for _ in range(4)] == ["a1", "a2", "a1", "a2"]
    with pytest.raises(SettingsError):
        pool.strategy = "nonsense"
    assert pool.strategy == "round-robin"


def test_health_comes_back_after_a_restart(clock: StillClock) -> None:
    told = Told()
    pool = pool_of(account(1), account(2), clock=clock, told=told)
    limit(clock, pool, "a1", 60)
    named(pool, "a2").health.apply(Fault.REFUSED, now=START)
    assert told.health == ["a1", "a2"]
    states = {living.id: living.health.to_state() for living in pool.living.values()}
    again = pool_of(account(1), account(2), clock=clock)
    again.restore({**states, 99: {}})
    assert again.pick(ANYONE, ()) is None
    assert again.earliest_return(Wanted("anthropic", MODEL)) == START + 60
    assert named(again, "a2").health.unavailable_until(MODEL, START) == math.inf


def test_replace_keeps_the_living_and_drops_the_gone(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    keeper = named(pool, "a1")
    home = picked(pool, TALK)
    pool.replace([account(1, "kept", weight=3), account(3)])
    assert set(pool.living) == {"kept", "a3"}
    assert named(pool, "kept") is keeper
    assert home == "a1"
    assert picked(pool, TALK) == "kept"
    assert pool.by_id(2) is None


def test_a_removed_account_serves_no_conversation_any_more(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock)
    home = picked(pool, TALK)
    assert home is not None
    pool.remove(home)
    pool.remove("never there")
    assert picked(pool, TALK) not in (home, None)


def test_an_account_that_changes_provider_leaves_its_conversations(clock: StillClock) -> None:
    pool = pool_of(account(1), clock=clock)
    assert picked(pool, TALK) == "a1"
    pool.put(replace(account(1), provider="elsewhere"))
    assert picked(pool, TALK) is None


def test_a_resumed_account_is_asked_again(clock: StillClock) -> None:
    pool = pool_of(account(1), clock=clock)
    named(pool, "a1").health.apply(Fault.REFUSED, now=START)
    assert picked(pool) is None
    pool.resume("a1")
    assert picked(pool) == "a1"


def test_a_switch_within_a_request_is_told_with_its_reason(clock: StillClock) -> None:
    told = Told()
    pool = pool_of(account(1), account(2), clock=clock, told=told)
    first = pool.pick(TALK, ())
    assert first is not None
    limit(clock, pool, first.account.name, 60)
    second = pool.pick(TALK, (first.id,))
    assert second is not None
    assert told.switches == [pool.last_switch]
    assert told.switches[0].why == "rate limited until 2027-01-15T08:01:00Z"
    assert (told.switches[0].from_account, pool.switches) == (first.account.name, 1)
    assert not told.switches[0].is_conversation


def test_an_empty_pool_has_nobody(clock: StillClock) -> None:
    pool = pool_of(clock=clock)
    assert pool.pick(ANYONE, ()) is None
    assert pool.explain("anthropic", None) == {}


def test_what_is_no_limit_is_not_waited_for(clock: StillClock) -> None:
    """An empty purse comes back when a bill is paid: nobody can be told when."""
    pool = pool_of(account(1), account(2), clock=clock)
    named(pool, "a1").health.apply(Fault.BILLING, now=START)
    named(pool, "a2").health.apply(Fault.BILLING, now=START)
    assert pool.earliest_return(Wanted("anthropic", MODEL)) is None
    named(pool, "a2").health.resume(START)
    limit(clock, pool, "a2", 90)
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == START + 90


def test_a_pinned_request_waits_for_its_own_account(clock: StillClock) -> None:
    """That others could serve other requests is no use to it."""
    pool = pool_of(account(1), account(2), clock=clock)
    limit(clock, pool, "a2", 90)
    assert pool.earliest_return(Wanted("anthropic", MODEL, pinned_id=2)) == START + 90
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == START


def test_headroom_keeps_a_conversation_that_goes_on(clock: StillClock) -> None:
    """Its hour begins anew with its requests; idle for an hour it is forgotten."""
    pool = pool_of(account(1), account(2), clock=clock, strategy="headroom")
    home = picked(pool, TALK)
    for _ in range(5):
        clock.at += 3000
        assert picked(pool, TALK) == home
    assert [one.count for one in pool.running().values()] == [1]
    clock.at += 3600
    assert pool.running() == {}


def test_headroom_moves_a_conversation_only_when_its_account_cannot_serve(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock, strategy="headroom")
    home = picked(pool, TALK)
    assert home is not None
    other = {"a1": "a2", "a2": "a1"}[home]
    headers = unified("5h", "0.99", clock.at + 9000)
    named(pool, home).note_headers(headers, dict(headers), clock.at)
    assert picked(pool, TALK) == home
    assert picked(pool, msgspec.structs.replace(TALK, session="new")) == other
    limit(clock, pool, home, 60)
    assert picked(pool, TALK) == other
    clock.at += 61
    assert picked(pool, TALK) == other


def test_headroom_looks_at_the_windows_of_the_wanted_model(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), clock=clock, strategy="headroom")
    spent = [*unified("5h", "0.1", clock.at + 9000), *unified("7d_opus", "0.99", clock.at + 90_000)]
    spare = [*unified("5h", "0.6", clock.at + 9000), *unified("7d_opus", "0.1", clock.at + 4000)]
    for name, headers in (("a1", spent), ("a2", spare)):
        named(pool, name).note_headers(headers, dict(headers), clock.at)
    assert picked(pool, Wanted("anthropic", "claude-opus-4", "s1")) == "a2"
    assert picked(pool, Wanted("anthropic", MODEL, "s2")) == "a1"


def test_while_a_request_finds_out_the_others_pass_by(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2, priority=1), clock=clock)
    health = named(pool, "a1").health
    clock.at = health.apply(Fault.LIMITED, now=clock.at) or 0.0
    assert picked(pool) == "a1"
    probe = health.begin_probe(MODEL, clock.at)
    assert picked(pool) == "a2"
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == clock.at
    limit(clock, pool, "a2", 600)
    assert picked(pool) is None
    assert pool.earliest_return(Wanted("anthropic", MODEL)) == clock.at + 1
    health.end_probe(probe)
    assert picked(pool) == "a1"


def test_the_others_say_which_conversation_they_are_passed_by_for(clock: StillClock) -> None:
    pool = pool_of(account(1), account(2), account(3, paused=True), clock=clock)
    home = picked(pool, TALK)
    other = {"a1": "a2", "a2": "a1"}[str(home)]
    assert pool.explain("anthropic", MODEL, session="talk") == {
        other: f"session talk is on {home} until 2027-01-15T09:00:00Z",
        "a3": "paused",
    }
    assert pool.explain("anthropic", MODEL, session="unheard-of") == {"a3": "paused"}
    assert pool.running()[named(pool, str(home)).id].count == 1
    pool.strategy = "round-robin"
    assert pool.running() == {}
