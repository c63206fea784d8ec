"""Signing in on another device, as RFC 8628 has it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import fetch

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices") / "clock"


@pytest.fixture
def clock(clock_file: Path) -> Iterator[SharedClock]:
    clock = SharedClock(clock_file)
    yield clock
    clock.close()


@pytest.fixture(scope="module")
def running_provider(clock_file: Path) -> Iterator[SimulatedProvider]:
    with SimulatedProvider(clock=clock_file) as provider:
        yield provider


def _post(provider: SimulatedProvider, path: str, **fields: str) -> dict[str, Any]:
    body = urlencode({"client_id": "c"} | fields)
    head = f"POST {path} HTTP/1.1\r\nhost: s\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n{body}"
    return dict(msgspec.json.decode(fetch(provider.url, request.encode())[2]))


def _start(provider: SimulatedProvider) -> dict[str, Any]:
    return _post(provider, "/oauth/device", scope="user:inference")


def _poll(provider: SimulatedProvider, device: dict[str, Any], **fields: str) -> dict[str, Any]:
    return _post(provider, "/oauth/token", grant_type=_GRANT, device_code=device["device_code"], **fields)


def test_device_asks_until_its_person_has_said_yes(provider: SimulatedProvider, clock: SharedClock) -> None:
    device = _start(provider)
    assert (device["expires_in"], device["interval"]) == (900, 5)
    assert device["verification_uri_complete"].startswith(device["verification_uri"])
    page = f"GET /device?user_code={device['user_code']} HTTP/1.1\r\nhost: s\r\n\r\n"
    assert device["user_code"].encode() in fetch(provider.url, page.encode())[2]
    assert _poll(provider, device)["error"] == "authorization_pending"
    provider.approve(device["user_code"], "ada")
    clock.advance(5)
    answer = _poll(provider, device)
    assert (answer["token_type"], answer["scope"]) == ("Bearer", "user:inference")
    assert provider.sign_ins()["ada"]["device_grants"] == 1
    assert _poll(provider, device)["error"] == "invalid_grant"


def test_who_asks_too_soon_waits_five_seconds_longer(provider: SimulatedProvider, clock: SharedClock) -> None:
    device = _start(provider)
    errors = [_poll(provider, device)["error"] for _ in range(2)]
    clock.advance(6)
    errors.append(_poll(provider, device)["error"])
    clock.advance(16)
    errors.append(_poll(provider, device)["error"])
    assert errors == ["authorization_pending", "slow_down", "slow_down", "authorization_pending"]


def test_person_can_refuse(provider: SimulatedProvider) -> None:
    device = _start(provider)
    provider.deny(device["user_code"])
    assert _poll(provider, device)["error"] == "access_denied"


def test_device_code_expires_and_is_its_clients_own(provider: SimulatedProvider, clock: SharedClock) -> None:
    provider.sign_in(device_lifetime_seconds=30)
    device = _start(provider)
    assert _poll(provider, device, client_id="other")["error"] == "invalid_grant"
    clock.advance(30)
    assert _poll(provider, device)["error"] == "expired_token"


def test_code_that_no_device_shows_is_refused(provider: SimulatedProvider) -> None:
    with pytest.raises(ValueError, match="No device shows"):
        provider.approve("NOPE-NOPE")
