"""Single settings in the forms of another gateway: `{"value": …}` under `/v0/management/NAME`."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from headgate.admin.management_forms import PREFIX, AnyContentType, Done, done
from headgate.admin.owner import ItsOwner, Owner
from headgate.config import proxies
from headgate.config.settings import Settings, check_strategy
from headgate.config.shown import MASK
from headgate.errors import InvalidRequest, NotOffered
from headgate.moving.cliproxyapi import OUR_STRATEGIES

router = APIRouter(prefix=PREFIX, tags=["management"], route_class=AnyContentType)

_MOST_RETRIES = 99
"""`retry.attempts` counts the first try as well, and takes 100."""


class Switch(BaseModel):
    value: StrictBool


class Number(BaseModel):
    value: Annotated[StrictInt, Field(ge=0, le=_MOST_RETRIES)]


class Text(BaseModel):
    value: Annotated[StrictStr, Field(max_length=2048)]


class RoutingStrategy(BaseModel):
    strategy: str


class Debug(BaseModel):
    debug: bool


class LoggingToFile(BaseModel):
    logging_to_file: bool = Field(serialization_alias="logging-to-file")


class UsageStatistics(BaseModel):
    usage_statistics_enabled: bool = Field(serialization_alias="usage-statistics-enabled")


class RequestRetry(BaseModel):
    request_retry: int = Field(
        serialization_alias="request-retry", description="Tries after the first: `retry.attempts` less one."
    )


class ProxyUrl(BaseModel):
    proxy_url: str = Field(serialization_alias="proxy-url", description="Without its credentials.")


_SINGLE: dict[str, type[BaseModel]] = {
    "debug": Debug,
    "logging_to_file": LoggingToFile,
    "usage_statistics_enabled": UsageStatistics,
    "request_retry": RequestRetry,
    "proxy_url": ProxyUrl,
}


class Current(ProxyUrl, RequestRetry, UsageStatistics, LoggingToFile, Debug):
    """What the other gateway has too, by its names."""

    routing: RoutingStrategy


def current(settings: Settings) -> Current:
    proxy = settings.upstream.proxy
    return Current(
        debug=settings.log.level == "debug",
        logging_to_file=bool(settings.log.file),
        usage_statistics_enabled=True,
        request_retry=settings.retry.attempts - 1,
        proxy_url="" if proxy is None else proxies.shown(proxy.get_secret_value()),
        routing=RoutingStrategy(strategy=settings.routing.strategy),
    )


async def _current(owner: ItsOwner) -> Current:
    return current(owner.settings)


for _name, _view in _SINGLE.items():
    router.add_api_route(
        f"/{_name.replace('_', '-')}",
        _current,
        methods=["GET"],
        operation_id=f"management_{_name}",
        response_model=_view,
    )


async def _set(owner: Owner, path: str, value: Any, *, is_so: bool = False) -> Done:
    """`is_so`: nothing is to be done."""
    return Done() if is_so else done(await owner.change_settings({path: value}))


@router.put("/debug", operation_id="set_management_debug")
@router.patch("/debug", operation_id="patch_management_debug")
async def set_debug(owner: ItsOwner, wanted: Switch) -> Done:
    """`log.level`: on is `debug`, off is `info`; a level that says less than that stays."""
    is_debug = owner.settings.log.level == "debug"
    level = "debug" if wanted.value else "info"
    return await _set(owner, "log.level", level, is_so=is_debug is wanted.value)


@router.put("/logging-to-file", operation_id="set_management_logging_to_file")
@router.patch("/logging-to-file", operation_id="patch_management_logging_to_file")
async def set_logging_to_file(owner: ItsOwner, wanted: Switch) -> Done:
    """`log.file`: on is the usual file, or the one that is set."""
    is_on = bool(owner.settings.log.file)
    return await _set(owner, "log.file", "default" if wanted.value else "", is_so=is_on is wanted.value)


@router.put("/usage-statistics-enabled", operation_id="set_management_usage_statistics_enabled")
@router.patch("/usage-statistics-enabled", operation_id="patch_management_usage_statistics_enabled")
async def set_usage_statistics(wanted: Switch) -> Done:
    """They are always on."""
    if not wanted.value:
        raise NotOffered(
            "Requests are always recorded: usage statistics cannot be turned off",
            hint="`headgate history clear` takes records away.",
        )
    return Done()


@router.put("/request-retry", operation_id="set_management_request_retry")
@router.patch("/request-retry", operation_id="patch_management_request_retry")
async def set_request_retry(owner: ItsOwner, wanted: Number) -> Done:
    """`retry.attempts`, which counts the first try as well."""
    return await _set(owner, "retry.attempts", wanted.value + 1)


@router.put("/proxy-url", operation_id="set_management_proxy_url")
@router.patch("/proxy-url", operation_id="patch_management_proxy_url")
async def set_proxy_url(owner: ItsOwner, wanted: Text) -> Done:
    """`upstream.proxy`; an empty text takes it away, `direct` and `none` forbid any."""
    if MASK in wanted.value:
        raise InvalidRequest(
            f"The address has {MASK} where its credentials stood: it was shown without them",
            hint="Send the whole address.",
        )
    value = wanted.value.strip()
    return await _set(owner, "upstream.proxy", {"": None, "none": proxies.DIRECT}.get(value.lower(), value))


@router.delete("/proxy-url", operation_id="delete_management_proxy_url")
async def delete_proxy_url(owner: ItsOwner) -> Done:
    return await _set(owner, "upstream.proxy", None, is_so=owner.settings.upstream.proxy is None)


@router.get("/routing/strategy", operation_id="management_routing_strategy")
async def get_strategy(owner: ItsOwner) -> RoutingStrategy:
    """By our name, whichever it was set by."""
    return RoutingStrategy(strategy=owner.pool.strategy)


@router.put("/routing/strategy", operation_id="set_management_routing_strategy")
@router.patch("/routing/strategy", operation_id="patch_management_routing_strategy")
async def set_strategy(owner: ItsOwner, wanted: Text) -> Done:
    """A name of the other gateway, or one of ours."""
    word = wanted.value.strip().lower()
    try:
        strategy = check_strategy(OUR_STRATEGIES.get(word, word))
    except ValueError as error:
        raise InvalidRequest(str(error), hint="`headgate strategy get` lists them.") from error
    return await _set(owner, "routing.strategy", strategy)
