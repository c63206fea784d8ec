"""The owner's FastAPI app: its routes, the door in front of them, the shape of their failures.

`ROUTES` lists every route once; the test that no route stands open unlisted walks it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from headgate.admin import (
    accounts,
    analytics,
    audit,
    bodies,
    client_keys,
    config,
    conversations,
    data,
    document,
    encryption,
    export,
    health,
    key_import,
    logs,
    management,
    management_files,
    management_forms,
    management_keys,
    management_reports,
    management_settings,
    metrics,
    prices,
    probing,
    problems,
    prometheus,
    requests,
    session,
    sign_in,
    stats,
    status,
    strategy,
    token_usage,
    tokens,
    transfer,
    usage,
)
from headgate.admin.doors import Doors
from headgate.admin.entrance import Entrance
from headgate.admin.live import Live
from headgate.admin.outside import Outside
from headgate.admin.owner import Owner
from headgate.admin.texts import WholeTexts
from headgate.errors import HeadgateError

ROUTERS = (
    health.router,
    session.router,
    status.router,
    accounts.router,
    probing.router,
    sign_in.router,
    tokens.router,
    transfer.router,
    client_keys.router,
    key_import.router,
    strategy.router,
    config.router,
    export.router,  # before `/api/requests/{id}`
    requests.router,
    bodies.router,
    conversations.router,
    usage.router,
    analytics.router,
    stats.router,
    token_usage.router,
    prices.router,
    metrics.router,
    prometheus.router,
    logs.router,
    data.router,
    audit.router,
    encryption.router,
    document.router,
    management.router,
    management_settings.router,
    management_files.router,
    management_files.json_router,
    management_keys.router,
    management_reports.router,
)
ROUTES: Sequence[BaseRoute] = [route for router in ROUTERS for route in router.routes]


def build_app(*, owner: Owner) -> FastAPI:
    """The ASGI app for everything that is not a provider's route."""
    app = FastAPI(
        title="Headgate",
        summary="The owner's side of the gateway.",
        version=owner.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # a route of ours
        redirect_slashes=False,
    )
    entrance = Entrance(lambda: _admin_key(owner), owner.clock)
    app.state.owner, app.state.entrance = owner, entrance
    app.state.latest_sums = metrics.LatestSums(owner)
    app.state.live = Live(owner)
    owner.on_new_key.append(entrance.sessions.end_all)
    # As they are: `include_router` makes each anew for this app, at the first request that comes (70 ms).
    app.router.routes.extend(ROUTES)
    problems.install(app, ROUTES, wrong_path=lambda path: _wrong_name(owner, path))
    app.add_middleware(WholeTexts)
    app.add_middleware(Doors, entrance=entrance)
    app.add_middleware(Outside, routes=ROUTES, clock=owner.clock)  # the last one added comes first
    app.openapi = lambda: openapi_document(owner.version)  # type: ignore[method-assign]  # as FastAPI's own docs do
    return app


@cache
def openapi_document(version: str) -> dict[str, Any]:
    """Of all that the owner may ask: no gateway has to run for it."""
    return document.document_of(ROUTES, version)


def _admin_key(owner: Owner) -> str | None:
    key = owner.settings.admin.key
    return key.get_secret_value() if key is not None else None


def _wrong_name(owner: Owner, path: str) -> HeadgateError | None:
    """A path that leads nowhere because of a name that no account can have, such as `a/b`, or because another
    gateway has it."""
    if (why := management_forms.not_offered(path)) is not None:
        return why
    below = path.removeprefix(accounts.router.prefix + "/")
    if below == path or owner.pool.by_name(below.partition("/")[0]) is not None:
        return None
    return accounts.unknown(owner, below)
