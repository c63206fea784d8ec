"""The forms of `GET /api/analytics`. Rates are from 0 to 1, null where there is nothing to divide by."""

from typing import Literal

from pydantic import BaseModel, Field

Range = Literal["1h", "6h", "24h", "7d", "30d", "90d"]
Mode = Literal["normal", "cumulative"]
GroupBy = Literal["account", "key", "model", "provider", "client", "project"]
Section = Literal[
    "overview",
    "totals",
    "time_series",
    "token_breakdown",
    "cost_by_model",
    "model_performance",
    "cache",
    "account_performance",
    "errors",
]


class Meta(BaseModel):
    range: Range | None = Field(description="null: `from` and `to` were asked for.")
    from_at: int = Field(description="Where the first bucket begins: all sections begin there.")
    to_at: int = Field(description="Where the last bucket ends, which may still be going on.")
    bucket_ms: int
    buckets: int
    mode: Mode
    group_by: GroupBy | None
    computed_at: int


class Tokens(BaseModel):
    input_tokens: int = Field(default=0, description="Those that were not in the provider's prompt cache.")
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    total_tokens: int = 0


class Counts(Tokens):
    requests: int = 0
    errors: int = Field(
        default=0, description="With a status of 400 or more, or failed after their first byte."
    )
    cost_usd: float | None = Field(default=0.0, description="null: none of the requests has a price.")
    unpriced_requests: int = Field(default=0, description="That used something without a price.")
    success_rate: float | None = None
    error_rate: float | None = None
    cache_hit_rate: float | None = Field(
        default=None, description="Of the tokens that were sent, those that came from the prompt cache."
    )
    duration_avg_ms: float | None = Field(default=None, description="To the end of the answer, of all.")


class Times(BaseModel):
    """Of requests that went well, from histograms: good to about a tenth."""

    duration_p50_ms: float | None = None
    duration_p95_ms: float | None = None
    duration_p99_ms: float | None = None
    first_byte_p50_ms: float | None = None
    first_byte_p95_ms: float | None = None
    first_byte_p99_ms: float | None = None
    tokens_per_second: float | None = Field(
        default=None,
        description="Output over the time in which it came: of a stream from its first byte on.",
    )
    tokens_per_second_p50: float | None = None
    tokens_per_second_p95: float | None = None


class Overview(Counts, Times):
    active_accounts: int = Field(description="That answered, or failed to.")
    active_keys: int
    models: int
    requests_per_minute: float = Field(description="Over the time until now.")
    saved_usd: float | None = Field(description="By the prompt cache; null: no model has a price.")


class Totals(Counts):
    success: int
    status_2xx: int = Field(description="Those below 400; what failed after its first byte among them.")
    status_4xx: int = Field(description="429 and 499 among them.")
    status_429: int
    status_499: int = Field(description="The client left before the end.")
    status_5xx: int
    by_kind: dict[str, int] = Field(description="inference, count_tokens, embeddings, other.")


class Point(Counts):
    at: int = Field(description="Where the bucket begins: Unix milliseconds.")
    group: str | None = Field(default=None, description="With `group_by`; `(other)`: all but the largest.")
    tokens_per_second: float | None = None


class GroupSums(Counts, Times):
    name: str | None = Field(description="null: requests without one.")


class ModelCost(BaseModel):
    model: str | None
    cost_usd: float | None
    requests: int
    total_tokens: int
    unpriced_requests: int


class ModelPerformance(Times):
    model: str | None
    requests: int
    errors: int
    error_rate: float | None
    duration_avg_ms: float | None


class AccountPerformance(Counts, Times):
    account: str | None = Field(description="Its name of today, or its last one; null: none answered.")


class ModelCache(BaseModel):
    model: str | None
    cache_hit_rate: float | None
    cache_read_tokens: int
    cache_write_tokens: int
    saved_usd: float | None


class Cache(BaseModel):
    """Reading from a provider's prompt cache costs less than sending the same anew; writing into it more."""

    cache_hit_rate: float | None
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    saved_usd: float | None = Field(
        description="By today's prices, with what writing cost (that for five minutes) taken off; below 0: "
        "it cost more than it saved. null: no model has a price."
    )
    by_model: list[ModelCache]


class ErrorSums(BaseModel):
    status: int
    error: str | None = Field(description="Our stable code, or the provider's error type.")
    requests: int
    share: float = Field(description="Of all that went wrong.")


class Analytics(BaseModel):
    """Lists have the largest first. Sections that were not asked for are left out."""

    meta: Meta
    overview: Overview | None = None
    totals: Totals | None = None
    time_series: list[Point] | None = Field(default=None, description="Every bucket, also empty ones.")
    token_breakdown: Tokens | None = None
    cost_by_model: list[ModelCost] | None = None
    model_performance: list[ModelPerformance] | None = None
    cache: Cache | None = None
    account_performance: list[AccountPerformance] | None = None
    errors: list[ErrorSums] | None = None
    groups: list[GroupSums] | None = Field(default=None, description="With `group_by`.")
