"""Thousands of open streams at once: what each event waits for, what they take, who else has to wait.

Streams over the gateway and a few straight to the mock run at the same time under the same client: the
difference of the two is what the gateway adds.
"""

import http.client
import json
import resource
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import LOAD_CORE, Memory, Untrustworthy, cpu_seconds, memory_of, open_descriptors, pin
from bench.memory import release
from bench.processes import stop_process
from bench.readers import percentiles
from bench.rounds import check_answer, settle, start
from bench.targets import Target
from bench.workloads import Workload

STREAMS = 10_000
DIRECT = 500
"""Streams past the gateway, for comparison."""
STORM = 1_000
MUTE = 100
"""Clients that read nothing, and as many beside them that do."""

_OPENING_AT_ONCE = 100
_DESCRIPTORS_BESIDE = 80
"""What a gateway has open beside its streams' two each: files, listening sockets, its owner's connections."""
_IDLE_SECONDS = 3.0
_SETTLE_SECONDS = 3.0
_OWNERS_PAUSE_SECONDS = 0.2
"""A dashboard that is open asks less often."""
OWNERS_ROUTES = ("/health", "/status", "/api/accounts")


@dataclass
class StreamsSample:
    """All times in milliseconds."""

    streams: int
    limit: str | None
    """Why there were not as many as asked for."""
    seconds: float
    opened_in_seconds: float
    ended_well: int = 0
    events: int = 0
    recorded: int | None = None
    through: dict[str, float] = field(default_factory=dict)
    """Age of the events over the gateway."""
    direct: dict[str, float] = field(default_factory=dict)
    cpu_us: float = 0.0
    """Of the gateway for each event, its owner's questions included."""
    descriptors: int = 0
    memory: dict[str, Memory] = field(default_factory=dict)
    """When `idle`, with the streams `open`, when they have `ended`."""
    owner: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """By route: how quickly it answered when `idle` and with the streams `open`."""
    faults: list[str] = field(default_factory=list)


@dataclass
class SlowSample:
    """Clients that read nothing, beside others that do."""

    mute: int
    before: dict[str, float]
    meanwhile: dict[str, float]
    memory: dict[str, Memory]
    faults: list[str]


@dataclass
class StormSample:
    connections: int
    answers: int
    times: dict[str, float]
    faults: list[str]


class ReadersProcess:
    """`bench.readers` on the load's core."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.readers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        pin(self._process.pid, LOAD_CORE)

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Untrustworthy("the readers have died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(
        self, group: str, mode: str, host: str, port: int, count: int, *, is_mute: bool = False
    ) -> float:
        """Seconds until all of them had their first event."""
        place = {"group": group, "mode": mode, "host": host, "port": port, "count": count, "is_mute": is_mute}
        answer = self.do("open", at_once=_OPENING_AT_ONCE, **place)
        if answer["faults"]:
            raise Untrustworthy(f"not all of {count} streams could be opened: {answer['faults'][0]}")
        return float(answer["seconds"])

    def __enter__(self) -> "ReadersProcess":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        stop_process(self._process)
        self._process.stdout.close()


class Owner:
    """Asks the owner's routes in turn over one connection, as a dashboard does."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=30)

    def ask(self, route: str) -> int:
        """Nanoseconds to the whole answer."""
        began = time.monotonic_ns()
        self._connection.request("GET", route)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise Untrustworthy(f"{route} answered {answer.status}")
        return time.monotonic_ns() - began

    def look_until(self, done: threading.Event) -> dict[str, dict[str, float]]:
        self._connection.close()  # it may have been idle for too long; the next question opens another
        took = {route: array("q") for route in OWNERS_ROUTES}
        while not done.is_set():
            for route, values in took.items():
                values.append(self.ask(route))
                done.wait(_OWNERS_PAUSE_SECONDS)
        return {route: percentiles(values, 1e6) for route, values in took.items()}

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _owner_looking(owner: Owner) -> Iterator[dict[str, dict[str, float]]]:
    """While the block runs; what is yielded is filled at its end."""
    found: dict[str, dict[str, float]] = {}
    failures: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        try:
            found.update(owner.look_until(done))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
    if failures:
        raise Untrustworthy(f"the owner's routes did not answer: {failures[0]!r}") from failures[0]


