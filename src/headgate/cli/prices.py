"""`headgate prices`: what models cost, and who says so."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.fitting import print_fitting
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import clock_time, failing_as, out, print_json, printable, table

_COLUMNS = (
    *("=model", "#input", "#output", "#cache_read|read", "#cache_write_5m|write 5m"),
    *("#cache_write_1h|write 1h", "origin", "?provider", "?account", "since"),
)
_RATES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


def prices(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Show this one, with what it cost before.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="P", help="Only those of one provider; with MODEL: that serves it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="A", help="With MODEL: the account that serves it.")
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what models cost, in USD per million tokens: prices of the owner, fetched ones, shipped ones."""
    if model is None:
        asyncio.run(_list(config, provider, as_json=as_json))
    else:
        asyncio.run(_show(config, model, provider or "anthropic", account, as_json=as_json))


async def _list(config: Path | None, provider: str | None, *, as_json: bool) -> None:
    doing = "Cannot list the prices"
    params = {"limit": 5000} if provider is None else {"limit": 5000, "provider": provider}
    with failing_as(doing):
        async with on_demand.open_control(config, writes=False) as control:
            found = await control.get("/api/prices", doing=doing, params=params)
    if as_json:
        print_json(found)
        return
    if not found["prices"]:
        out.print("No prices" + ("" if provider is None else f" of {provider}"), markup=False)
    else:
        print_fitting(_COLUMNS, [_row(one) for one in found["prices"]])
    out.print(_list_words(found["price_list"]), style="dim", markup=False, soft_wrap=True)


async def _show(
    config: Path | None, model: str, provider: str, account: str | None, *, as_json: bool
) -> None:
    doing = f"Cannot show the price of {model}"
    params = {"model": model, "provider": provider, **({} if account is None else {"account": account})}
    with failing_as(doing):
        async with on_demand.open_control(config, writes=False) as control:
            found = await control.get("/api/prices/of", doing=doing, params=params)
    if as_json:
        print_json(found)
        return
    price = found["price"]
    if price is None:
        out.print(
            f"No price of {printable(model)} is known: its cost stays unknown, and budgets count it as the "
            "dearest model. Set one with pricing.models.",
            markup=False,
            soft_wrap=True,
        )
    else:
        facts = [("model", price["model"]), ("origin", price["origin"]), ("source", price["source"])]
        if price["valid_from_at"] is not None:
            facts.append(("since", clock_time(price["valid_from_at"] / 1000)))
        facts += [(name, _rate(rate)) for name, rate in price["rates"].items()]
        for one in price["long_context"]:
            facts.append((f"above {one['above']:,.0f}", _words({**one, "above": None})))
        facts += [(f"tier {name}", _words(rates)) for name, rates in price["tiers"].items()]
        out.print(table(("field", "value"), facts))
    if past := [one for one in found["past"] if one["valid_until_at"] is not None]:
        out.print()
        columns = ("from", "until", "origin", "#input", "#output", "source")
        print_fitting(columns, [_past_row(one) for one in past])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    since = one["valid_from_at"]
    return (
        one["model"],
        *(_rate(one["rates"].get(name)) for name in _RATES),
        one["origin"],
        one["provider"] or "",
        one["account"] or "",
        "-" if since is None else clock_time(since / 1000),
    )


def _past_row(one: dict[str, Any]) -> tuple[str, ...]:
    began, ended = (clock_time(one[name] / 1000) for name in ("valid_from_at", "valid_until_at"))
    rates = one["rates"]
    return began, ended, one["origin"], _rate(rates["input"]), _rate(rates["output"]), one["source"]


def _words(rates: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_rate(rate)}" for name, rate in rates.items() if rate is not None)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _list_words(fetched: dict[str, Any]) -> str:
    if fetched["url"] is None:
        return "Prices are not fetched (pricing.refresh_hours is 0)"
    if fetched["tried_at"] is None:
        return f"Not fetched yet from {fetched['url']}"
    if fetched["failure"] is not None:
        when = clock_time(fetched["tried_at"] / 1000)
        return f"Could not be fetched from {fetched['url']} at {when}: {printable(fetched['failure'])}"
    return f"Fetched from {fetched['url']} at {clock_time(fetched['taken_at'] / 1000)}"
