"""A budget holds against a burst right after a start, when no request has been settled yet."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headgate.dialects.usage import Usage
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message
from tests.guides.test_c_keys import made
from tests.pricing.costs import NANO, cost_of


def test_a_burst_right_after_a_start_does_not_pass_the_budget(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Each is let in with what one has cost in an earlier life."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        key = made(gateway, "light", "--daily-usd", "0.002")
        first = message(gateway, key=key)
        assert first.status_code == 200
        usage = first.json()["usage"]
        tokens = Usage(usage["input_tokens"], usage["output_tokens"])
        cost = cost_of(first.json()["model"], tokens) / NANO
        assert 0.0002 < cost < 0.001
        gateway.stop(expect_code=0)
        provider.script("*", pacing={"first_byte_ms": 1500})
        gateway.start()
        with ThreadPoolExecutor(12) as threads:
            answers = [threads.submit(message, gateway, key=key) for _ in range(12)]
            served = sum(one.result().status_code == 200 for one in answers)
        assert 1 <= served <= 0.002 / cost
