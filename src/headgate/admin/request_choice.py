"""Which requests are meant: the parameters of a list, of a live view and of an export are the same."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query

from headgate.admin.owner import ItsOwner, Owner
from headgate.storage.account_history import is_of
from headgate.storage.request_filter import RequestFilter

Status = Annotated[str | None, Query(description="`error`, `success`, or an HTTP status such as 429.")]
OfAccount = Annotated[str | None, Query(description="The account that answered.")]
AskedAccount = Annotated[
    str | None, Query(description="The account that answered, or failed an attempt (`failed_account`).")
]
OfKey = Annotated[str | None, Query(description="The client key, by the name that the requests show.")]
OfModel = Annotated[str | None, Query(description="The model asked for.")]
OfProvider = Annotated[str | None, Query(description="The provider.")]
OfClient = Annotated[
    str | None,
    Query(description="The client's program, such as `claude-code`; empty: requests that name none."),
]
OfProject = Annotated[
    str | None,
    Query(description="What the client said in `x-headgate-project`; empty: requests that say nothing."),
]
OfSession = Annotated[
    str | None, Query(min_length=1, description="The session, by the id that the requests show.")
]
WithError = Annotated[str | None, Query(description="The `error` that requests show.")]
Since = Annotated[int | None, Query(ge=0, le=10**15, description="Unix milliseconds.")]
Until = Annotated[int | None, Query(ge=0, le=10**15, description="Unix milliseconds: what began earlier.")]


async def _narrowed(
    account: OfAccount = None,
    key: OfKey = None,
    model: OfModel = None,
    provider: OfProvider = None,
    client: OfClient = None,
    project: OfProject = None,
) -> RequestFilter:
    return RequestFilter(
        account=account, caller=key, model=model, provider=provider, client=client, project=project
    )


Narrowed = Annotated[RequestFilter, Depends(_narrowed)]
"""Parameter of a route that answers from sums: what the sums tell apart."""


async def _chosen(
    owner: ItsOwner,
    status: Status = None,
    account: AskedAccount = None,
    key: OfKey = None,
    model: OfModel = None,
    provider: OfProvider = None,
    client: OfClient = None,
    project: OfProject = None,
    session: OfSession = None,
    error: WithError = None,
    since: Since = None,
    until: Until = None,
) -> RequestFilter:
    wanted = RequestFilter(
        status=status,
        account=account,
        caller=key,
        model=model,
        provider=provider,
        client=client,
        project=project,
        session=session,
        error=error,
        since_ms=since,
        until_ms=until,
    )
    return await of_account(owner, wanted)


Chosen = Annotated[RequestFilter, Depends(_chosen)]
"""Parameter of a route: all of the above."""


async def of_account(owner: Owner, wanted: RequestFilter) -> RequestFilter:
    """With what an account did under its other names; any of them names it, unless another has it now."""
    if (name := wanted.account) is None:
        return wanted
    living = owner.pool.by_name(name)
    if living is None:
        ids = await owner.requests.had_name(name)
        found = [one for one in map(owner.pool.by_id, sorted(ids)) if one is not None]
        if len(found) != 1 or ids != {found[0].id}:
            return wanted  # nobody's any more, or two had it
        living = found[0]
    names = await owner.requests.former_names(living.id, but=living.account.name)
    return replace(wanted, account=living.account.name, account_id=living.id, former_names=names)


def matches(row: dict[str, Any], wanted: RequestFilter) -> bool:
    """The choice of a page, applied to one row that has just been recorded."""
    has_failed = row["status"] >= 400 or row["error"] is not None
    if wanted.status == "error":
        fits = has_failed
    elif wanted.status == "success":
        fits = not has_failed
    else:
        fits = wanted.status is None or row["status"] == int(wanted.status)
    is_from_account = wanted.account is None or (
        is_of(wanted, row["account"], row["account_id"]) or row["failed_account"] is not None
    )
    equal = (
        (wanted.caller, row["caller"]),
        (wanted.model, row["model"]),
        (wanted.provider, row["provider"]),
        (wanted.error, row["error"]),
        (wanted.client, row["client"] or ""),
        (wanted.project, row["project"] or ""),
        (wanted.session, row["session"]),
    )
    is_equal = all(one is None or one == other for one, other in equal)
    is_recent = wanted.since_ms is None or row["timestamp"] >= wanted.since_ms
    is_before = wanted.until_ms is None or row["timestamp"] < wanted.until_ms
    return fits and is_from_account and is_equal and is_recent and is_before
