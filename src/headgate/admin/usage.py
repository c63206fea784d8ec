"""What was used: `GET /api/usage`."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import (
    OfAccount,
    OfClient,
    OfKey,
    OfModel,
    OfProject,
    Since,
    Status,
    of_account,
)
from headgate.pricing.rates import NANO
from headgate.storage.request_filter import RequestFilter
from headgate.storage.usage import COUNTS, Grouping, unpriced_models, usage

router = APIRouter(prefix="/api/usage", tags=["requests"])


class Usage(BaseModel):
    """Sums. Tokens as the provider counted them; a request without a count adds none."""

    requests: int
    errors: int = Field(description="With a status of 400 or more, or failed after their first byte.")
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int = Field(description="Of the output.")
    cost_usd: float = Field(description="Of the requests that have a price: by the prices of their day.")
    unpriced_requests: int = Field(description="Those that used something, and whose cost nobody knows.")


class UsageGroup(Usage):
    group: str | None = Field(
        description="Account, model, key, client, project, hour or day in UTC; null: requests without one."
    )


class UnpricedModel(BaseModel):
    model: str | None
    requests: int


class UsageReport(BaseModel):
    by: Grouping
    since_at: int | None
    groups: list[UsageGroup] = Field(description="Those with the most requests first; times in their order.")
    total: Usage
    unpriced_models: list[UnpricedModel] = Field(
        description="Models without a price, those with the most requests first; 100 at most."
    )


By = Annotated[Grouping, Query(description="What the sums are made by.")]


@router.get("", operation_id="usage")
async def report(
    owner: ItsOwner,
    by: By = "account",
    since: Since = None,
    account: OfAccount = None,
    key: OfKey = None,
    model: OfModel = None,
    client: OfClient = None,
    project: OfProject = None,
    status: Status = None,
) -> UsageReport:
    """Everything since then, or ever. From the roll-ups, and where those are too coarse from the requests."""
    asked = RequestFilter(
        account=account,
        caller=key,
        model=model,
        client=client,
        project=project,
        status=status,
        since_ms=since,
    )
    wanted = await of_account(owner, asked)
    sums: defaultdict[str | None, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTS, 0))
    for row in await usage(owner.database, wanted, by):
        group = sums[_group_name(owner, row, by)]
        for count in COUNTS:
            group[count] += row[count]
    groups = [UsageGroup(group=name, **_shown(counts)) for name, counts in sums.items()]
    is_time = by in ("hour", "day")
    groups.sort(key=lambda one: (one.group or "") if is_time else (-one.requests, one.group or ""))
    total = {count: sum(its[count] for its in sums.values()) for count in COUNTS}
    unpriced = await unpriced_models(owner.database, wanted) if total["unpriced_requests"] else []
    return UsageReport(
        by=by,
        since_at=since,
        groups=groups,
        total=Usage(**_shown(total)),
        unpriced_models=[UnpricedModel(model=name, requests=count) for name, count in unpriced],
    )


def _shown(sums: Mapping[str, int]) -> dict[str, Any]:
    return {**sums, "cost_usd": sums["nano_usd"] / NANO}


def _group_name(owner: Owner, row: dict[str, Any], by: Grouping) -> str | None:
    key = row["key"]
    if key is None:
        return None
    if by == "account":
        living = owner.pool.by_id(key)
        return living.account.name if living is not None else row["name"]
    if by in ("hour", "day"):
        moment = datetime.fromtimestamp(key / 1000, UTC)
        return moment.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%dT%H:00Z")
    return str(key)
