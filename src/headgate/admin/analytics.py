"""What happened, in sums: `GET /api/analytics`. Read from the roll-ups, so a long time costs no more than a
short one."""

import logging
from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Query

from headgate.admin.analytics_forms import Analytics, GroupBy, Meta, Mode, Range, Section
from headgate.admin.analytics_sections import COLUMNS, Found
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.request_choice import Narrowed, OfSession, of_account
from headgate.errors import InvalidRequest, StorageError
from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import (
    Dimension,
    Row,
    Span,
    count_keys,
    cover,
    failures_by,
    finest_kept,
    sums_by,
    times_by,
)
from headgate.storage.rollup_tables import DAY, HOUR, MINUTE

_log = logging.getLogger("headgate.analytics")

router = APIRouter(prefix="/api/analytics", tags=["requests"])

_RANGES: dict[Range, tuple[int, int]] = {
    "1h": (HOUR, MINUTE),
    "6h": (6 * HOUR, 5 * MINUTE),
    "24h": (DAY, HOUR),
    "7d": (7 * DAY, HOUR),
    "30d": (30 * DAY, DAY),
    "90d": (90 * DAY, DAY),
}
"""Seconds of the whole and of a bucket."""

_MOST_BUCKETS = 400
_BUCKETS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY)
"""What a bucket of a time of one's own may be: the first that makes no more than that of them."""

_BY_ACCOUNT = frozenset({"overview", "account_performance"})
_BY_MODEL = frozenset({"overview", "cost_by_model", "model_performance", "cache"})
_TIMED = frozenset({"overview", "model_performance", "account_performance", "groups"})
"""Which sections need what."""

Outcome = Annotated[Literal["success", "error"] | None, Query(description="Only what went well, or wrong.")]
TheRange = Annotated[Range, Query(description="The time until now.")]
From = Annotated[
    int | None,
    Query(alias="from", ge=0, le=10**14, description="Unix milliseconds, in the place of `range`."),
]
To = Annotated[
    int | None, Query(alias="to", ge=0, le=10**14, description="With `from`; left out: until now.")
]
TheMode = Annotated[Mode, Query(description="cumulative: the time series adds up as it goes.")]
Grouped = Annotated[
    GroupBy | None, Query(description="The time series once for each of the largest, and `groups` of all.")
]
Sections = Annotated[
    str | None,
    Query(max_length=300, description="Only these, separated by commas; left out: all of them."),
]


@router.get("", operation_id="analytics", response_model_exclude_unset=True)
async def analytics(
    owner: ItsOwner,
    narrowed: Narrowed,
    range: TheRange = "24h",
    from_ms: From = None,
    to_ms: To = None,
    session: OfSession = None,
    status: Outcome = None,
    mode: TheMode = "normal",
    group_by: Grouped = None,
    sections: Sections = None,
) -> Analytics:
    """Requests, errors, tokens, money and times, by time, model and account. Times begin and end with whole
    minutes, hours or days, which `meta` tells; what a request belongs to is when it began."""
    now = round(owner.clock.now() * 1000)
    wanted_sections = _sections(sections)
    since, until, bucket = time_of(range, from_ms, to_ms, now)
    meta = Meta(
        range=None if from_ms is not None else range,
        from_at=since,
        to_at=until,
        bucket_ms=bucket,
        buckets=(until - since) // bucket,
        mode=mode,
        group_by=group_by,
        computed_at=now,
    )
    asked = replace(narrowed, session=session, status=status)
    try:
        found = await find(owner, asked, meta, wanted_sections, now)
    except StorageError as error:
        _log.error("Analytics error: %s", error.message)
        raise StorageError(f"Failed to fetch analytics data: {error.message}", hint=error.hint) from error
    parts = {name: getattr(found, name)() for name in wanted_sections}
    if group_by is not None:
        parts["groups"] = found.groups()
    return Analytics(meta=meta, **parts)


