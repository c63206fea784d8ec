from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, OTHER_KEY, ask, fetch, post

_DATED = "anthropic-ratelimit-"
_UNIFIED = "anthropic-ratelimit-unified-"


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedClock]:
    clock = SharedClock(tmp_path_factory.mktemp("clock") / "clock")
    yield clock
    clock.close()


@pytest.fixture(scope="module")
def running_provider(
    tmp_path_factory: pytest.TempPathFactory, clock: SharedClock
) -> Iterator[SimulatedProvider]:
    path = Path(tmp_path_factory.getbasetemp()) / "clock0" / "clock"
    with SimulatedProvider(clock=path) as provider:
        yield provider


def _ask(provider: SimulatedProvider, key: str = KEY, text: str = "hi") -> tuple[int, dict[str, str]]:
    status, headers, _ = fetch(provider.url, post(ask(text), key=key))
    return status, headers


def test_requests_count_down_and_refill_with_the_clock(
    provider: SimulatedProvider, clock: SharedClock
) -> None:
    """Three a minute: the fourth is refused with the seconds until one is back; then it is served."""
    provider.script(KEY, limits={"requests": 3, "window_seconds": 60})
    remaining = [_ask(provider)[1][_DATED + "requests-remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    status, headers = _ask(provider)
    assert (status, headers[_DATED + "requests-limit"]) == (429, "3")
    assert 15 <= int(headers["retry-after"]) <= 20
    clock.advance(int(headers["retry-after"]))
    assert _ask(provider)[0] == 200


def test_reset_is_when_the_bucket_is_full(provider: SimulatedProvider, clock: SharedClock) -> None:
    provider.script(KEY, limits={"requests": 60, "window_seconds": 600})
    _, headers = _ask(provider)
    reset = datetime.fromisoformat(headers[_DATED + "requests-reset"]).timestamp()
    assert 8 <= reset - clock.now() <= 12


def test_tokens_count_down_too(provider: SimulatedProvider) -> None:
    provider.script(KEY, limits={"input_tokens": 100_000, "output_tokens": 400})
    _ask(provider, text="word " * 20_000)
    _, headers = _ask(provider)
    assert int(headers[_DATED + "input-tokens-remaining"]) < 80_000
    assert int(headers[_DATED + "output-tokens-remaining"]) < 380
    assert headers[_DATED + "tokens-limit"] == "100400"


def test_limits_are_each_keys_own(provider: SimulatedProvider) -> None:
    provider.script("*", limits={"requests": 1})
    assert [_ask(provider)[0], _ask(provider)[0], _ask(provider, OTHER_KEY)[0]] == [200, 429, 200]


def test_subscription_window_fills_warns_rejects_and_reopens(
    provider: SimulatedProvider, clock: SharedClock
) -> None:
    """allowed, allowed_warning, rejected with the window's reset; after five hours all is new."""
    provider.script(KEY, subscription={"five_hour_tokens": 1000}, reply={"words": 0})
    seen = []
    while (answer := _ask(provider, text="say 60 words"))[0] == 200:
        seen.append(answer[1][_UNIFIED + "status"])
    assert seen[0] == "allowed" and seen[-2] == "allowed_warning"
    headers = answer[1]
    assert headers[_UNIFIED + "status"] == headers[_UNIFIED + "5h-status"] == "rejected"
    assert headers[_UNIFIED + "representative-claim"] == "five_hour"
    assert headers[_UNIFIED + "7d-status"] == "allowed"
    assert float(headers[_UNIFIED + "5h-utilization"]) >= 1
    assert _DATED + "requests-limit" not in headers
    until = int(headers[_UNIFIED + "reset"])
    assert 4.9 * 3600 < until - clock.now() <= 5 * 3600
    clock.advance(until - clock.now() + 1)
    assert _ask(provider)[1][_UNIFIED + "status"] == "allowed"


def _refused(provider: SimulatedProvider, **rule: object) -> dict[str, str]:
    provider.script(KEY, rules=[{"fault": "429", **rule}])
    status, headers = _ask(provider)
    assert status == 429
    return headers


def test_refusal_with_seconds(provider: SimulatedProvider) -> None:
    headers = _refused(provider, limit="retry_after", seconds=90)
    assert headers["retry-after"] == "90"
    assert not [name for name in headers if name.startswith(_DATED)]


def test_refusal_with_a_date(provider: SimulatedProvider, clock: SharedClock) -> None:
    headers = _refused(provider, limit="retry_after_date", seconds=90)
    assert 85 <= parsedate_to_datetime(headers["retry-after"]).timestamp() - clock.now() <= 91


def test_refusal_with_dated_headers(provider: SimulatedProvider, clock: SharedClock) -> None:
    """No retry-after: the reset is in the family whose remaining is 0."""
    headers = _refused(provider, limit="dated", seconds=90)
    assert headers[_DATED + "requests-remaining"] == "0" and "retry-after" not in headers
    reset = datetime.fromisoformat(headers[_DATED + "requests-reset"]).timestamp()
    assert 85 <= reset - clock.now() <= 91


def test_refusal_without_any_header(provider: SimulatedProvider) -> None:
    headers = _refused(provider, limit="bare")
    assert not [name for name in headers if "ratelimit" in name or name == "retry-after"]


@pytest.mark.parametrize(("window", "claim"), [("5h", "five_hour"), ("7d", "seven_day")])
def test_refusal_of_a_subscription(
    provider: SimulatedProvider, clock: SharedClock, window: str, claim: str
) -> None:
    headers = _refused(provider, limit="unified", window=window, seconds=7200)
    assert headers[_UNIFIED + f"{window}-status"] == headers[_UNIFIED + "status"] == "rejected"
    assert headers[_UNIFIED + "representative-claim"] == claim
    assert 7190 <= int(headers[_UNIFIED + "reset"]) - clock.now() <= 7201


def test_refusal_of_one_model_leaves_the_windows_open(provider: SimulatedProvider) -> None:
    headers = _refused(provider, limit="model")
    assert headers[_UNIFIED + "representative-claim"] == "seven_day_sonnet"
    assert headers[_UNIFIED + "5h-status"] == headers[_UNIFIED + "7d-status"] == "allowed"
