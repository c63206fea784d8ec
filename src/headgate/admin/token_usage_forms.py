"""The forms of `GET /api/token-usage/…`. Every request counts, whatever it was for, failed ones too."""

from pydantic import BaseModel, Field

from headgate.admin.analytics_forms import Tokens
from headgate.admin.limit_views import ForecastView


class Used(Tokens):
    requests: int = 0
    errors: int = 0
    cost_usd: float | None = Field(default=0.0, description="null: none of the requests has a price.")


class Expected(BaseModel):
    """If requests come as they have come in this window."""

    tokens_per_minute: float
    total_tokens: int = Field(description="When the window ends.")


class Window(Used):
    """By whole minutes: the one in which it begins counts."""

    starts_at: int
    ends_at: int = Field(description="A trailing window ends now.")
    source: str = Field(description="provider: it said when the window resets; trailing: the time until now.")
    by_kind: dict[str, int] = Field(description="Requests: inference, count_tokens, embeddings, other.")
    expected: Expected | None = Field(description="null: a trailing window, or it has just begun.")
    utilization: float | None = Field(description="0 to 1, as the provider stated it last.")
    forecast: ForecastView | None = Field(description="Of the utilization; null: the provider states none.")


class CurrentUsage(BaseModel):
    account: str
    model: str | None = Field(description="That was asked for; null: all.")
    window_minutes: int
    window: Window


class ModelUse(Used):
    model: str | None


class DayUse(Used):
    date: str = Field(description="In UTC.")
    starts_at: int
    models: list[ModelUse] | None = Field(description="null: `aggregate` was asked for.")


class DailyUsage(BaseModel):
    account: str
    usage: list[DayUse] = Field(description="Every day, the oldest first.")


class UsePoint(Used):
    at: int
    cumulative_tokens: int = Field(description="Since the first point.")


class PastWindow(Used):
    starts_at: int
    ends_at: int


class TimeSeries(BaseModel):
    account: str
    interval_ms: int
    time_series: list[UsePoint] = Field(description="Every interval, also empty ones.")
    window: Window = Field(description="The one that runs.")
    history: list[PastWindow] = Field(description="Those before it, the newest first.")


class AccountSeriesPoint(BaseModel):
    at: int
    total_tokens: int


class AccountUse(BaseModel):
    account: str
    provider: str
    domain: str | None
    last_used_at: int | None
    window: Window
    series: list[AccountSeriesPoint] = Field(description="Five hours by fifteen minutes.")


class AccountsUsage(BaseModel):
    window_minutes: int
    accounts: list[AccountUse] = Field(description="Those that used most first.")