def _sections(wanted: str | None) -> Collection[str]:
    all_ = get_args(Section)
    if wanted is None:
        return all_
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in all_:
            raise InvalidRequest(f"sections: there is no {name}", hint=f"There are {', '.join(all_)}.")
    return list(dict.fromkeys(names))


def time_of(range: Range, from_ms: int | None, to_ms: int | None, now: int) -> tuple[int, int, int]:
    """Where it begins and ends, and how long a bucket is: Unix milliseconds, whole buckets."""
    if from_ms is None:
        if to_ms is not None:
            raise InvalidRequest("to: is sent without `from`", hint="Send both, or `range` alone.")
        seconds, bucket = _RANGES[range]
        step = bucket * 1000
        return (now - seconds * 1000) // step * step, (now // step + 1) * step, step
    end = max(now, from_ms + 1) if to_ms is None else to_ms
    if end <= from_ms:
        raise InvalidRequest("to: must be later than `from`", hint="Both are Unix milliseconds.")
    end = min(end, max(now, from_ms) + DAY * 1000)  # of the future there is nothing to be shown
    for bucket in _BUCKETS:
        step = bucket * 1000
        since, until = from_ms // step * step, -(-end // step) * step
        # Asked of where it begins: a quarter of an hour may lie just behind what the minutes reach.
        if bucket >= finest_kept(since, now) and (until - since) // step <= _MOST_BUCKETS:
            break
    return since, until, step


async def find(owner: Owner, asked: RequestFilter, meta: Meta, sections: Collection[str], now: int) -> Found:
    """No more than the sections ask for, each kind of row with one query for each resolution, all of one
    moment."""
    wanted = await of_account(owner, asked)
    spans = cover(meta.from_at, meta.to_at, finest_kept(meta.from_at, now))
    asked_for = {*sections, *(["groups"] if meta.group_by is not None else [])}
    of_group = _columns(meta.group_by)
    counted: list[Row] = []
    timed: list[Row] = []
    group_sums: list[Row] = []
    group_times: list[Row] = []
    failures: list[Row] = []
    series: list[Row] = []
    series_times: list[Row] = []
    keys = 0
    async with owner.database.read() as connection:
        if asked_for - {"time_series", "errors", "groups"}:
            by = _needed(asked_for & _BY_ACCOUNT, asked_for & _BY_MODEL)
            counted = await sums_by(connection, spans, wanted, by)
        if asked_for & (_TIMED - {"groups"}):
            by = _needed(asked_for & {"account_performance"}, asked_for & {"model_performance"})
            timed = await times_by(connection, spans, wanted, by)
        if "groups" in asked_for:
            # By themselves: told apart by account and model as well, clients and projects are many rows.
            group_sums = await sums_by(connection, spans, wanted, of_group)
            group_times = await times_by(connection, spans, wanted, of_group)
        if asked_for & {"totals", "errors"}:
            failures = await failures_by(connection, spans, wanted)
        if "overview" in asked_for:
            keys = await count_keys(connection, spans, wanted)
        if "time_series" in asked_for:
            bucket = meta.bucket_ms
            resolution = max(one for one in (MINUTE, HOUR, DAY) if bucket % (one * 1000) == 0)
            line = [Span(resolution, meta.from_at, meta.to_at)]
            series = await sums_by(connection, line, wanted, of_group, bucket_ms=bucket)
            series_times = await times_by(
                connection, line, wanted, of_group, bucket_ms=bucket, has_buckets=False
            )
    return Found(owner, meta, counted, timed, group_sums, group_times, failures, keys, series, series_times)


def _needed(accounts: Collection[str], models: Collection[str]) -> tuple[Dimension, ...]:
    """Fewer columns are fewer groups, and faster."""
    by: tuple[Dimension, ...] = ("account_id", "account") if accounts else ()
    return (*by, "model") if models else by


def _columns(by: GroupBy | None) -> tuple[Dimension, ...]:
    if by is None:
        return ()
    if by == "account":
        return ("account_id", "account")
    return (COLUMNS[by],)
