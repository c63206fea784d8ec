"""How many clients there may be, in all and of one address."""

import logging

import pytest

from headgate.access.forwarding import TrustedProxies
from headgate.config.settings import ServerSettings
from headgate.server.crowd import MOST_EXPLAINED, Crowd

STRANGER, NEIGHBOUR = "203.0.113.7", "203.0.113.8"


def crowd(descriptors: int = 1_000_000, **limits: int) -> Crowd:
    return Crowd(ServerSettings(**limits), descriptors=descriptors)


def test_one_address_cannot_take_every_place() -> None:
    """Whoever leaves makes room, for the same address too."""
    full = crowd(max_connections=10, max_connections_per_address=2)
    assert [full.enter(STRANGER, 0) for _ in range(2)] == [None, None]
    refusal = full.enter(STRANGER, 0)
    assert refusal is not None and "Your address has 2" in refusal.message
    assert full.enter(NEIGHBOUR, 0) is None
    full.leave(STRANGER)
    assert full.enter(STRANGER, 0) is None
    assert full.size == 3


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.9.9.9", "::ffff:127.0.0.1"])
def test_this_machine_counts_in_the_whole_alone(address: str) -> None:
    """Behind a reverse proxy every client comes from there."""
    full = crowd(max_connections=3, max_connections_per_address=1)
    assert [full.enter(address, 0) for _ in range(3)] == [None, None, None]
    refusal = full.enter(address, 0)
    assert refusal is not None and "server.max_connections`" in refusal.hint


def test_no_limit_for_one_address() -> None:
    """0 switches it off."""
    full = crowd(max_connections=50, max_connections_per_address=0)
    assert not any(full.enter(STRANGER, 0) for _ in range(50))


def test_there_are_never_more_than_open_files_allow(caplog: pytest.LogCaptureFixture) -> None:
    """A stream takes two; said once, with the mend."""
    with caplog.at_level(logging.WARNING):
        assert crowd(descriptors=264).most == 100
    assert "ulimit -n" in caplog.text


def test_new_limits_count_for_newcomers() -> None:
    """Who is in stays in."""
    full = crowd(max_connections=5)
    for _ in range(5):
        full.enter(STRANGER, 0)
    full.limits = ServerSettings(max_connections=2)
    assert full.enter(STRANGER, 0) is not None
    assert full.size == 5


def test_a_full_house_is_said_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of connections is no flood of lines, nor of explanations."""
    full = crowd(max_connections=1)
    full.enter(STRANGER, 0)
    with caplog.at_level(logging.WARNING):
        for second in range(25):
            full.enter(STRANGER, float(second))
    assert caplog.text.count("turned away") == 3
    assert [full.may_explain() for _ in range(MOST_EXPLAINED + 1)].count(True) == MOST_EXPLAINED


def test_a_trusted_proxy_is_not_one_stranger() -> None:
    """Its connections count in the whole alone; who calls through it counts by his own address."""
    full = crowd(max_connections=10, max_connections_per_address=2)
    full.proxies = TrustedProxies([NEIGHBOUR])
    assert [full.enter(NEIGHBOUR, 0) for _ in range(5)] == [None] * 5
    assert [full.enter_by_proxy(STRANGER) for _ in range(2)] == [None, None]
    refusal = full.enter_by_proxy(STRANGER)
    assert refusal is not None and "Your address has 2 requests" in refusal.message
    assert full.enter_by_proxy("203.0.113.9") is None
    full.leave_by_proxy(STRANGER)
    assert full.enter_by_proxy(STRANGER) is None
    assert full.size == 5
