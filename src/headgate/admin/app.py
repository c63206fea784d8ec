"""The owner's FastAPI app: its routes, the door in front of them, the shape of their failures.

`ROUTES` lists every route once; the test that no route stands open unlisted walks it.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from headgate.admin import (
    accounts,
    audit,
    client_keys,
    config,
    data,
    encryption,
    health,
    key_import,
    logs,
    management,
    management_files,
    management_forms,
    management_keys,
    management_reports,
    management_settings,
    probing,
    problems,
    requests,
    session,
    sign_in,
    status,
    strategy,
    tokens,
    transfer,
    usage,
)
from headgate.admin.doors import OPEN_PATHS, Doors
from headgate.admin.entrance import Entrance
from headgate.admin.outside import Outside
from headgate.admin.owner import Owner
from headgate.admin.sessions import COOKIE
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
    requests.router,
    usage.router,
    logs.router,
    data.router,
    audit.router,
    encryption.router,
    management.router,
    management_settings.router,
    management_files.router,
    management_files.json_router,
    management_keys.router,
    management_reports.router,
)
_WAYS_IN = {
    "adminKey": {"type": "http", "scheme": "bearer", "description": "The admin key."},
    "dashboardKey": {"type": "apiKey", "in": "header", "name": "X-Dashboard-Key"},
    "managementKey": {"type": "apiKey", "in": "header", "name": "X-Management-Key"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Of POST /api/session; changes want its csrf_token as X-Headgate-CSRF, too.",
    },
}
ROUTES: Sequence[BaseRoute] = [route for router in ROUTERS for route in router.routes]


def build_app(*, owner: Owner) -> FastAPI:
    """The ASGI app for everything that is not a provider's route."""
    app = FastAPI(
        title="Headgate",
        summary="The owner's side of the gateway.",
        version=owner.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problems.DOCUMENTED_PROBLEMS,
    )
    entrance = Entrance(lambda: _admin_key(owner), owner.clock)
    app.state.owner, app.state.entrance = owner, entrance
    owner.on_new_key.append(entrance.sessions.end_all)
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, ROUTES, wrong_path=lambda path: _wrong_name(owner, path))
    app.add_middleware(WholeTexts)
    app.add_middleware(Doors, entrance=entrance)
    # The last one added comes first. FastAPI itself adds the route of the document.
    app.add_middleware(Outside, routes=[*ROUTES, *app.routes], clock=owner.clock)
    _document_problems(app)
    return app


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


def _document_problems(app: FastAPI) -> None:
    """Put the shape of failures into the OpenAPI document, and take out FastAPI's own 422 and its shape."""
    plain_document = app.openapi

    def document() -> dict[str, Any]:
        whole = plain_document()
        schemas = whole.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(problems.schemas())
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        whole["components"]["securitySchemes"] = _WAYS_IN
        whole["security"] = [{name: []} for name in _WAYS_IN]
        for path, methods in whole["paths"].items():
            for operation in methods.values():
                operation["responses"].pop("422", None)
                if path in OPEN_PATHS:
                    operation["security"] = []
        return whole

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it
