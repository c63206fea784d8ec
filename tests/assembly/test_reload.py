"""Other settings for a gateway that runs: whole, or not at all."""

import json
from pathlib import Path

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message


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