def possible_streams(wanted: int) -> tuple[int, str | None]:
    """As many as the system lets one gateway hold, and what stands in the way of more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = (hard - _DESCRIPTORS_BESIDE) // 2
    if hard == resource.RLIM_INFINITY or wanted <= room:
        return wanted, None
    return room, f"{wanted} wanted; the hard limit of {hard} descriptors leaves room for {room}"


def measure_streams(
    target: Target, warm_up: Workload, upstream_port: int, folder: Path, *, wanted: int, seconds: float
) -> StreamsSample:
    """`wanted` streams over the gateway, opened, listened to for so many `seconds`, ended by the provider."""
    count, limit = possible_streams(wanted)
    with ExitStack() as stack:
        start(target, upstream_port, folder, stack)
        check_answer(target, warm_up)
        host, port = target.address(warm_up)
        owner = Owner(host, port)
        stack.callback(owner.close)
        with _owner_looking(owner) as idle:
            time.sleep(_IDLE_SECONDS)
        settle(target, 1)
        memory = {"idle": memory_of(target.relay_pid)}
        readers = stack.enter_context(ReadersProcess())
        readers.open("direct", "tick", "127.0.0.1", upstream_port, min(DIRECT, count))
        opened_in = readers.open("through", "tick", host, port, count)
        sample = StreamsSample(count, limit, seconds, opened_in, memory=memory)
        readers.do("listen", seconds=_SETTLE_SECONDS)
        with _owner_looking(owner) as meanwhile:
            cpu = cpu_seconds(target.relay_pid)
            ages = readers.do("listen", seconds=seconds)
            sample.cpu_us = (cpu_seconds(target.relay_pid) - cpu) / ages["through"]["events"] * 1e6
        sample.through, sample.direct = ages["through"], ages["direct"]
        sample.owner = {"idle": idle, "open": meanwhile}
        memory["open"] = memory_of(target.relay_pid)
        sample.descriptors = open_descriptors(target.relay_pid)
        release(upstream_port)
        ended = readers.do("end", group="through")
        sample.ended_well, sample.events = ended["ended"], ended["events"]
        sample.faults = [*ended["faults"], *readers.do("end", group="direct")["faults"]]
        sample.recorded = (settle(target, count + 1) or 1) - 1
        memory["ended"] = memory_of(target.relay_pid)
    return sample


def measure_slow(
    target: Target, warm_up: Workload, upstream_port: int, folder: Path, *, seconds: float
) -> SlowSample:
    with ExitStack() as stack:
        start(target, upstream_port, folder, stack)
        check_answer(target, warm_up)
        host, port = target.address(warm_up)
        readers = stack.enter_context(ReadersProcess())
        readers.open("reading", "tick", host, port, MUTE)
        before = readers.do("listen", seconds=seconds)["reading"]
        memory = {"before": memory_of(target.relay_pid)}
        readers.open("mute", "flood", host, port, MUTE, is_mute=True)
        readers.do("listen", seconds=_SETTLE_SECONDS)
        meanwhile = readers.do("listen", seconds=seconds)["reading"]
        memory["meanwhile"] = memory_of(target.relay_pid)
        readers.do("leave", group="mute")
        release(upstream_port)
        faults = readers.do("end", group="reading")["faults"]
        settle(target, 1 + 2 * MUTE)
        memory["after"] = memory_of(target.relay_pid)
    return SlowSample(MUTE, before, meanwhile, memory, faults)


def measure_storm(target: Target, warm_up: Workload, upstream_port: int, folder: Path) -> StormSample:
    with ExitStack() as stack:
        start(target, upstream_port, folder, stack)
        check_answer(target, warm_up)
        host, port = target.address(warm_up)
        readers = stack.enter_context(ReadersProcess())
        found = readers.do("storm", host=host, port=port, count=STORM)
    return StormSample(STORM, found.pop("answers"), faults=found.pop("faults"), times=found)


@dataclass
class ManySample:
    """All that this module measures, each with a fresh process."""

    streams: StreamsSample
    slow: SlowSample
    storm: StormSample


def measure_many(
    target: Target, warm_up: Workload, upstream_port: int, folder: Path, *, wanted: int, seconds: float
) -> ManySample:
    """Raises Untrustworthy when an event is lost, doubled or out of its place, or an answer is not right."""
    place = (target, warm_up, upstream_port)
    streams = measure_streams(*place, folder / "streams", wanted=wanted, seconds=seconds * 5)
    slow = measure_slow(*place, folder / "slow", seconds=seconds)
    storm = measure_storm(*place, folder / "storm")
    faults = [*streams.faults, *slow.faults, *storm.faults]
    if streams.ended_well < streams.streams:
        faults.append(f"{streams.streams} streams were open, {streams.ended_well} ended well")
    if streams.recorded is not None and streams.recorded < streams.streams:
        faults.append(f"{streams.streams} streams were answered, {streams.recorded} recorded")
    if faults:
        raise Untrustworthy("; ".join(faults[:5]))
    return ManySample(streams, slow, storm)
