"""What the routes under `/v0/management` have in common: bodies, answers, and what is not offered there.

They are those of another gateway, in its forms, for the scripts of who comes from it. Failures have our form.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from headgate.admin.owner import ChangeOutcome
from headgate.errors import HeadgateError, NotOffered

PREFIX = "/v0/management"

_IN_SETTINGS = "PUT /api/config and `headgate config set` change what Headgate has of it."
_IN_ACCOUNTS = "`headgate account add` and /api/accounts keep provider keys."
_SIGN_IN = "`headgate account add NAME --oauth`, or GET /oauth/authorize."

_NOT_OFFERED: tuple[tuple[str, str, str], ...] = (
    ("latest-version", "Headgate asks nobody about new versions", "`headgate version` says what runs."),
    (r"plugins?(-store)?(/.*)?", "Headgate has no plugins", ""),
    (
        r"usage-queue|api-key-usage|usage/.+",
        "requests are recorded in the database",
        "GET /api/usage sums them.",
    ),
    (r"request-(error-logs|log|log-by-id)(/.*)?", "requests are recorded, not logged", "GET /api/requests"),
    (
        r"error-logs-max-files|logs-max-total-size-mb",
        "log.max_bytes and log.backups say it here",
        _IN_SETTINGS,
    ),
    (r"max-retry-(credentials|interval)", "every account that can serve is asked", _IN_SETTINGS),
    (r"ws-auth|force-model-prefix|quota-exceeded(/.*)?", "Headgate has no such switch", ""),
    (r".+-api-key|openai-compatibility|vertex/.+", "keys of providers are accounts here", _IN_ACCOUNTS),
    (r"oauth-(excluded-models|model-alias|request-scoped-errors)", "no such rules are kept here", ""),
    (r"model-definitions(/.*)?", "models are asked of their provider", ""),
    (r".+-auth-url|get-auth-status|oauth-(session|callback)", "signing in is another route here", _SIGN_IN),
    (r"auth-files/(models|fields)", "an account says it", "`headgate account show NAME`, or upload it anew."),
    (r"api-call", "Headgate fetches no address for anybody", "`headgate account test NAME` asks a provider."),
    (r"reset-quota", "a rest is ended by account", "`headgate account resume NAME`"),
    (r"ampcode(/.*)?", "Headgate has nothing of it", ""),
)
"""Names that the other gateway has, and why not here."""


class Done(BaseModel):
    """`status` is all that the other gateway says."""

    status: Literal["ok"] = "ok"
    persisted: bool = Field(
        default=True, description="False: in force, but the settings file could not be written."
    )
    warnings: list[str] = Field(default_factory=list, description="Why it will not last, and the like.")


def done(outcome: ChangeOutcome) -> Done:
    return Done(persisted=outcome.changed.is_saved, warnings=outcome.warnings)


def not_offered(path: str) -> HeadgateError | None:
    """Why a path below the prefix leads nowhere, for one that the other gateway has."""
    name = path.removeprefix(PREFIX + "/")
    for pattern, why, instead in _NOT_OFFERED if name != path else ():
        if re.fullmatch(pattern, name):
            return NotOffered(f"{path} is not offered: {why}", hint=instead)
    return None


class AnyContentType(APIRoute):
    """Bodies are JSON, whatever their header says: `curl -d` is understood there as well.

    A web page cannot use that: what opens these routes is a header that no form sends.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            headers = [one for one in request.scope["headers"] if one[0] != b"content-type"]
            headers.append((b"content-type", b"application/json"))
            return await handle(Request({**request.scope, "headers": headers}, request.receive))

        return handle_json
