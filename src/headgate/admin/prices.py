"""What models cost, where that was read, and since when: `GET /api/prices`, and one of them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import InvalidRequest
from headgate.pricing.prices import Listed
from headgate.pricing.rates import NAMES

router = APIRouter(prefix="/api/prices", tags=["requests"])

_PER_TOKEN = NAMES[: NAMES.index("web_search")]


class PriceView(BaseModel):
    model: str = Field(description="A name, or with `*` behind it all that begin so.")
    provider: str | None = Field(description="null: of any.")
    account: str | None = Field(description="Of this account alone; null: of all.")
    origin: Literal["account", "settings", "fetched", "shipped"] = Field(
        description="Whose it is, in the order in which they count."
    )
    source: str = Field(description="Where it was read.")
    valid_from_at: int | None = Field(description="null: as long as the settings say so.")
    rates: dict[str, float] = Field(
        description=f"USD per million tokens: {', '.join(_PER_TOKEN)}; `web_search` in USD each; "
        "factors of all tokens: batch, priority, flex, fast, us."
    )
    long_context: list[dict[str, float]] = Field(
        description="Other rates of the whole request, where its prompt has more tokens than `above`."
    )
    tiers: dict[str, dict[str, float]] = Field(description="Other rates, by the service tier.")


class PastPriceView(PriceView):
    valid_until_at: int | None = Field(description="null: it holds.")


class PriceListView(BaseModel):
    url: str | None = Field(description="Where prices are fetched; null: nowhere.")
    tried_at: int | None
    taken_at: int | None = Field(description="When it was taken the last time.")
    models: int | None = Field(description="How many it had then.")
    failure: str | None = Field(description="Why the last try did not succeed.")


class PricePage(BaseModel):
    prices: list[PriceView] = Field(description="In force, by name.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last one.")
    price_list: PriceListView


class ModelPrice(BaseModel):
    model: str
    price: PriceView | None = Field(description="By which a request is reckoned now; null: none is known.")
    past: list[PastPriceView] = Field(description="What the lists said of this name, the newest first.")


@router.get("", operation_id="list_prices")
async def list_prices(
    owner: ItsOwner,
    provider: Annotated[str | None, Query(max_length=100, description="Only those of one provider.")] = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="How many at most.")] = 1000,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
) -> PricePage:
    """Those in force: the owner's own come before the fetched ones, these before the shipped ones."""
    start = _place(cursor)
    found = sorted(_in_force(owner, provider), key=lambda one: (one.model, one.provider, one.account or ""))
    page = found[start : start + limit]
    more = str(start + limit) if start + limit < len(found) else None
    return PricePage(prices=[_view(one) for one in page], next_cursor=more, price_list=await _list(owner))


@router.get("/of", operation_id="get_price")
async def get_price(
    owner: ItsOwner,
    model: Annotated[str, Query(max_length=300, description="As a request says it; it may hold a slash.")],
    provider: Annotated[str, Query(max_length=100, description="That would serve it.")] = "anthropic",
    account: Annotated[str | None, Query(max_length=200, description="That would serve it.")] = None,
) -> ModelPrice:
    """The price of one model, by the name that a request says."""
    found = owner.prices.prices.table.find(provider, model, account)
    names = [model] if found is None or found.model == model else [model, found.model]
    past = [row for name in names for row in await owner.prices.past(name) if row["provider"] == provider]
    return ModelPrice(
        model=model, price=None if found is None else _view(found), past=[_past_view(row) for row in past]
    )


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise InvalidRequest(
            "Invalid cursor.", hint="Use `next_cursor` of an earlier answer as it is, or leave it out."
        )
    return int(cursor)


def _in_force(owner: Owner, provider: str | None) -> list[Listed]:
    """One for each name: what another comes before is not in force."""
    table = owner.prices.prices.table
    first: dict[tuple[str | None, str, str], Listed] = {}
    for one in table.listed:
        if provider is None or one.provider in ("", provider):
            first.setdefault((one.account, one.provider, one.model), one)
    return list(first.values())


async def _list(owner: Owner) -> PriceListView:
    url = owner.price_url
    row = None if url is None else await owner.prices.fetched(url)
    known: dict[str, Any] = row or {}
    shown = None if url is None else url.partition("?")[0]
    fields = ("tried_at", "taken_at", "models", "failure")
    return PriceListView(url=shown, **{field: known.get(field) for field in fields})


def _view(one: Listed) -> PriceView:
    return PriceView(**_fields(one))


def _past_view(row: dict[str, Any]) -> PastPriceView:
    listed = Listed(*(row[name] for name in ("origin", "provider", "model", "rates", "source", "valid_from")))
    return PastPriceView(**_fields(listed), valid_until_at=row["valid_until"])


def _fields(one: Listed) -> dict[str, Any]:
    rates = dict(one.rates)
    long, tiers = rates.pop("long_context", []), rates.pop("tiers", {})
    return {
        "model": one.model,
        "provider": one.provider or None,
        "account": one.account,
        "origin": one.origin,
        "source": one.source,
        "valid_from_at": one.valid_from_ms,
        "rates": rates,
        "long_context": long,
        "tiers": tiers,
    }
