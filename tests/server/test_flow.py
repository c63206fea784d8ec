import asyncio

from headgate.server.flow import Flow, Pipeline


class _Line(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def pause_reading(self) -> None:
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")


async def test_whoever_drains_waits_until_writing_goes_on() -> None:
    """All who wait go on; who comes when nothing is held back does not wait at all."""
    flow = Flow(_Line())
    await flow.drain()
    flow.pause_writing()
    first, second = asyncio.ensure_future(flow.drain()), asyncio.ensure_future(flow.drain())
    await asyncio.sleep(0)
    assert not first.done()
    assert not second.done()
    flow.resume_writing()
    await asyncio.gather(first, second)


async def test_writing_held_back_again_before_the_waiter_ran_goes_on_waiting() -> None:
    """Waking is not leave to write: the buffer may be full again by then."""
    flow = Flow(_Line())
    flow.pause_writing()
    waiting = asyncio.ensure_future(flow.drain())
    await asyncio.sleep(0)
    flow.resume_writing()
    flow.pause_writing()
    await asyncio.sleep(0)
    assert not waiting.done()
    flow.resume_writing()
    await waiting


async def test_a_waiter_that_gave_up_holds_nobody_else() -> None:
    """A client that leaves cancels the relay that waits for it."""
    flow = Flow(_Line())
    flow.pause_writing()
    gone, waiting = asyncio.ensure_future(flow.drain()), asyncio.ensure_future(flow.drain())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    flow.resume_writing()
    await waiting


def test_reading_is_paused_and_resumed_once() -> None:
    """A transport is told of a change, not of every wish."""
    line = _Line()
    flow = Flow(line)
    for wish in (flow.pause_reading, flow.pause_reading, flow.resume_reading, flow.resume_reading):
        wish()
    assert line.said == ["pause", "resume"]


def test_the_pipeline_is_uvicorns_queue() -> None:
    """In at the left, out at the right; the last one in may be taken back."""
    pipeline = Pipeline()
    for waiting in ("a", "b", "c"):
        pipeline.appendleft(waiting)
    assert (pipeline.pop(), pipeline.popleft(), list(pipeline)) == ("a", "c", ["b"])
