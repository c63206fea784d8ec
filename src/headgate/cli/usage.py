"""`headgate usage`: requests, errors, tokens and cost, in sums."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli import completion, on_demand
from headgate.cli.fitting import print_fitting
from headgate.cli.following import warn_of_unknown
from headgate.cli.moments import SINCE_HELP, read_since
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import clock_time, counted, failing_as, out, print_json, printable
from headgate.pricing.amounts import usd

_HEADINGS = ("#requests", "#errors", "#cost", "#input", "#output", "#cache_read|read", "#cache_write|write")
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_MOST_NAMED = 5

By = Literal["account", "model", "key", "client", "project", "hour", "day"]


def usage(
    account: Annotated[
        str | None,
        typer.Option(metavar="A", help="Only that of one account.", autocompletion=completion.account_names),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="K", help="Only that of one client key.")] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Only that for one model.")] = None,
    client: Annotated[
        str | None, typer.Option(metavar="C", help="Only that of one client program, as claude-code.")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="P", help="Only that for one project.")] = None,
    since: Annotated[str, typer.Option(metavar="T", help=SINCE_HELP)] = "24h",
    by: Annotated[
        By,
        typer.Option(metavar="account|model|key|client|project|hour|day", help="What the sums are made by."),
    ] = "account",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what was used: requests, errors, tokens and cost, in sums and in all. Hours and days are UTC's."""
    doing = "Cannot show the usage"
    since_at = read_since(since, doing=doing)
    chosen = {"account": account, "key": key, "model": model, "client": client, "project": project}
    asked = {"by": by, "since": since_at, **chosen}
    params = {name: value for name, value in asked.items() if value is not None}
    found = asyncio.run(_ask(config, params, doing=doing))
    if as_json:
        print_json(found)
        return
    when = f"since {clock_time(since_at / 1000)}" if since_at is not None else "ever"
    if not found["groups"]:
        that_match = " that match" if any(chosen.values()) else ""
        out.print(f"No requests{that_match} {when}", markup=False)
        return
    rows = [_row(one["group"] or f"(no {by})", one) for one in found["groups"]]
    if len(rows) > 1:
        rows.append(_row("total", found["total"]))
    print_fitting((by, *_HEADINGS), rows)
    out.print(when.capitalize(), style="dim", markup=False)
    if found["unpriced_models"]:
        out.print(
            _without_price(found["total"], found["unpriced_models"]),
            style="dim",
            markup=False,
            soft_wrap=True,
        )


async def _ask(config: Path | None, params: dict[str, Any], *, doing: str) -> Any:
    with failing_as(doing):
        async with on_demand.open_control(config, writes=False) as control:
            found = await control.get("/api/usage", doing=doing, params=params)
            if not found["groups"]:
                await warn_of_unknown(control, params)
            return found


def _row(name: str, counts: dict[str, Any]) -> tuple[str, ...]:
    happened = (f"{counts['requests']:,}", f"{counts['errors']:,}")
    return (name, *happened, _cost(counts), *(f"{counts[count]:,}" for count in _COUNTS))


def _cost(counts: dict[str, Any]) -> str:
    """A dash where nothing that was used has a price; a plus where some of it has none."""
    unpriced, cost = counts["unpriced_requests"], counts["cost_usd"]
    if unpriced and not cost:
        return "-"
    return usd(cost) + ("+" if unpriced else "")


def _without_price(total: dict[str, Any], models: list[dict[str, Any]]) -> str:
    named = [one["model"] or "(no model)" for one in models[:_MOST_NAMED]]
    more = f" and {len(models) - len(named):,} more" if len(models) > len(named) else ""
    count = counted(total["unpriced_requests"], "request")
    return f"{count} without a price, not in the cost: {', '.join(map(printable, named))}{more}"
