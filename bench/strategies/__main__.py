"""`python -m bench.strategies`: the table."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from bench.strategies.day import Outcome, outcome_of
from bench.strategies.table import failures, table
from headgate.pool.selection import STRATEGIES


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.strategies", description="A day by every strategy."
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default=",".join(STRATEGIES), help="some of the strategies")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.only.split(",")
    jobs = [(name, seed) for name in names for seed in range(arguments.seeds)]
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    with ProcessPoolExecutor() as processes:
        for (name, _), outcome in zip(jobs, processes.map(outcome_of, *zip(*jobs, strict=True)), strict=True):
            outcomes[name].append(outcome)
    print("\n".join(table(outcomes)))
    wrong = failures(outcomes)
    print("\n".join(wrong) if wrong else "headroom refuses fewest and keeps the cache hits.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
