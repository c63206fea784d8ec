"""What open streams cost in memory: many at once, each held open after its first event."""

import asyncio
import http.client
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench.measure import Untrustworthy, resident_bytes
from bench.rounds import check_answer, settle, start
from bench.targets import Target
from bench.workloads import Workload, request_headers

STREAMS = 1000
OPENING_AT_ONCE = 50
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class MemorySample:
    target: str
    workload: str
    streams: int
    before_mb: float
    open_mb: float
    after_mb: float
    """When all streams had ended."""

    @property
    def mb_per_thousand(self) -> float:
        return (self.open_mb - self.before_mb) * 1000 / self.streams


@dataclass(frozen=True)
class OpenStream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_until(self, mark: bytes) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.reader.readuntil(mark)


def _request(workload: Workload, session: int) -> bytes:
    body = workload.bodies[session % len(workload.bodies)]
    headers = {**request_headers(), "host": "127.0.0.1", "content-length": str(len(body))}
    lines = [f"POST {workload.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _open(host: str, port: int, request: bytes, gate: asyncio.Semaphore) -> OpenStream:
    async with gate:
        stream = OpenStream(*await asyncio.open_connection(host, port))
        stream.writer.write(request)
        await stream.read_until(b"event: message_start")
        return stream


async def _hold(target: Target, workload: Workload, upstream_port: int) -> int:
    """Open the streams, read the memory, let them end properly. Gives the resident bytes while open."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    host, port = target.address(workload)
    opening = (_open(host, port, _request(workload, number), gate) for number in range(STREAMS))
    streams = await asyncio.gather(*opening)
    try:
        resident = resident_bytes(target.relay_pid)
        await asyncio.to_thread(release, upstream_port)
        await asyncio.gather(*(stream.read_until(b"event: message_stop") for stream in streams))
        return resident
    finally:
        for stream in streams:
            stream.writer.close()


def release(upstream_port: int) -> None:
    """What the mock holds open ends as a whole stream does."""
    connection = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=ANSWER_SECONDS)
    connection.request("POST", "/v1/messages?bench=release", b"{}")
    connection.getresponse().read()
    connection.close()


def measure_memory(
    target: Target, workload: Workload, warm_up: Workload, upstream_port: int, folder: Path
) -> MemorySample:
    """A fresh process, one answered request, then the streams: no earlier arena hides what they take."""
    held = replace(workload, mode="slow")
    with ExitStack() as stack:
        start(target, upstream_port, folder, stack)
        check_answer(target, warm_up)
        settle(target, 1)
        before = resident_bytes(target.relay_pid)
        try:
            while_open = asyncio.run(_hold(target, held, upstream_port))
        except (OSError, EOFError, TimeoutError) as error:
            raise Untrustworthy(
                f"{target.name}: {STREAMS} streams could not be held open: {error!r}"
            ) from error
        settle(target, 1 + STREAMS)
        after = resident_bytes(target.relay_pid)
    return MemorySample(target.name, workload.name, STREAMS, before / 1e6, while_open / 1e6, after / 1e6)
