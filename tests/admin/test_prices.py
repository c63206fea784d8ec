"""What models cost, over HTTP."""

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.pricing.prices import Listed, own_prices, shipped


def fetched(model: str, rate: float) -> Listed:
    return Listed("fetched", "anthropic", model, {"input": rate, "output": rate}, "https://prices.example")


@pytest.fixture
async def filled(owner: Owner) -> None:
    await owner.prices.take("fetched", [fetched("claude-sonnet-5", 7), fetched("vendor/odd name", 8)])
    await owner.prices.take("fetched", [fetched("claude-sonnet-5", 9), fetched("vendor/odd name", 8)])
    accounts = {"work": {"claude-*": {"input": 1, "output": 1, "web_search": 0.02}}}
    owner.prices.own = own_prices({"claude-opus-5*": {"input": 2, "output": 2}}, accounts)
    await owner.prices.load()


@pytest.mark.usefixtures("filled")
async def test_d8_what_is_in_force_is_listed(client: httpx.AsyncClient) -> None:
    """D8: each name once, with whose price it is, where it was read and since when; and page by page."""
    found = (await client.get("/api/prices")).json()
    by_model = {one["model"]: one for one in found["prices"] if one["account"] is None}
    assert by_model["claude-sonnet-5"]["origin"] == "fetched"
    assert by_model["claude-sonnet-5"]["rates"] == {"input": 9, "output": 9}
    assert by_model["claude-sonnet-5"]["valid_from_at"] > 0
    assert by_model["claude-haiku-5-5"]["long_context"][0]["above"] == 100_000
    own = by_model["claude-opus-5*"]
    assert (own["origin"], own["provider"], own["valid_from_at"]) == ("settings", None, None)
    assert [one["account"] for one in found["prices"] if one["account"]] == ["work"]
    assert len(found["prices"]) == len(shipped()) + 1 + 2
    page = (await client.get("/api/prices?limit=3")).json()
    rest = (await client.get(f"/api/prices?cursor={page['next_cursor']}")).json()
    assert page["prices"] + rest["prices"] == found["prices"]
    assert (await client.get("/api/prices?provider=openai")).json()["prices"][0]["provider"] is None


@pytest.mark.usefixtures("filled")
async def test_one_model_shows_what_it_cost_before(client: httpx.AsyncClient) -> None:
    """By the name that a request says; an unknown one has no price, and that is an answer."""
    found = (await client.get("/api/prices/of?model=claude-sonnet-5-20261001")).json()
    assert (found["price"]["model"], found["price"]["rates"]["input"]) == ("claude-sonnet-5", 9)
    past = [(one["rates"]["input"], one["valid_until_at"] is None) for one in found["past"]]
    assert sorted(past) == [(7, False), (9, True)]
    assert (await client.get("/api/prices/of?model=claude-opus-5")).json()["price"]["origin"] == "settings"
    theirs = (await client.get("/api/prices/of?model=claude-opus-5&account=work")).json()["price"]
    assert (theirs["origin"], theirs["rates"]["web_search"]) == ("account", 0.02)
    assert (await client.get("/api/prices/of?model=vendor/odd%20name")).json()["price"][
        "model"
    ] == "vendor/odd name"
    assert (await client.get("/api/prices/of?model=nobody")).json() == {
        "model": "nobody",
        "price": None,
        "past": [],
    }


async def test_the_list_says_where_and_when_it_was_fetched(client: httpx.AsyncClient, owner: Owner) -> None:
    asked = (await client.get("/api/prices?limit=1")).json()["price_list"]
    assert (asked["url"].endswith(".json"), asked["tried_at"]) == (True, None)
    await owner.prices.claim(asked["url"], not_since_ms=0)
    await owner.prices.note(asked["url"], failure="no route")
    asked = (await client.get("/api/prices?limit=1")).json()["price_list"]
    assert (asked["tried_at"] is not None, asked["taken_at"], asked["failure"]) == (True, None, "no route")


@pytest.mark.parametrize("query", ["?cursor=x", "?cursor=-1", "?limit=0", "/of", "/of?model=" + "x" * 400])
async def test_a_wrong_question_is_a_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/prices{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
