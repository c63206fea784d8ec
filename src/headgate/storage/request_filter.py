"""What is looked for in the history of requests, and how that is said to the database."""

from dataclasses import dataclass

import sqlalchemy as sa

from headgate.errors import InvalidRequest
from headgate.storage.bodies import has_words
from headgate.storage.schema import FAILED, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """What a page shows. All conditions hold together; None does not restrict."""

    status: str | int | None = None
    """`error`, `success`, or an HTTP status."""
    account: str | None = None
    """Of a page: that served, or was asked in vain. Of a sum: that served."""
    account_id: int | None = None
    """With `former_names`: also what this account did under those."""
    former_names: tuple[str, ...] = ()
    model: str | None = None
    caller: str | None = None
    provider: str | None = None
    client: str | None = None
    """The program, by its short name (`wire.user_agents`). Empty: those that said none; so is `project`."""
    project: str | None = None
    session: str | None = None
    error: str | None = None
    """The stable code, or the provider's word."""
    since_ms: int | None = None
    until_ms: int | None = None
    """That moment is not in it."""
    tokens: tuple[tuple[int, ...], ...] | None = None
    """What stands for words that its kept bodies have (`BodyStore.tokens`); by key, any of which."""


def served_by(wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    """The account's part of the conditions, for sums: a request counts for the account that served it."""
    if wanted.account is None:
        return []
    by_name = requests.c.account == wanted.account
    earlier = requests.c.account.in_(wanted.former_names) & (requests.c.account_id == wanted.account_id)
    return [sa.or_(by_name, earlier) if wanted.former_names else by_name]


def conditions(wanted: RequestFilter, *, has_outcome: bool = False) -> list[sa.ColumnElement[bool]]:
    """All but the account's part. `has_outcome`: whether it went wrong is settled (`outcomes`)."""
    found: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        found += _of_status(str(wanted.status), has_outcome=has_outcome)
    if wanted.model is not None:
        found.append(requests.c.model == wanted.model)
    if wanted.caller is not None:
        found.append(requests.c.caller == wanted.caller)
    if wanted.provider is not None:
        found.append(requests.c.provider == wanted.provider)
    for column, name in (("client", wanted.client), ("project", wanted.project), ("session", wanted.session)):
        if name is not None:
            found.append(requests.c[column] == name if name else requests.c[column].is_(None))
    if wanted.error is not None:
        found.append(requests.c.error == wanted.error)
        if not has_outcome:
            found.append(FAILED)  # it follows, and so their index can be used
    if wanted.since_ms is not None:
        found.append(requests.c.timestamp >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(requests.c.timestamp < wanted.until_ms)
    if wanted.tokens is not None:
        found.append(sa.or_(sa.false(), *(sa.and_(*has_words(of_key)) for of_key in wanted.tokens)))
    return found


def outcomes(status: str | int | None) -> tuple[bool, ...]:
    """Whether what is looked for went wrong; a 200 may have, after its first byte."""
    if status in ("error", "success"):
        return (status == "error",)
    return (True,) if status is not None and int(status) >= 400 else (False, True)


def _of_status(status: str, *, has_outcome: bool) -> list[sa.ColumnElement[bool]]:
    if status in ("error", "success"):
        went_wrong = FAILED if status == "error" else sa.not_(FAILED)
        return [] if has_outcome else [went_wrong]
    if not (status.isascii() and status.isdigit() and len(status) == 3):
        raise InvalidRequest(
            f"Invalid status: {status}", hint="Valid are `error`, `success` and a number such as 429."
        )
    exactly = requests.c.status == int(status)
    # Said of a failure though it follows: so the indexes of failures can be used.
    return [exactly] if has_outcome or int(status) < 400 else [exactly, FAILED]
