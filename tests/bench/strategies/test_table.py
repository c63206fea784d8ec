from bench.strategies.day import Outcome
from bench.strategies.table import failures, table


def outcome(refused: int, hits: int) -> list[Outcome]:
    return [Outcome(requests=100, refused=refused, hits=hits), Outcome(requests=100, refused=0, hits=hits)]


def test_the_table_has_a_line_for_each_strategy() -> None:
    lines = list(table({"session": outcome(10, 50), "headroom": outcome(4, 49)}))
    assert lines[2].startswith("| `session` | 100 | 5 (5.0%) | 5 | 50 |")
    assert lines[3].startswith("| `headroom` | 100 | 2 (2.0%) | 2 | 49 |")


def test_a_promise_that_is_not_kept_is_named() -> None:
    assert failures({"session": outcome(10, 50), "headroom": outcome(10, 48)}) == []
    assert failures({"session": outcome(10, 50), "headroom": outcome(12, 50)}) == [
        "session refuses fewer requests than headroom."
    ]
    assert failures({"session": outcome(10, 50), "headroom": outcome(4, 47)}) == [
        "headroom keeps 94.0% of the cache hits of session."
    ]
    assert failures({"session": outcome(10, 50)}) == []
