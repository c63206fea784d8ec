"""What the days came to, and whether `headroom` keeps its promise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean, median

from bench.strategies.day import Outcome

KEPT_HITS = 0.95
"""Of the cache hits of `session`, those that `headroom` has to keep at least."""

Outcomes = Mapping[str, Sequence[Outcome]]


def table(outcomes: Outcomes) -> Iterator[str]:
    """Markdown; means over the seeds."""
    yield "| strategy | requests | refused | refused, median | cache hits | moves | 5 h unused | 7 d unused |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, days in outcomes.items():
        refused = [one.refused for one in days]
        requests = _mean(days, lambda one: one.requests)
        yield (
            f"| `{name}` | {requests:,.0f} | {mean(refused):,.0f} ({mean(refused) / requests:.1%}) "
            f"| {median(refused):,.0f} | {_mean(days, lambda one: one.hits):,.0f} "
            f"| {_mean(days, lambda one: one.moves):,.0f} | {_mean(days, lambda one: one.unused_hours):.0%} "
            f"| {_mean(days, lambda one: one.unused_weeks):.0%} |"
        )


def failures(outcomes: Outcomes) -> list[str]:
    """What `headroom` did not keep; empty: all, or it was not measured."""
    if "headroom" not in outcomes:
        return []
    wrong = []
    refused = _mean(outcomes["headroom"], lambda one: one.refused)
    for name, days in outcomes.items():
        if name != "headroom" and _mean(days, lambda one: one.refused) < refused:
            wrong.append(f"{name} refuses fewer requests than headroom.")
    if "session" in outcomes:
        hits, needed = (_mean(outcomes[name], lambda one: one.hits) for name in ("headroom", "session"))
        if hits < KEPT_HITS * needed:
            wrong.append(f"headroom keeps {hits / needed:.1%} of the cache hits of session.")
    return wrong


def _mean(days: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
    return mean(value(one) for one in days)
