"""`headgate prices`."""

from tests.cli.conftest import Command


async def test_prices_are_shown_without_a_gateway(headgate: Command) -> None:
    """Those that came with the program; one with all it says, and one that nobody knows."""
    assert (await headgate("db", "upgrade")).code == 0
    listed = await headgate("prices", COLUMNS="80")
    assert (listed.code, max(map(len, listed.out.splitlines()[:-1])) <= 80) == (0, True)
    row = next(line for line in listed.out.splitlines() if line.startswith("claude-opus-4-5 "))
    assert row.split()[1:4] == ["5", "25", "0.5"]
    assert "Not fetched yet from https://" in listed.out
    one = (await headgate("prices", "claude-haiku-5-5-20261007")).out
    assert ("above 100,000" in one, "shipped" in one, "https://platform.claude.com" in one) == (True,) * 3
    unknown = await headgate("prices", "nobody-1")
    assert (unknown.code, unknown.out.startswith("No price of nobody-1 is known")) == (0, True)
    assert (await headgate("prices", "nobody-1", "--json")).json()["price"] is None
    nothing = await headgate("prices", "--provider", "openai")
    assert nothing.out.startswith("No prices of openai")


async def test_own_prices_come_first(headgate: Command) -> None:
    """As soon as they are set; a wrong one is refused with its model."""
    assert (await headgate("db", "upgrade")).code == 0
    own = '{"claude-opus-*": {"input": 1.5, "output": 2}}'
    assert (await headgate("config", "set", "pricing.models", own)).code == 0
    assert (await headgate("config", "set", "pricing.refresh_hours", "0")).code == 0
    one = (await headgate("prices", "claude-opus-9", "--json")).json()["price"]
    assert (one["origin"], one["rates"]["input"]) == ("settings", 1.5)
    assert "Prices are not fetched" in (await headgate("prices")).out
    wrong = await headgate("config", "set", "pricing.models", '{"a": {"input": 1}}')
    assert (wrong.code, "lacks output for the model a" in wrong.err) == (2, True)
