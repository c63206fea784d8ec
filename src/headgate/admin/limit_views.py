"""What the owner is shown of limits: quota windows with their forecast, rests, running conversations.

All times are Unix seconds, as providers state them.
"""

import math
from dataclasses import asdict

from pydantic import BaseModel, Field

from headgate.pool.living import LivingAccount
from headgate.pool.sessions import Running


class ForecastView(BaseModel):
    """How a window goes on if requests come as they do. Null: not before its reset, or nothing is known
    yet."""

    utilization: float | None = Field(
        description="Now, 0 to 1: what was sent since the last answer included."
    )
    source: str = Field(description="header: nothing was sent since; estimate: something was.")
    full_at: float | None = Field(description="When it will be full at the present rate.")
    full_at_earliest: float | None = Field(description="At the fastest of the rates that were seen in it.")
    full_at_latest: float | None = Field(description="At the slowest of them.")
    at_reset: float | None = Field(description="Utilisation to be expected when it resets.")


class WindowView(BaseModel):
    """One quota window as the provider stated it last."""

    name: str
    utilization: float | None = Field(description="0 to 1; null: not stated.")
    resets_at: float | None = Field(description="Unix seconds.")
    status: str | None = Field(description="The provider's word for this window.")
    remaining: int | None
    limit: int | None
    models: str | None = Field(description="Word in the names of the models that it counts; null: all.")
    source: str = Field(description="header or body: where the provider stated it.")
    seen_at: float = Field(description="When it was stated. Unix seconds.")
    forecast: ForecastView | None = Field(description="null: it refills all the time, or nothing is stated.")


class RestView(BaseModel):
    """Why the account, or one of its models, is passed by."""

    kind: str
    model: str | None = Field(description="null: the whole account.")
    until: float | None = Field(description="Unix seconds; null: until somebody acts.")
    since: float = Field(description="Unix seconds.")
    source: str = Field(description="header or body: the provider named the end; estimate: we did.")
    reason: str


class SessionsView(BaseModel):
    """The conversations that stay on an account."""

    count: int
    since: float | None = Field(description="When the first of them began. Unix seconds.")
    until: float | None = Field(description="When the last of them may go elsewhere. Unix seconds.")


def window_views(living: LivingAccount) -> list[WindowView]:
    forecasts = living.forecasts()
    views = []
    for window in living.windows:
        expected = forecasts.get(window.name)
        is_known = expected is not None and expected.utilization is not None
        views.append(
            WindowView(
                **{field: getattr(window, field) for field in WindowView.model_fields if field != "forecast"},
                forecast=ForecastView.model_validate(expected, from_attributes=True) if is_known else None,
            )
        )
    return views


def rest_views(living: LivingAccount, now: float) -> list[RestView]:
    return [
        RestView(
            kind=rest.fault.value,
            model=rest.model,
            until=None if math.isinf(rest.until) else rest.until,
            since=rest.since,
            source=rest.source,
            reason=rest.reason,
        )
        for rest in living.health.rests(now)
    ]


def sessions_view(running: Running | None) -> SessionsView:
    if running is None:
        return SessionsView(count=0, since=None, until=None)
    return SessionsView(**asdict(running))
