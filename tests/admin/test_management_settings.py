"""Single settings under `/v0/management`, in the other gateway's forms."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config import table

BASE = "/v0/management"
SET: list[tuple[str, Any, Any, str, Any]] = [
    ("debug", True, True, "log.level", "debug"),
    ("debug", False, False, "log.level", "info"),
    ("logging-to-file", False, False, "log.file", ""),
    ("logging-to-file", True, True, "log.file", "default"),
    ("usage-statistics-enabled", True, True, "log.level", "info"),
    ("request-retry", 0, 0, "retry.attempts", 1),
    ("request-retry", 99, 99, "retry.attempts", 100),
    ("proxy-url", " none ", "direct", "upstream.proxy", "direct"),
    ("proxy-url", "http://me:pw@[::1]:1", "http://***@[::1]:1", "upstream.proxy", "http://me:pw@[::1]:1"),
    ("routing/strategy", "wrr", "weighted", "routing.strategy", "weighted"),
    ("routing/strategy", "Fill-First", "fill-first", "routing.strategy", "fill-first"),
    ("routing/strategy", "least_requests", "least-requests", "routing.strategy", "least-requests"),
]
WRONG = [
    *(b"", b"{", b"[]", b"7", b"null", b"{}", b'{"value": null}', b'{"value": {}}', b'{"value": ["true"]}'),
    *(b'{"value": 1e400}', b'{"value": NaN}', b'{"value": -1}', b'{"value": 100}', b'{"value": "x"}'),
    *(b'{"value": "' + b"x" * 100_000 + b'"}', b'{"value": ' + b"9" * 5000 + b"}", b"[" * 100_000),
    *(b'{"value": "a\\u0000b"}', b'{"value": "\\ud800"}', b"\xff", b'{"value": "file:/etc/passwd"}'),
]


async def test_set_and_shown(manager: httpx.AsyncClient, owner: Owner) -> None:
    """`{"value": …}` in, `{"status": "ok"}` out, whatever kind of body it is said to be."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for name, value, shown, setting, ours in SET:
        for method in ("PUT", "PATCH"):
            body = json.dumps({"value": value})
            answer = await manager.request(method, f"{BASE}/{name}", content=body, headers=headers)
            assert answer.json() == {"status": "ok", "persisted": True, "warnings": []}
            found = (await manager.get(f"{BASE}/{name}")).json()
            assert found == {name.rpartition("/")[2]: shown}
            in_force = table.value_at(owner.settings, setting)
            assert (in_force.get_secret_value() if "proxy" in name else in_force) == ours


async def test_what_is_so_already_is_not_written(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    """A level that says less than `info` is not `debug` either, and another file is a file."""
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text() + "log: {level: warn, file: mine.log}\n")
    await owner.reload_settings()
    text = file.read_text()
    for name, value in (("debug", False), ("logging-to-file", True), ("usage-statistics-enabled", True)):
        assert (await manager.put(f"{BASE}/{name}", json={"value": value})).status_code == 200
    assert (await manager.delete(f"{BASE}/proxy-url")).status_code == 200
    assert file.read_text() == text


async def test_a_proxy_is_taken_away(manager: httpx.AsyncClient, owner: Owner) -> None:
    """By `DELETE`, or by an empty text."""
    for take_away in (
        manager.delete(f"{BASE}/proxy-url"),
        manager.put(f"{BASE}/proxy-url", json={"value": ""}),
    ):
        assert (await manager.put(f"{BASE}/proxy-url", json={"value": "http://a:1"})).status_code == 200
        assert (await take_away).json()["status"] == "ok"
        assert owner.settings.upstream.proxy is None
        assert (await manager.get(f"{BASE}/proxy-url")).json() == {"proxy-url": ""}


@pytest.mark.parametrize(
    "name", ["debug", "logging-to-file", "request-retry", "proxy-url", "routing/strategy"]
)
async def test_a_wrong_body_changes_nothing(
    manager: httpx.AsyncClient, owner: Owner, tmp_path: Path, name: str
) -> None:
    """It is a problem with status 400."""
    before, text = owner.settings, (tmp_path / "config.yaml").read_text()
    for body in WRONG:
        answer = await manager.put(f"{BASE}/{name}", content=body)
        assert (answer.status_code, answer.json()["status"]) == (400, 400), (body[:50], answer.text)
    assert owner.settings is before
    assert (tmp_path / "config.yaml").read_text() == text


async def test_the_words_for_a_wrong_value(manager: httpx.AsyncClient) -> None:
    """With what would do."""
    answer = await manager.put(f"{BASE}/routing/strategy", json={"value": "fil-first"})
    assert "did you mean fill-first?" in answer.json()["detail"]
    answer = await manager.put(f"{BASE}/proxy-url", json={"value": "http://***@a:1"})
    assert "it was shown without them" in answer.json()["detail"]
    answer = await manager.put(f"{BASE}/usage-statistics-enabled", json={"value": False})
    assert (answer.status_code, answer.json()["code"]) == (501, "not_offered")
