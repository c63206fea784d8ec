"""The results of a batch, fetched again and again by several keys and over a kill, are counted once."""

import json
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.testing.wire import ask

MODELS = {"claude-sonnet-4-5": (1.5, 7.5), "claude-haiku-4-5": (0.5, 2.5)}
"""USD for a million tokens of input and output, at half price."""


class Batches:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.keys = [self._new_key(name) for name in ("first", "second")]
        self.id = self._ask(0, "POST", "", self._requests())["id"]

    def _new_key(self, name: str) -> str:
        made = self._gateway.admin("/api/keys", method="POST", body={"name": name})
        secret: str = made["key"]
        return secret

    def _requests(self) -> bytes:
        params = [{**ask(f"say {n + 2} words"), "model": list(MODELS)[n % 2]} for n in range(40)]
        asked = [{"custom_id": f"c{n}", "params": one} for n, one in enumerate(params)]
        return json.dumps({"requests": [*asked, {"custom_id": "bad", "params": {"model": "m"}}]}).encode()

    def _ask(self, key: int, method: str, path: str, body: bytes | None = None) -> Any:
        return json.loads(self.bytes_of(key, method, path, body))

    def bytes_of(self, key: int, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"x-api-key": self.keys[key], "anthropic-version": "2023-06-01"}
        asked = f"/v1/messages/batches{path}"
        status, answer = self._gateway.ask(method, asked, headers=headers, body=body)
        assert status == 200, answer
        return answer

    def results(self, key: int) -> list[dict[str, Any]]:
        lines = self.bytes_of(key, "GET", f"/{self.id}/results").splitlines()
        return [json.loads(line)["result"] for line in lines]

    def sums(self) -> dict[str, dict[str, Any]]:
        groups = self._gateway.admin("/api/usage?by=model")["groups"]
        return {one["group"]: one for one in groups if one["group"] in MODELS}

    def downloads(self) -> list[dict[str, Any]]:
        rows = self._gateway.requests()
        return [row for row in rows if row["path"].endswith("/results")]

    def spent(self, key: str) -> float:
        used: float = self._gateway.admin(f"/api/keys/{key}")["used"]["total_usd"]
        return used


def test_what_a_batch_used_counts_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """By model, at half price, for the key that fetched first; a killed gateway forgets nothing of it."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        batches = Batches(gateway)
        results = batches.results(0)
        used = [one["message"] for one in results if one["type"] == "succeeded"]
        assert (len(results), len(used)) == (41, 40)
        cost = sum(
            one["usage"]["input_tokens"] * MODELS[one["model"]][0]
            + one["usage"]["output_tokens"] * MODELS[one["model"]][1]
            for one in used
        )
        gateway.kill()
        gateway.start()
        for key in (1, 0):
            assert batches.results(key) == results
        wait_until(
            lambda: len(batches.downloads()) == 4, what="three downloads, and a row for the second model"
        )
        for model, sums in batches.sums().items():
            told = [one["usage"] for one in used if one["model"] == model]
            assert sums["input_tokens"] == sum(one["input_tokens"] for one in told), model
            assert sums["output_tokens"] == sum(one["output_tokens"] for one in told), model
        total = sum(one["cost_usd"] for one in batches.sums().values())
        assert total == pytest.approx(cost / 1e6, abs=1e-8)
        assert batches.spent("first") == pytest.approx(total, abs=1e-8)
        assert batches.spent("second") == 0
        again = [row["usage"]["other"] for row in batches.downloads()[:2]]
        assert again == [{"counted_before": 40}] * 2
        assert gateway.command("db", "check").returncode == 0
