"""What the owner is shown: the JSON forms of accounts and requests. No field can hold a secret.

Times are Unix milliseconds in fields that end in `_at`; but `expires_at` and `rate_limit_reset` of
an account are Unix seconds, as is everything in `limit_views.py`.
"""

from typing import Any

from pydantic import BaseModel, Field

from headgate.admin.bodies import BodiesView
from headgate.admin.limit_views import (
    RestView,
    SessionsView,
    WindowView,
    rest_views,
    sessions_view,
    window_views,
)
from headgate.config.proxies import shown
from headgate.pool.living import LivingAccount
from headgate.pool.sessions import Running
from headgate.pricing.rates import NANO


class AccountView(BaseModel):
    name: str
    provider: str
    kind: str
    email: str | None
    domain: str | None
    tier: int
    account_tier: int = Field(description="The same as `tier`.")
    priority: int
    weight: int
    concurrency: int | None = Field(description="Requests at one time; null: any number.")
    models: list[str] = Field(description="Empty: all of its provider.")
    base_url: str | None
    origin: str = Field(
        description="Who keeps it: `owner`, `settings`, or `file:` and the file of a source that has it."
    )
    proxy: str | None = Field(description="Without its credentials; null: the general one.")
    status: str = Field(description="active, paused, rate_limited, expired, needs_reauth or disabled.")
    is_active: bool
    paused: bool
    expires_at: float | None = Field(description="Unix seconds; null: does not expire.")
    rate_limit_status: str | None = Field(description="The provider's word, or `limited`; null: none yet.")
    rate_limit_reset: float | None = Field(description="Unix seconds.")
    windows: list[WindowView]
    rests: list[RestView] = Field(description="Why it, or one of its models, is passed by: one per reason.")
    share: int = Field(description="weight times tier: its part of the traffic, beside the others' shares.")
    sessions: SessionsView
    request_count: int
    error_count: int
    in_flight: int
    last_used_at: int | None
    created_at: int
    skipped_because: str | None = Field(description="Why a request would pass it by now; null: it would not.")


class PartView(BaseModel):
    """Of the counts of the whole; those that are left out are none."""

    model: str | None = Field(description="null: the one that was asked for.")
    requests: int = Field(default=1, description="How many calls this is the sum of.")
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0


class UsageView(BaseModel):
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None = Field(description="Of the output.")
    service_tier: str | None = Field(description="standard, priority, batch …: the provider's word.")
    tool_calls: int | None = Field(description="Tools that the answer called; null: none was seen.")
    other: dict[str, int | str] = Field(
        description="What few answers say: `web_search_requests`, `web_fetch_requests`, "
        "`code_execution_requests`, `speed`, `inference_geo`, `audio_input_tokens`, `audio_output_tokens`, "
        "`image_input_tokens`, `image_output_tokens`."
    )
    parts: list[PartView] | None = Field(
        default=None,
        description="What of it other models used (an advisor's, one that served in the place of another), "
        "or a compaction: each is priced by itself. null: there is no such part.",
    )


class RequestView(BaseModel):
    id: str
    created_at: int
    dialect: str
    provider: str
    method: str
    path: str
    caller: str
    client_address: str
    user_agent: str
    client: str | None = Field(
        description="The program, by a short name out of its user agent, such as `claude-code`."
    )
    session: str | None
    project: str | None = Field(description="What the client said in `x-headgate-project`.")
    model: str | None
    stream: bool
    account: str | None = Field(description="That served; null: none did.")
    failed_account: str | None = Field(
        default=None,
        description="Asked for with `account`: it failed an attempt under this name and did not serve.",
    )
    status: int = Field(description="What the client saw; 499: it left before the end.")
    error: str | None
    first_byte_ms: float | None
    duration_ms: float
    overhead_ms: float = Field(description="Our own part of the time to the first byte.")
    request_bytes: int
    response_bytes: int
    usage: UsageView | None = Field(description="null: the provider stated none.")
    cost_usd: float | None = Field(
        description="By the prices of that day; null: no price is known, or the provider told no usage."
    )
    provider_request_id: str | None
    conversation: str | None = Field(
        default=None,
        description="That it belongs to (`/api/conversations`); null: to none that is known.",
    )


