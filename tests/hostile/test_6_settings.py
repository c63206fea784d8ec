"""Settings that no gateway can take over, said to one that runs."""

import json
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message

HUGE = "1" + "0" * 400

WRONG = {
    "server.head_timeout_ms": HUGE,
    "server.send_timeout_ms": HUGE,
    "server.shutdown_grace_seconds": "1e999",
    "server.max_connections": HUGE,
    "server.request_timeout_ms": HUGE,
    "upstream.connect_timeout_ms": HUGE,
    "upstream.keepalive_seconds": "NaN",
    "routing.session_duration_ms": HUGE,
    "retry.backoff": "Infinity",
    "log.max_bytes": f"-{HUGE}",
    "log.file": '"a\\u0000b"',
    "admin.key": '"file:\\u0000"',
    "storage.url": '"\\ud800"',
    "providers.anthropic.base_url": '"http://\\ud800/"',
}


def test_values_that_nothing_can_hold(
    provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers of 400 digits, NaN, infinity, NUL, half characters → 400, file and settings as they were"""
    with Gateway(tmp_path_factory.mktemp("settings"), provider=provider.url) as gateway:
        before, in_force = gateway.config.read_bytes(), gateway.admin("/api/config")
        headers = {"content-type": "application/json"}
        for path, value in WRONG.items():
            body = f'{{"retry.attempts": 9, "{path}": {value}}}'.encode()
            status, answer = gateway.ask("PUT", "/api/config", headers=headers, body=body)
            said = json.loads(answer)
            assert (status, said["code"] in ("invalid_setting", "invalid_request")) == (400, True), (
                path,
                said,
            )
            assert path in said["detail"]
        assert gateway.config.read_bytes() == before
        assert gateway.admin("/api/config") == in_force
        assert message(gateway).status_code == 200
        assert not gateway.admin("/health").get("troubles")
        gateway.admin("/api/config/reload", method="POST")


def test_values_at_the_edge(provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The largest values that are taken, all at once → requests go on as before"""
    largest = {
        "server": {
            "head_timeout_ms": 31_622_400_000,
            "body_timeout_ms": 31_622_400_000,
            "max_connections": 1_000_000,
        },
        "upstream": {"first_byte_timeout_ms": 31_622_400_000, "keepalive_seconds": 31_622_400},
        "routing": {"session_duration_ms": 31_622_400_000},
        "retry": {"attempts": 100, "backoff": 100},
    }
    with Gateway(tmp_path_factory.mktemp("largest"), provider=provider.url, settings=largest) as gateway:
        assert [message(gateway).status_code for _ in range(3)] == [200] * 3
        gateway.stop(expect_code=0)


def test_a_start_with_such_values(tmp_path: Path) -> None:
    """They stand in the file or in variables at the start → exit code 2, all of them named, no trace"""
    gateway = Gateway(
        tmp_path, accounts=[], settings={"log": {"file": "a\0b"}, "retry": {"attempts": int(HUGE)}}
    )
    wrong = {"HEADGATE_SERVER__HEAD_TIMEOUT_MS": HUGE, "HEADGATE_ADMIN__KEY": "\udcff"}
    refused = gateway.command("serve", **wrong)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    for name in ("log.file", "retry.attempts", "server.head_timeout_ms", "admin.key"):
        assert f"{name}: must " in refused.stderr
    checked = gateway.command("config", "check", **wrong)
    assert (checked.returncode, "4 errors" in checked.stdout) == (2, True)
