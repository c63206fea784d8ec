"""The five-hour windows of accounts: the one that runs, those before it, what is to be expected; and days."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from headgate.admin import analytics_sums as sums
from headgate.admin.analytics_sums import add_up, grouped
from headgate.admin.limit_views import WindowView, window_views
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import of_account
from headgate.admin.token_usage_forms import (
    AccountSeriesPoint,
    AccountsUsage,
    AccountUse,
    CurrentUsage,
    DailyUsage,
    DayUse,
    Expected,
    ModelUse,
    PastWindow,
    TimeSeries,
    UsePoint,
    Window,
)
from headgate.errors import InvalidRequest, NotFound
from headgate.pool.living import LivingAccount
from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import Row, Span, cover, finest_kept, sums_by
from headgate.storage.rollup_tables import DAY, HOUR, KINDS, MINUTE

router = APIRouter(prefix="/api/token-usage", tags=["requests"])

WINDOW_MINUTES = 300
_MINUTE_MS, _DAY_MS = MINUTE * 1000, DAY * 1000
_WINDOW_MS = WINDOW_MINUTES * _MINUTE_MS
_PROVIDERS_WINDOW = "5h"
_SERIES_MS = 15 * _MINUTE_MS
_MOST_POINTS = 1_500

Account = Annotated[str | None, Query(description="Its name, or one that it had.")]
AccountId = Annotated[str | None, Query(alias="accountId", description="The same; also its number.")]
OfModel = Annotated[str | None, Query(description="The model asked for.")]
WindowMinutes = Annotated[int, Query(ge=1, le=2_880, description="How long the window is.")]
Days = Annotated[int, Query(ge=1, le=400, description="Today among them.")]
Aggregate = Annotated[bool, Query(description="Without the models.")]
Hours = Annotated[int, Query(ge=1, le=168, description="How far back the points go.")]
Interval = Annotated[int, Query(ge=1, le=1_440, description="Minutes from point to point.")]
History = Annotated[int, Query(ge=0, le=100, description="How many windows before the one that runs.")]


@router.get("/current", operation_id="current_token_usage")
async def current(
    owner: ItsOwner,
    account: Account = None,
    account_id: AccountId = None,
    window: WindowMinutes = WINDOW_MINUTES,
    model: OfModel = None,
) -> CurrentUsage:
    """Of five hours: those that the provider counts, where it says when they end; else the last ones. Of
    another `window` the last ones."""
    wanted, living = await _asked(owner, account or account_id, model)
    now = _now(owner)
    shape = _shape(living, now, window)
    rows = await _counted(owner, wanted, shape[0], None, now)
    assert wanted.account is not None
    return CurrentUsage(
        account=wanted.account,
        model=model,
        window_minutes=window,
        window=_window(rows, *shape, now, _stated(living, now) if window == WINDOW_MINUTES else None),
    )


@router.get("/daily", operation_id="daily_token_usage")
async def daily(
    owner: ItsOwner,
    account: Account = None,
    account_id: AccountId = None,
    days: Days = 30,
    model: OfModel = None,
    aggregate: Aggregate = False,
) -> DailyUsage:
    """By days of UTC, with the models of each."""
    wanted, _ = await _asked(owner, account or account_id, model)
    today = _now(owner) // _DAY_MS * _DAY_MS
    first = today - (days - 1) * _DAY_MS
    async with owner.database.read() as connection:
        rows = await sums_by(connection, [Span(DAY, first)], wanted, ("model",), bucket_ms=_DAY_MS)
    by_day = grouped(rows, lambda row: row["bucket"])
    found = []
    for at in range(first, today + 1, _DAY_MS):
        its = by_day.get(at, [])
        models = [
            ModelUse(model=row["model"] or None, **_used([row]))
            for row in sorted(its, key=lambda row: (-row["requests"], row["model"]))
        ]
        date = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
        found.append(DayUse(date=date, starts_at=at, models=None if aggregate else models, **_used(its)))
    assert wanted.account is not None
    return DailyUsage(account=wanted.account, usage=found)


@router.get("/time-series", operation_id="token_usage_time_series")
async def time_series(
    owner: ItsOwner,
    account: Account = None,
    account_id: AccountId = None,
    window: Hours = 5,
    interval: Interval = 5,
    history: History = 8,
    model: OfModel = None,
) -> TimeSeries:
    """How it came to be what it is: points of some hours, the window that runs with what is to be expected of
    it, and those before it."""
    wanted, living = await _asked(owner, account or account_id, model)
    now, step = _now(owner), interval * _MINUTE_MS
    since = (now - window * HOUR * 1000) // step * step
    resolution = finest_kept(since, now)
    if interval * MINUTE % resolution:
        raise InvalidRequest(
            f"interval: must be {resolution // MINUTE} or a multiple of it for so long a window",
            hint="Minutes are kept for three days.",
        )
    if (now - since) // step > _MOST_POINTS:
        raise InvalidRequest(
            f"interval: makes more than {_MOST_POINTS} points", hint="Take a longer one, or a shorter window."
        )
    span = Span(max(one for one in (MINUTE, HOUR, DAY) if interval * MINUTE % one == 0), since)
    async with owner.database.read() as connection:
        rows = await sums_by(connection, [span], wanted, (), bucket_ms=step)
    shape = _shape(living, now, WINDOW_MINUTES)
    running = await _counted(owner, wanted, shape[0], None, now)
    past = await _past(owner, wanted, shape[0], history, now)
    assert wanted.account is not None
    return TimeSeries(
        account=wanted.account,
        interval_ms=step,
        time_series=[*_points(rows, range(since, now + 1, step))],
        window=_window(running, *shape, now, _stated(living, now)),
        history=past,
    )


@router.get("/accounts", operation_id="accounts_token_usage")
async def accounts(owner: ItsOwner) -> AccountsUsage:
    """The window that runs of every account that there is."""
    now = _now(owner)
    since = (now - _WINDOW_MS) // _SERIES_MS * _SERIES_MS
    async with owner.database.read() as connection:
        # By minutes: the provider's windows begin and end where they will.
        rows = await sums_by(
            connection, [Span(MINUTE, since)], RequestFilter(), ("account_id",), bucket_ms=_MINUTE_MS
        )
    by_account = grouped(rows, lambda row: row["account_id"])
    found = []
    for living in owner.pool.living.values():
        its = by_account.get(living.id, [])
        start, end, source = _shape(living, now, WINDOW_MINUTES)
        by_quarter = grouped(its, lambda row: row["bucket"] // _SERIES_MS * _SERIES_MS)
        found.append(
            AccountUse(
                account=living.account.name,
                provider=living.account.provider,
                domain=living.account.domain,
                last_used_at=round(living.last_used_at * 1000) if living.last_used_at else None,
                window=_window(
                    [row for row in its if row["bucket"] >= start],
                    *(start, end, source, now, _stated(living, now)),
                ),
                series=[
                    AccountSeriesPoint(
                        at=at, total_tokens=sums.tokens(add_up(by_quarter.get(at, ())))["total_tokens"]
                    )
                    for at in range(since, now + 1, _SERIES_MS)
                ],
            )
        )
    found.sort(key=lambda one: (-one.window.total_tokens, one.account))
    return AccountsUsage(window_minutes=WINDOW_MINUTES, accounts=found)


# ---- of one account ------------------------------------------------------------------------------------


async def _asked(
    owner: Owner, name: str | None, model: str | None
) -> tuple[RequestFilter, LivingAccount | None]:
    """With its name of today; an account that is gone has none but its history."""
    if not name:
        raise InvalidRequest("account: is missing", hint="Name it: ?account=NAME, or ?accountId=NAME.")
    living = owner.pool.by_name(name)
    if living is None and name.isascii() and name.isdigit() and len(name) < 19:
        living = owner.pool.by_id(int(name))
    wanted = await of_account(
        owner, RequestFilter(account=name if living is None else living.account.name, model=model)
    )
    if wanted.account_id is not None:
        return wanted, owner.pool.by_id(wanted.account_id)
    if not await owner.requests.had_name(name):
        raise NotFound(f"There is no account named {name}", hint="headgate account list shows all.")
    return wanted, None


def _now(owner: Owner) -> int:
    return round(owner.clock.now() * 1000)


def _stated(living: LivingAccount | None, now: int) -> WindowView | None:
    """The window that runs, as the provider stated it."""
    if living is None:
        return None
    for view in window_views(living):
        if view.name == _PROVIDERS_WINDOW and view.resets_at is not None and view.resets_at * 1000 > now:
            return view
    return None


def _shape(living: LivingAccount | None, now: int, minutes: int) -> tuple[int, int, str]:
    """Where it begins, by whole minutes, where it ends, and who says so."""
    stated = _stated(living, now) if minutes == WINDOW_MINUTES else None
    if stated is None or stated.resets_at is None:
        return (now - minutes * _MINUTE_MS) // _MINUTE_MS * _MINUTE_MS, now, "trailing"
    end = round(stated.resets_at * 1000)
    return (min(now, end - _WINDOW_MS)) // _MINUTE_MS * _MINUTE_MS, end, "provider"


async def _counted(owner: Owner, wanted: RequestFilter, since: int, until: int | None, now: int) -> list[Row]:
    async with owner.database.read() as connection:
        return await sums_by(connection, cover(since, until, finest_kept(since, now)), wanted, ())


async def _past(owner: Owner, wanted: RequestFilter, start: int, count: int, now: int) -> list[PastWindow]:
    """As many as there are minutes for; what is further back is in hours, and not known so exactly."""
    found = []
    for place in range(count):
        until = start - place * _WINDOW_MS
        since = until - _WINDOW_MS
        step = finest_kept(since, now) * 1000
        rows = await _counted(owner, wanted, since // step * step, until // step * step, now)
        found.append(PastWindow(starts_at=since, ends_at=until, **_used(rows)))
    return found


def _points(rows: list[Row], at: Iterable[int]) -> Iterable[UsePoint]:
    by_bucket = grouped(rows, lambda row: row["bucket"])
    so_far = 0
    for moment in at:
        used = _used(by_bucket.get(moment, ()))
        so_far += used["total_tokens"]
        yield UsePoint(at=moment, cumulative_tokens=so_far, **used)


def _window(
    rows: Iterable[Row], start: int, end: int, source: str, now: int, stated: WindowView | None
) -> Window:
    rows = list(rows)
    used, all_ = _used(rows), add_up(rows)
    minutes = (now - start) / _MINUTE_MS
    expected = None
    if end > now and minutes >= 1:
        pace = used["total_tokens"] / minutes
        expected = Expected(
            tokens_per_minute=round(pace, 1), total_tokens=round(pace * (end - start) / _MINUTE_MS)
        )
    by_kind = {kind: all_[kind] for kind in KINDS}
    by_kind["other"] = all_["requests"] - sum(by_kind.values())
    return Window(
        **used,
        starts_at=start,
        ends_at=end,
        source=source,
        by_kind=by_kind,
        expected=expected,
        utilization=None if stated is None else stated.utilization,
        forecast=None if stated is None else stated.forecast,
    )


def _used(rows: Iterable[Row]) -> dict[str, Any]:
    all_ = add_up(rows)
    return {
        **sums.tokens(all_),
        "requests": all_["requests"],
        "errors": all_["errors"],
        "cost_usd": sums.cost(all_),
    }
