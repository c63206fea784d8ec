"""What requests cost: the list that is fetched, the one that came along, the owner's own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import lines_of, logged, message, record_of

MODEL = "claude-sonnet-4-5"
UNKNOWN = "claude-unheard-9"
FETCHED = {
    "litellm_provider": "anthropic",
    "input_cost_per_token": 30e-06,
    "output_cost_per_token": 150e-06,
}


class PriceServer:
    """Answers with `body` and `status`, and counts who asked."""

    def __init__(self) -> None:
        self.body = json.dumps({MODEL: FETCHED, "sample_spec": {"input_cost_per_token": "prose"}}).encode()
        self.status = 200
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(outer.status)
                self.send_header("content-length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/prices.json?of=all"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def price_server() -> Iterator[PriceServer]:
    server = PriceServer()
    yield server
    server.close()


def cost(usage: dict[str, Any], *, input_usd: float, output_usd: float) -> float:
    """Of a request without a cache."""
    total: float = usage["input_tokens"] * input_usd + usage["output_tokens"] * output_usd
    return total / 1_000_000


def test_d8_prices_are_fetched_and_the_past_keeps_its_cost(
    tmp_path: Path, provider: SimulatedProvider, price_server: PriceServer
) -> None:
    """`pricing.url` is asked at the start, not again after a restart; a record keeps the cost of its day.

    A price of the owner's own comes first. A model without a price: null, never 0, and named."""
    settings = {"pricing": {"refresh_hours": 24, "url": price_server.url}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert "/prices.json" in logged(gateway, "INFO.*Fetching latest pricing from")
        logged(gateway, "Prices taken: models 1, new or changed 1, ended 0")
        first = message(gateway, model=MODEL)
        priced = record_of(gateway, first)
        assert priced["cost_usd"] == pytest.approx(
            cost(priced["usage"], input_usd=30, output_usd=150), abs=1e-9
        )
        shown = json.loads(gateway.command("prices", MODEL, "--json").stdout)["price"]
        assert (shown["origin"], shown["rates"]["input"]) == ("fetched", 30.0)
        own = json.dumps({f"{MODEL}*": {"input": 1, "output": 2}})
        done = gateway.command("config", "set", "pricing.models", own)
        assert done.returncode == 0, done.stderr
        again = record_of(gateway, message(gateway, model=MODEL))
        assert again["cost_usd"] == pytest.approx(cost(again["usage"], input_usd=1, output_usd=2), abs=1e-9)
        assert record_of(gateway, first)["cost_usd"] == priced["cost_usd"]

        provider.script("sk-ant-sim-one", models=[MODEL, UNKNOWN])
        unknown = record_of(gateway, message(gateway, model=UNKNOWN))
        assert unknown["usage"]["output_tokens"] > 0
        assert unknown["cost_usd"] is None
        report = json.loads(gateway.command("usage", "--json").stdout)
        assert report["unpriced_models"] == [{"model": UNKNOWN, "requests": 1}]
        assert report["total"]["cost_usd"] == pytest.approx(priced["cost_usd"] + again["cost_usd"], abs=1e-9)
        assert f"1 request without a price, not in the cost: {UNKNOWN}" in gateway.command("usage").stdout

        gateway.stop(expect_code=0)
        gateway.start()
        assert record_of(gateway, first)["cost_usd"] == priced["cost_usd"]
        assert price_server.asked == ["/prices.json?of=all"]


def test_d8_the_shipped_list_holds_where_none_can_be_fetched(
    tmp_path: Path, provider: SimulatedProvider, price_server: PriceServer
) -> None:
    """One warning says why; a list that is odd in one place is not taken; a new address is asked at once."""
    price_server.body = json.dumps({MODEL: FETCHED, "bad": {**FETCHED, "input_cost_per_token": "1"}}).encode()
    settings = {"pricing": {"refresh_hours": 24, "url": price_server.url}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert "'bad' has a input_cost_per_token" in logged(gateway, "WARN.*Prices could not be fetched")
        shipped = record_of(gateway, message(gateway, model=MODEL))
        assert shipped["cost_usd"] == pytest.approx(
            cost(shipped["usage"], input_usd=3, output_usd=15), abs=1e-9
        )
        assert "could not be fetched" in gateway.command("prices").stdout.lower()

        price_server.status = 503
        gateway.command("config", "set", "pricing.url", price_server.url + "&again=1")
        wait_until(lambda: len(lines_of(gateway, "HTTP 503")) == 1, what="the second warning")
        price_server.status, price_server.body = 200, json.dumps({MODEL: FETCHED}).encode()
        gateway.command("config", "set", "pricing.url", price_server.url + "&again=2")
        logged(gateway, "Prices taken: models 1")

        def costs_by_the_fetched_list() -> bool:
            """What is being stored at that moment may still cost what it cost before."""
            fetched = record_of(gateway, message(gateway, model=MODEL))
            wanted = cost(fetched["usage"], input_usd=30, output_usd=150)
            return bool(fetched["cost_usd"] == pytest.approx(wanted, abs=1e-9))

        wait_until(costs_by_the_fetched_list, what="a cost by the list that was fetched")
        assert len(lines_of(gateway, "Prices could not be fetched")) == 2


def test_d8_several_gateways_fetch_once_and_reckon_alike(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str, price_server: PriceServer
) -> None:
    """On one PostgreSQL one of them asks; the other, its recorder too, goes by what that one found."""
    gateways = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        key = {"HEADGATE_SECRET_KEY": "a key that both of them have"}
        settings = {"pricing": {"refresh_hours": 0, "url": price_server.url}}
        gateways.append(
            Gateway(
                tmp_path / name,
                provider=provider.url,
                settings=settings,
                database=postgres_url,
                environment=key,
            )
        )
    one, other = gateways
    with one, other:
        for gateway in gateways:
            done = gateway.command("config", "set", "pricing.refresh_hours", "24")
            assert done.returncode == 0, done.stderr

        def knows(gateway: Gateway) -> bool:
            price = json.loads(gateway.command("prices", MODEL, "--json").stdout)["price"]
            return bool(price["origin"] == "fetched")

        for gateway in gateways:
            wait_until(lambda gateway=gateway: knows(gateway), what="the fetched price")
            record = record_of(gateway, message(gateway, model=MODEL))
            expected = cost(record["usage"], input_usd=30, output_usd=150)
            assert record["cost_usd"] == pytest.approx(expected, abs=1e-9)
        assert len(price_server.asked) == 1
