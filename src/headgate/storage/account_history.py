"""Which requests an account was asked for: those that it served, and those in which it only failed.

Each kind is read from an index of its own, in the order of a page, and no further than the page reaches:
what an account did a million times is found as fast as what it did once. Attempts bear the time of their
request for that (`LEFT` in the schema): only of those that did not serve, so the others cost nothing more.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter, conditions, outcomes
from headgate.storage.schema import LEFT, attempts, requests

Place = tuple[int, str]
"""Time and id of the last row seen."""

Row = dict[str, Any]

_PLACE = (requests.c.timestamp, requests.c.id)

_OUTCOMES = (False, True)
"""Whether the request went wrong: the second column of the index of attempts."""


async def page_of_account(
    connection: AsyncConnection, wanted: RequestFilter, limit: int, after: Place | None
) -> list[Row]:
    """The newest ones of `wanted.account`, each once; `failed_account`: its name, where it only failed."""
    found: dict[int, Row] = {}
    for query in queries(wanted, after):
        for row in (await connection.execute(query.limit(limit))).mappings():
            found.setdefault(row["seq"], dict(row))
    newest = sorted(found.values(), key=lambda row: (row["timestamp"], row["id"]), reverse=True)
    return newest[:limit]


async def mark_failed(connection: AsyncConnection, rows: list[Row], wanted: RequestFilter) -> None:
    """Put `failed_account` into rows, of which none is left out."""
    of_them = attempts.c.request_id.in_([row["id"] for row in rows])
    # The name is looked at here: in the query it would lead a planner to all that failed under it.
    query = sa.select(attempts.c.request_id, attempts.c.account, attempts.c.account_id).where(of_them, LEFT)
    failed = {
        row.request_id: row.account
        for row in await connection.execute(query)
        if is_of(wanted, row.account, row.account_id)
    }
    for row in rows:
        row["failed_account"] = failed.get(row["id"])


def is_of(wanted: RequestFilter, name: str | None, account_id: int | None) -> bool:
    """Whether that name, with that id, is the account looked for."""
    return any(name == its and id_then in (None, account_id) for its, id_then in names(wanted))


def names(wanted: RequestFilter) -> Iterator[tuple[str, int | None]]:
    """Under which names an account was asked; those that it has no more, with the id it had."""
    if wanted.account is not None:
        yield wanted.account, None
    for name in wanted.former_names:
        yield name, wanted.account_id


_both = attempts.join(requests, requests.c.id == attempts.c.request_id)


def queries(wanted: RequestFilter, after: Place | None) -> Iterator[sa.Select[Any]]:
    for name, account_id in names(wanted):
        served = sa.select(requests).where(_is_named(requests, name, account_id), *conditions(wanted))
        yield newest_first(served, after)
        for has_failed in outcomes(wanted.status):
            failed = (
                sa.select(requests, attempts.c.account.label("failed_account"))
                .select_from(_both)
                .where(_is_named(attempts, name, account_id), LEFT, attempts.c.request_failed == has_failed)
                .where(*conditions(wanted, has_outcome=True))
            )
            if wanted.since_ms is not None:
                failed = failed.where(attempts.c.request_at >= wanted.since_ms)
            if wanted.until_ms is not None:
                failed = failed.where(attempts.c.request_at < wanted.until_ms)
            yield newest_first(failed, after, (attempts.c.request_at, attempts.c.request_id))


def _is_named(table: sa.Table, name: str, account_id: int | None) -> sa.ColumnElement[bool]:
    by_name = table.c.account == name
    return by_name if account_id is None else by_name & (table.c.account_id == account_id)


def newest_first(
    query: sa.Select[Any], after: Place | None, place: tuple[sa.Column[Any], ...] = _PLACE
) -> sa.Select[Any]:
    """A page's order, from where the last one ended; `place`: the columns that say where a row stands."""
    if after is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*map(sa.literal, after)))
    return query.order_by(*(column.desc() for column in place))


# ---- names ---------------------------------------------------------------------------------------


async def former_names(connection: AsyncConnection, account_id: int, *, but: str) -> tuple[str, ...]:
    """The other names under which an account has a history: a name is its own when the first or the
    last request under it was. Asks the indexes for a few rows per name, however long the history."""
    found, name = [], await _name_after(connection, None)
    while name is not None:
        if name != but and account_id in await had_name(connection, name):
            found.append(name)
        name = await _name_after(connection, name)
    return tuple(found)


async def had_name(connection: AsyncConnection, name: str) -> set[int]:
    """Ids of the accounts that had the name at an end of its history: as the one that served, or failed."""
    served = sa.select(requests.c.account_id).where(requests.c.account == name)
    found = await _ends(connection, served, requests.c.timestamp)
    for has_failed in _OUTCOMES:
        failed = sa.select(attempts.c.account_id).where(
            attempts.c.account == name, attempts.c.request_failed == has_failed, LEFT
        )
        found |= await _ends(connection, failed, attempts.c.request_at)
    return {one for one in found if one is not None}


async def _ends(
    connection: AsyncConnection, of_name: sa.Select[Any], time: sa.Column[int]
) -> set[int | None]:
    first = await connection.execute(of_name.order_by(time).limit(1))
    last = await connection.execute(of_name.order_by(time.desc()).limit(1))
    return {first.scalar(), last.scalar()}


async def _name_after(connection: AsyncConnection, name: str | None) -> str | None:
    """The next name in the history, in the order of the indexes."""
    of_requests = sa.select(sa.func.min(requests.c.account))
    of_attempts = sa.select(sa.func.min(attempts.c.account)).where(LEFT)
    if name is not None:
        of_requests = of_requests.where(requests.c.account > name)
        of_attempts = of_attempts.where(attempts.c.account > name)
    either = [(await connection.execute(query)).scalar() for query in (of_requests, of_attempts)]
    return min((one for one in either if one is not None), default=None)