class AttemptView(BaseModel):
    account: str
    started_ms: float = Field(description="After the request began.")
    duration_ms: float
    status: int | None
    error: str | None
    reason: str | None
    rests_until: float | None = Field(description="Unix seconds until which the account rests since.")


class SkippedView(BaseModel):
    account: str
    reason: str


class RequestDetail(RequestView):
    waited_ms: float = Field(
        description="For its turn in the queue, and between attempts: neither their time nor our own. "
        "Of one that was asked of nobody, with the time in which it came."
    )
    branch: int | None = Field(description="Of its conversation; 0 is the one that began with it.")
    relation: str | None = Field(description="`start`, `next`, `retry`, `fork` or `compaction`.")
    continues: str | None = Field(description="The request before it in its conversation.")
    attempts: list[AttemptView]
    skipped: list[SkippedView] | None = Field(
        description="Where nobody could be asked, or all that could be are limited: why, of the first few "
        "accounts; empty: there was none. null: otherwise."
    )
    skipped_more: int = Field(description="How many accounts `skipped` leaves out.")
    bodies: BodiesView = Field(description="What is kept of what was said: `storage.bodies`.")


def account_view(
    living: LivingAccount, skipped_because: str | None, *, running: Running | None, now: float
) -> AccountView:
    """`skipped_because` as the pool explains it, `running` as it counts."""
    account, status = living.account, str(living.status)
    return AccountView(
        name=account.name,
        provider=account.provider,
        kind=str(account.kind),
        email=account.email,
        domain=account.domain,
        tier=account.tier,
        account_tier=account.tier,
        priority=account.priority,
        weight=account.weight,
        concurrency=account.concurrency,
        models=list(account.models),
        base_url=account.base_url,
        origin=account.origin,
        proxy=None if account.proxy is None else shown(account.proxy),
        status=status,
        is_active=status == "active",
        paused=account.paused,
        expires_at=None if account.credential is None else account.credential.expires_at,
        rate_limit_status=living.rate_limit_status,
        rate_limit_reset=living.rate_limit_reset,
        windows=window_views(living),
        rests=rest_views(living, now),
        share=living.share,
        sessions=sessions_view(running),
        request_count=living.past_requests + living.request_count,
        error_count=living.past_errors + living.error_count,
        in_flight=living.in_flight,
        last_used_at=round(living.last_used_at * 1000) if living.last_used_at else None,
        created_at=round(account.created_at * 1000),
        skipped_because=skipped_because,
    )


def request_view(row: dict[str, Any]) -> RequestView:
    """From a row of `RequestStore`."""
    return RequestView(**_request_fields(row))


def request_detail(row: dict[str, Any], bodies: BodiesView) -> RequestDetail:
    """From a row of `RequestStore.get`."""
    attempts = [AttemptView(**{**one, "rests_until": one["until_at"]}) for one in row["attempts"]]
    skipped = row["skipped"] or {"accounts": None, "more": 0}
    return RequestDetail(
        **_request_fields(row),
        waited_ms=_waited_ms(row),
        branch=row["branch"],
        relation=row["relation"],
        continues=row["continues"],
        attempts=attempts,
        skipped=skipped["accounts"],
        skipped_more=skipped["more"],
        bodies=bodies,
    )


def _waited_ms(row: dict[str, Any]) -> float:
    """Kept nowhere: attempts have their beginnings."""
    ends: float = row["duration_ms"]
    attempts = row["attempts"]
    if attempts:
        ends = attempts[-1]["started_ms"] - sum(one["duration_ms"] for one in attempts[:-1])
    own: float = row["overhead_ms"]
    return round(max(0.0, ends - own), 3)


def _request_fields(row: dict[str, Any]) -> dict[str, Any]:
    usage = {field: row[field] for field in UsageView.model_fields if field not in ("other", "parts")}
    is_stated = any(value is not None for value in usage.values())
    others = row["other_usage"] or {}
    usage["other"] = {name: told for name, told in others.items() if name != "parts"}
    usage["parts"] = others.get("parts")
    known = {field: row[field] for field in RequestView.model_fields if field in row}
    cost = None if row["nano_usd"] is None else row["nano_usd"] / NANO
    told = usage if is_stated else None
    return {**known, "created_at": row["timestamp"], "usage": told, "cost_usd": cost}
