"""Many clients at once. `bench/streams.py` measures ten thousand; here it is only right or wrong."""

import asyncio
import os
import signal
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from headgate.testing.process import SimulatedProvider
from tests.gateway import PATIENCE_SECONDS, Gateway, until
from tests.journeys.wire import Connection, ask, connect, fetch, request

STREAMS = 200
CONNECTS = 300
MUTE = 10
MOST_FOR_A_MUTE_CLIENT = 1_000_000
"""Bytes: one read of the socket (256 KiB), twice while it is joined, and a buffer."""


async def test_two_hundred_streams_bring_every_event_once_and_in_order(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Each client gets its own answer, byte for byte as the provider sent it, with so many side by side."""
    provider.script(pacing={"first_byte_ms": 10, "event_ms": 10})
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two")) as gateway:
        asking = (
            fetch(gateway.url, request(body=ask(f"say {20 + number % 30} words", stream=True)))
            for number in range(STREAMS)
        )
        answers = await asyncio.gather(*asking)
        assert all(answer.status == 200 and answer.is_whole for answer in answers)
        sent = {row["request_id"]: row["sent_body"] for row in provider.received()}
        assert Counter(answer.headers["request-id"] for answer in answers) == Counter(list(sent))
        for answer in answers:
            assert answer.body == sent[answer.headers["request-id"]]
        await until(lambda: len(gateway.requests()) == STREAMS, what="a record of every stream")
        assert {row["status"] for row in gateway.requests()} == {200}


async def test_three_hundred_connects_at_once_all_find_room_and_an_answer(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """They come while the gateway is busy: the system lets them in, and none has to try again."""
    loop = asyncio.get_running_loop()
    with Gateway(tmp_path, provider=provider.url) as gateway, ExitStack() as closing:
        address = urlsplit(gateway.url)
        clients = [closing.enter_context(socket.socket()) for _ in range(CONNECTS)]
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            for client in clients:
                client.setblocking(False)
            # It accepts nobody now: who found no room would try again and again, and wait for ever.
            async with asyncio.timeout(PATIENCE_SECONDS):
                for client in clients:
                    await loop.sock_connect(client, (address.hostname, address.port))
        finally:
            os.kill(gateway.pid, signal.SIGCONT)

        async def asked(client: socket.socket) -> int:
            _, connection = await loop.create_connection(Connection, sock=client)
            answer = await connection.ask(request(body=ask("hello")))
            connection.close()
            return answer.status

        assert await asyncio.gather(*map(asked, clients)) == [200] * CONNECTS


async def test_clients_that_read_nothing_cost_others_nothing(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """What they do not take waits with the provider; another client's answer comes meanwhile, and theirs are
    whole when they read at last."""
    long = request(body=ask("say 30000 words", stream=True))
    provider.keep_bytes(False)
    with Gateway(tmp_path, provider=provider.url) as gateway:
        await fetch(gateway.url, request(body=ask("hello")))
        before = _resident(gateway.pid)
        mute = [connect(gateway.url) for _ in range(MUTE)]
        connections = [await one.__aenter__() for one in mute]
        for connection in connections:
            own: socket.socket = connection.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the system holds much for it
            connection.send(long)
        for connection in connections:
            await connection.until(b"message_start")
            connection.pause()
        answer = await fetch(gateway.url, request(body=ask("say 20 words", stream=True)))
        assert answer.is_whole
        assert _resident(gateway.pid) - before < MUTE * MOST_FOR_A_MUTE_CLIENT
        for connection in connections:
            connection.resume()
        async with asyncio.timeout(PATIENCE_SECONDS):
            late = await connections[0].answer()
        assert late.is_whole
        assert late.events()[-1][0] == "message_stop"
        for one in mute:
            await one.__aexit__(None, None, None)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
