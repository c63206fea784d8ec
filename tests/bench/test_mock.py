import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.workloads import json_answer, stream_events, workloads

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.mock", stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        port = int((await process.stdout.readline()).split()[-1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        await writer.wait_closed()
    finally:
        process.terminate()
        await process.wait()


def _request(mode: str, body: bytes) -> bytes:
    return f"POST /v1/messages?bench={mode} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _read_chunks(reader: asyncio.StreamReader) -> list[bytes]:
    chunks: list[bytes] = []
    while size := int(await reader.readline(), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return chunks


async def test_one_connection_serves_request_after_request(
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Keep-alive, and a body that comes in many pieces is counted to its end."""
    reader, writer = upstream
    body = workloads()["large"].bodies[0]
    for _ in range(3):
        request = _request("json", body)
        for start in range(0, len(request), 50_021):
            writer.write(request[start : start + 50_021])
            await writer.drain()
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(json_answer())) == json_answer()


async def test_a_stream_is_105_events_of_a_chunk_each(
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """As a provider writes them: never two events in one chunk, the usage in the last but one."""
    reader, writer = upstream
    writer.write(_request("stream", b"{}"))
    await reader.readuntil(b"\r\n\r\n")
    chunks = await _read_chunks(reader)
    assert chunks == stream_events()
    assert len(chunks) == 105


async def test_a_request_without_its_length_is_refused(
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """A gateway that re-frames what it forwards must not look like one that does not."""
    reader, writer = upstream
    writer.write(b"POST /v1/messages?bench=json HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 411 ")
