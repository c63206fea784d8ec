"""How it went so far: `GET /api/stats`, and by domain `GET /token-stats`."""

from collections import defaultdict
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.admin import analytics_sums as sums
from headgate.admin.analytics import Outcome, find, time_of
from headgate.admin.analytics_forms import Counts, ErrorSums, Meta, Range, Times
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import Narrowed
from headgate.errors import NotFound
from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import Row, Span, sums_by
from headgate.storage.rollup_tables import DAY, KINDS

router = APIRouter(tags=["requests"])

NO_DOMAIN = "(none)"

_DAY_MS = DAY * 1000
_SECTIONS = ("overview", "totals", "errors")


class Stats(Counts, Times):
    range: Literal["all"] | Range
    since_at: int | None = Field(description="null: the first request.")
    success: int
    active_accounts: int = Field(description="That answered, or failed to.")
    accounts: int = Field(description="That there are now.")
    requests_by_model: dict[str, int] = Field(description="`` for those without one.")
    requests_by_kind: dict[str, int] = Field(description="inference, count_tokens, embeddings, other.")
    top_errors: list[ErrorSums]


class DomainStats(BaseModel):
    """Every request counts, failed ones too."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    requests: int
    errors: int
    by_kind: dict[str, int] = Field(description="inference, count_tokens, embeddings, other.")
    tool_calls: int = Field(description="Tools that answers called, the provider's own too; not of batches.")
    last_updated_at: int | None = Field(description="When an account of the domain was asked last.")


class TokenStats(BaseModel):
    domains: dict[str, DomainStats] = Field(description="`(none)`: of accounts and keys without a domain.")


StatsRange = Annotated[
    Literal["all", "1h", "6h", "24h", "7d", "30d", "90d"], Query(description="The time until now.")
]
OfDomain = Annotated[str | None, Query(max_length=253, description="Only this one.")]


@router.get("/api/stats", operation_id="get_stats")
async def stats(
    owner: ItsOwner, narrowed: Narrowed, range: StatsRange = "all", status: Outcome = None
) -> Stats:
    """Sums of all time, or of the newest part of it."""
    asked = replace(narrowed, status=status)
    now = round(owner.clock.now() * 1000)
    if range == "all":
        since, until, bucket = 0, (now // _DAY_MS + 1) * _DAY_MS, _DAY_MS
    else:
        since, until, bucket = time_of(range, None, None, now)
    meta = Meta(
        range=None if range == "all" else range,
        from_at=since,
        to_at=until,
        bucket_ms=bucket,
        buckets=(until - since) // bucket,
        mode="normal",
        group_by=None,
        computed_at=now,
    )
    found = await find(owner, asked, meta, _SECTIONS, now)
    all_ = sums.add_up(found.counted)
    totals = found.totals()
    by_model = sums.grouped(found.counted, lambda row: row["model"])
    counted = {model: sum(row["requests"] for row in rows) for model, rows in by_model.items()}
    return Stats(
        range=range,
        since_at=since or None,
        **sums.counts(all_),
        **sums.times(sums.add_up_times(found.timed)),
        success=totals.success,
        active_accounts=found.overview().active_accounts,
        accounts=len(owner.pool.living),
        requests_by_model=dict(sorted(counted.items(), key=lambda one: -one[1])[:50]),
        requests_by_kind=totals.by_kind,
        top_errors=found.errors()[:10],
    )


@router.get("/token-stats", operation_id="token_stats")
async def token_stats(owner: ItsOwner, domain: OfDomain = None) -> TokenStats:
    """By the domain of the account that served, or of the client key where that has none: of all time."""
    async with owner.database.read() as connection:
        rows = await sums_by(connection, [Span(DAY, 0)], RequestFilter(), ("account_id", "key_id"))
    by_domain: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_domain[_domain_of(owner, row)].append(row)
    for living in owner.pool.living.values():
        by_domain.setdefault(living.account.domain or NO_DOMAIN, [])
    found = {name: _domain_stats(owner, name, its) for name, its in sorted(by_domain.items())}
    if domain is None:
        return TokenStats(domains=found)
    if domain not in found:
        raise NotFound(f"No account has the domain {domain}", hint="GET /token-stats alone lists all.")
    return TokenStats(domains={domain: found[domain]})


def _domain_of(owner: Owner, row: Row) -> str:
    living = owner.pool.by_id(row["account_id"]) if row["account_id"] else None
    if living is not None and living.account.domain:
        return living.account.domain
    key = owner.ring.stored(row["key_id"]) if row["key_id"] else None
    return (key.domain if key is not None else None) or NO_DOMAIN


def _domain_stats(owner: Owner, domain: str, rows: list[Row]) -> DomainStats:
    all_ = sums.add_up(rows)
    by_kind = {kind: all_[kind] for kind in KINDS}
    by_kind["other"] = all_["requests"] - sum(by_kind.values())
    used = [
        living.last_used_at
        for living in owner.pool.living.values()
        if (living.account.domain or NO_DOMAIN) == domain and living.last_used_at
    ]
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "requests", "errors")
    return DomainStats(
        **{name: all_[name] for name in names},
        by_kind=by_kind,
        tool_calls=all_["tool_calls"],
        last_updated_at=round(max(used) * 1000) if used else None,
    )
