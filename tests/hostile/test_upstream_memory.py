"""What a provider's failures leave in memory."""

import asyncio
from pathlib import Path

import psutil

from headgate.testing.process import SimulatedProvider
from tests.hostile.far_side import TO_ANYBODY, TO_FAR, far_gateway
from tests.journeys.wire import ask, request
from tests.upstream.scripted import Talk


async def _hear_only(talk: Talk) -> None:
    while await talk.request():
        pass


async def test_bodies_of_failures_are_not_kept(provider: SimulatedProvider, tmp_path: Path) -> None:
    """Large bodies to a provider that never answers → with the 504 their memory is free"""
    with far_gateway(tmp_path, provider) as far:
        await far.ask(TO_ANYBODY)
        process = psutil.Process(far.gateway.pid)
        large = request(body=ask("x" * 500_000), headers=TO_FAR)
        grown = []
        async with far.says(_hear_only):
            for _ in range(4):
                far.rest()
                answers = await asyncio.gather(*(far.ask(large) for _ in range(40)))
                assert {answer.status for answer in answers} == {504}
                grown.append(process.memory_info().rss)
    assert grown[-1] - grown[0] < 30_000_000
