"""Guide rows A11 and F7: accounts that the settings declare, by key and by sign-in."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message
from tests.guides.planting import gateway_with, names


def _declare(gateway: Gateway, *accounts: dict[str, Any]) -> None:
    settings = json.loads(gateway.config.read_text())
    gateway.config.write_text(json.dumps({**settings, "accounts": accounts}))


def _signed_in(name: str, grant: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "oauth": {**grant, "expires_at": round(grant["expires_at"])}}


def test_a11_a_declared_sign_in_keeps_its_newer_tokens(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The settings hold the first tokens: renewed ones outlive restarts and edits."""
    gateway = gateway_with(tmp_path, provider)
    first = _signed_in("team", provider.grant("team", lifetime_seconds=-1))
    _declare(gateway, first)
    before = gateway.config.read_bytes()
    with gateway:
        assert message(gateway).status_code == 200
        gateway.stop(expect_code=0)
        gateway.start()
        assert message(gateway).status_code == 200
        assert gateway.config.read_bytes() == before
        assert gateway.account("team")["origin"] == "settings"
        _declare(gateway, {**first, "priority": 3}, {"name": "key", "api_key": "sk-ant-sim-key"})
        wait_until(lambda: names(gateway) == ["key", "team"], what="a second account, while it runs")
        answer = message(gateway, headers={"x-headgate-account": "team"})
        assert answer.status_code == 200
        assert provider.sign_ins()["team"]["refreshes_asked"] == 1
        _declare(gateway, _signed_in("team", provider.grant("other")))
        wait_until(lambda: names(gateway) == ["team"], what="an account taken out")
        assert message(gateway).status_code == 200
        newest = provider.sign_ins()["other"]["access_tokens"][-1]
        sent = [one["head"] for one in provider.received() if b"/v1/messages" in one["head"]]
        assert newest.encode() in sent[-1]
