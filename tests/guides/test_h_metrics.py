"""Guide row H5: how the providers do, asked by strangers, clients and the owner."""

import json
from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.asking import message

ADMIN_KEY = "the-owner's-key"
PATH = "/v1/metrics/providers"
OWNER = {"authorization": f"Bearer {ADMIN_KEY}"}
CLIENT = {"authorization": f"Bearer {CLIENT_KEY}"}


def metrics(gateway: Gateway, headers: dict[str, str] | None = None) -> dict[str, Any]:
    status, answer = gateway.ask("GET", PATH, headers=headers)
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def test_h5_how_the_providers_do(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`GET /v1/metrics/providers`, with or without a key: an object keyed by provider, `{}` before traffic;
    with a client key also its tokens and cost, with the admin key all; over a restart too."""
    settings = {"admin": {"key": ADMIN_KEY}, "access": {"api_keys": [CLIENT_KEY, "hg_other"]}}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        assert metrics(gateway) == metrics(gateway, CLIENT) == metrics(gateway, OWNER) == {}
        assert message(gateway, key="wrong").status_code == 401  # refused at the door: nobody's traffic
        for key in (CLIENT_KEY, CLIENT_KEY, "hg_other"):
            assert message(gateway, key=key).status_code == 200
        provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
        provider.script("sk-ant-sim-two", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
        refused = message(gateway)
        assert refused.status_code == 429
        wait_until(lambda: _count(gateway) == 4, what="all requests in the sums")
        strangers = metrics(gateway)["anthropic"]
        assert (strangers["request_count"], strangers["success_count"], strangers["failure_count"]) == (
            4,
            3,
            1,
        )
        assert strangers["status_codes"] == {"200": 3, "429": 1}
        assert 0 <= strangers["latency_p50_ms"] <= strangers["latency_p95_ms"]
        assert strangers["cooldowns"]["accounts"] == 2
        assert strangers["cooldowns"]["first_return_at"] > 0
        assert not {"total_tokens", "cost_usd", "keys"} & set(strangers)
        own, all_ = metrics(gateway, CLIENT)["anthropic"], metrics(gateway, OWNER)["anthropic"]
        assert 0 < own["total_tokens"] < all_["total_tokens"]
        assert 0 < own["cost_usd"] < all_["cost_usd"]
        assert (len(own["keys"]), len(all_["keys"])) == (1, 2)
        assert metrics(gateway, {"authorization": "Bearer wrong"})["anthropic"] == strangers
        gateway.stop()
        gateway.start()
        assert metrics(gateway, OWNER)["anthropic"]["cost_usd"] == all_["cost_usd"]


def _count(gateway: Gateway) -> int:
    return int(metrics(gateway).get("anthropic", {}).get("request_count", 0))
