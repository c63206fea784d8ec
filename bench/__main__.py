"""`python -m bench`: see `bench/__init__.py`."""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import report, streams_report
from bench.measure import Untrustworthy, set_priority
from bench.memory import MemorySample, measure_memory
from bench.processes import install, mock_upstream, raise_open_files
from bench.rounds import Sample, run_rounds
from bench.streams import STREAMS, ManySample, measure_many
from bench.targets import USUAL, Headgate, Target, all_targets
from bench.workloads import workloads

RESULTS = Path(__file__).with_name("results")
PARTS = ("small", "stream", "large", "changed", "memory", "streams")


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
    parser.add_argument("--streams", type=int, default=STREAMS, metavar="N", help="how many are open at once")
    targets = tuple(target.name for target in all_targets())
    for option, known, usual in (("--only", PARTS, PARTS), ("--targets", targets, USUAL)):
        words = f"some of {','.join(known)}" + ("" if usual == known else f" (default: {','.join(usual)})")
        parser.add_argument(option, type=_some_of(known), default=usual, help=words)
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
        f"  round {sample.round}  {sample.workload:<6}  {sample.target:<9}  "
        f"{sample.per_second:>9,.0f} req/s  {sample.cpu_us:>7.1f} µs",
        flush=True,
    )


def _run(
    arguments: argparse.Namespace, targets: list[Target], folder: Path
) -> tuple[list[Sample], list[MemorySample], ManySample | None]:
    known = workloads()
    chosen = [workload for name, workload in known.items() if name in arguments.only]
    memory: list[MemorySample] = []
    many: ManySample | None = None
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
        if "streams" in arguments.only:
            print(f"  opening {arguments.streams:,} streams at Headgate", flush=True)
            many = measure_many(
                Headgate(),
                known["small"],
                port,
                folder / "many",
                wanted=arguments.streams,
                seconds=arguments.seconds,
            )
    return samples, memory, many


def main() -> int:
    arguments = _arguments()
    targets = [target for target in all_targets() if target.name in arguments.targets]
    file = arguments.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    try:
        install(("wrk", "nginx"))
        raise_open_files()
        set_priority(arguments.nice)
        with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
            samples, memory, many = _run(arguments, targets, Path(folder))
    except Untrustworthy as error:
        print(f"No figures: {error}", file=sys.stderr)
        return 1
    if tables := report.write(samples, memory):
        print("\n" + tables)
    if many is not None:
        print("\n" + streams_report.write(many))
    print(f"\nHeadgate ran on Python {platform.python_version()}, {Path(sys.executable).resolve()}")
    report.save(file, samples, memory, many)
    print(f"\nWritten to {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
