"""Other settings for a gateway that runs: whole, or not at all."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message
from tests.serve_with_faults import REFUSED_CONNECTIONS


def test_what_the_database_refuses_changes_nothing_else(tmp_path: Path) -> None:
    """The file declares an account whose name the owner has used by hand: its other changes wait too."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url) as gateway:
        two = {"name": "two", "provider": "anthropic", "base_url": provider.url}
        gateway.admin("/api/accounts", method="POST", body={**two, "api_key": "sk-ant-sim-two"})
        good = gateway.config.read_text()
        wanted = json.loads(good)
        wanted["accounts"].append({**two, "api_key": "sk-ant-sim-2"})
        wanted["routing"] = {"expose_account": True, "strategy": "weighted"}
        gateway.config.write_text(json.dumps(wanted))
        logged(gateway, "Settings not reloaded, .* The settings declare the account 'two'")
        assert gateway.admin("/health")["troubles"][0]["code"] == "settings_invalid"
        assert "x-headgate-account" not in message(gateway).headers
        assert gateway.admin("/api/strategy")["strategy"] == "session"
        assert gateway.account("one")["status"] == gateway.account("two")["status"] == "active"
        gateway.command("account", "remove", "two", "--yes")
        gateway.admin("/api/config/reload", method="POST")
        assert "x-headgate-account" in message(gateway).headers


def test_many_saves_in_a_row_end_with_the_last_one(tmp_path: Path) -> None:
    """Half a file may be seen between two of them: requests go on all the while."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url) as gateway:
        text = gateway.config.read_text()
        for attempts in range(2, 12):
            whole = text.replace('"delay_ms"', f'"attempts": {attempts}, "delay_ms"')
            for part in (text[: len(text) // 2], whole):
                gateway.config.write_text(part)
                assert message(gateway).status_code == 200

        def is_last() -> bool:
            settings = {one["path"]: one["value"] for one in gateway.admin("/api/config")["settings"]}
            return settings["retry.attempts"] == 11 and not gateway.admin("/health").get("troubles")

        wait_until(is_last, what="the last settings")


def _change(gateway: Gateway, **values: Any) -> tuple[int, dict[str, Any]]:
    """Status and answer; `retry__attempts` is `retry.attempts`."""
    wanted = {name.replace("__", "."): value for name, value in values.items()}
    headers = {"content-type": "application/json"}
    status, body = gateway.ask("PUT", "/api/config", headers=headers, body=json.dumps(wanted).encode())
    return status, json.loads(body)


def _in_force(gateway: Gateway, path: str) -> Any:
    settings = gateway.admin("/api/config")["settings"]
    return next(one["value"] for one in settings if one["path"] == path)


def _troubles(gateway: Gateway) -> list[str]:
    return [one["code"] for one in gateway.admin("/health")["troubles"]]


def test_a_part_that_fails_on_a_change_leaves_file_and_settings(tmp_path: Path) -> None:
    """Whatever it raises: the answer has a name, `/health` knows, and the next change is taken."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url, is_faulty=True) as gateway:
        before = gateway.config.read_bytes()
        status, answer = _change(
            gateway, server__max_connections=REFUSED_CONNECTIONS, routing__strategy="weighted"
        )
        assert (status, answer["code"]) == (409, "settings_not_applied")
        assert "server.max_connections" in answer["detail"]
        assert gateway.config.read_bytes() == before
        assert _in_force(gateway, "server.max_connections") == 10_000
        assert gateway.admin("/api/strategy")["strategy"] == "session"
        logged(gateway, "LookupError: an error that nobody has thought of")
        assert _troubles(gateway) == ["settings_not_applied"]
        assert message(gateway).status_code == 200
        assert _change(gateway, retry__attempts=5)[0] == 200
        assert _troubles(gateway) == []
        gateway.stop(expect_code=0)


def test_a_part_that_fails_on_the_file_is_told_until_it_is_mended(tmp_path: Path) -> None:
    """Accounts that came with it go again; by signal as by the file itself."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url, is_faulty=True) as gateway:
        good = gateway.config.read_text()
        wanted = json.loads(good)
        wanted["server"]["max_connections"] = REFUSED_CONNECTIONS
        two = {"name": "two", "provider": "anthropic", "base_url": provider.url}
        wanted["accounts"].append({**two, "api_key": "sk-ant-sim-two"})
        gateway.config.write_text(json.dumps(wanted))
        wait_until(lambda: _troubles(gateway) == ["settings_not_applied"])
        os.kill(gateway.pid, signal.SIGHUP)
        assert _in_force(gateway, "server.max_connections") == 10_000
        assert [one["name"] for one in gateway.admin("/api/accounts")["accounts"]] == ["one"]
        assert message(gateway).status_code == 200
        gateway.config.write_text(good + "\n")
        wait_until(lambda: _troubles(gateway) == [])


def test_a_log_file_that_cannot_be_opened_is_refused_and_not_written(tmp_path: Path) -> None:
    """The gateway goes on logging where it did, and takes the next change."""
    with SimulatedProvider() as provider, Gateway(tmp_path, provider=provider.url) as gateway:
        before = gateway.config.read_bytes()
        (tmp_path / "file").touch()
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "file" / "app.log", tmp_path, tmp_path / "pipe", tmp_path / ("a" * 300)):
            status, answer = _change(gateway, log__file=str(path))
            assert (status, answer["code"]) == (400, "invalid_setting"), path
            assert answer["detail"].startswith("log.file: ")
        assert gateway.config.read_bytes() == before
        assert _change(gateway, log__level="debug", log__file=str(tmp_path / "new" / "app.log"))[0] == 200
        wait_until(lambda: "Settings reloaded" in (tmp_path / "new" / "app.log").read_text())
        assert _troubles(gateway) == []
