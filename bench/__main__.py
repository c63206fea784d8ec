"""`python -m bench`: see `bench/__init__.py`."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import report
from bench.measure import Untrustworthy
from bench.memory import MemorySample, measure_memory
from bench.processes import install, mock_upstream, raise_open_files
from bench.rounds import Sample, run_rounds
from bench.targets import Target, all_targets
from bench.workloads import workloads

RESULTS = Path(__file__).with_name("results")
PARTS = ("small", "stream", "large", "memory")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Headgate and nginx side by side.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of one run after its warm-up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: a new file in bench/results/")
    parser.add_argument(
        "--nice",
        type=int,
        default=0,
        metavar="N",
        help="priority of all that is started; below 0 only for root: a shared machine disturbs less",
    )
    for option, known in (("--only", PARTS), ("--targets", tuple(target.name for target in all_targets()))):
        parser.add_argument(option, type=_some_of(known), default=known, help=f"some of {','.join(known)}")
    return parser.parse_args()


def _some_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(value: str) -> tuple[str, ...]:
        names = tuple(value.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(
                f"unknown {', '.join(sorted(unknown))}; there are {', '.join(known)}"
            )
        return names

    return read


def _progress(sample: Sample) -> None:
    print(
        f"  round {sample.round}  {sample.workload:<6}  {sample.target:<8}  "
        f"{sample.per_second:>9,.0f} req/s  {sample.cpu_us:>7.1f} µs",
        flush=True,
    )


def _run(
    arguments: argparse.Namespace, targets: list[Target], folder: Path
) -> tuple[list[Sample], list[MemorySample]]:
    known = workloads()
    chosen = [workload for name, workload in known.items() if name in arguments.only]
    memory: list[MemorySample] = []
    with mock_upstream() as port:
        samples = run_rounds(
            targets,
            chosen,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            upstream_port=port,
            folder=folder / "load",
            on_sample=_progress,
        )
        if "memory" in arguments.only:
            print("  opening 1 000 streams at each", flush=True)
            for name in ("stream", "large"):
                for target in targets:
                    place = folder / f"memory-{name}"
                    memory.append(measure_memory(target, known[name], known["stream"], port, place))
    return samples, memory


def main() -> int:
    arguments = _arguments()
    targets = [target for target in all_targets() if target.name in arguments.targets]
    file = arguments.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    try:
        install(("wrk", "nginx"))
        raise_open_files()
        os.setpriority(os.PRIO_PROCESS, 0, arguments.nice)
        with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
            samples, memory = _run(arguments, targets, Path(folder))
    except Untrustworthy as error:
        print(f"No figures: {error}", file=sys.stderr)
        return 1
    print("\n" + report.write(samples, memory))
    report.save(file, samples, memory)
    print(f"\nWritten to {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
