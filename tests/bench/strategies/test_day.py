from statistics import mean

import pytest

from bench.strategies.day import Day, Outcome
from bench.strategies.table import failures

SEEDS = (1, 2, 3)
CONVERSATIONS = 240
TIERS = (1, 1, 1, 2, 2, 3)
"""A quarter of the day's traffic on a quarter of the quota: as scarce as the whole, in seconds."""


def days(strategy: str) -> list[Outcome]:
    return [Day(strategy, seed, count=CONVERSATIONS, tiers=TIERS).run() for seed in SEEDS]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Outcome]]:
    return {name: days(name) for name in ("session", "round-robin", "fill-first", "headroom")}


def test_headroom_refuses_fewest_and_keeps_the_cache_hits(outcomes: dict[str, list[Outcome]]) -> None:
    """Of three small days; twenty whole ones are `make bench-strategies`."""
    assert failures(outcomes) == []
    assert mean(one.refused for one in outcomes["session"]) > mean(
        one.refused for one in outcomes["headroom"]
    )


def test_a_day_is_the_same_for_all_and_again(outcomes: dict[str, list[Outcome]]) -> None:
    assert days("headroom") == outcomes["headroom"]
    for of_one_seed in zip(*outcomes.values(), strict=True):
        begun = {one.requests for one in of_one_seed}
        assert max(begun) - min(begun) <= 0.02 * max(begun)  # those still open at midnight differ


def test_turns_about_lose_the_prompt_caches(outcomes: dict[str, list[Outcome]]) -> None:
    """What the figures rest on: a prompt that comes to another account is written anew."""
    kept, lost = (mean(one.hits for one in outcomes[name]) for name in ("session", "round-robin"))
    assert lost < 0.8 * kept
