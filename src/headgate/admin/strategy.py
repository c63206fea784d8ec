"""How an account is chosen: `GET` and `PUT /api/strategy`."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from headgate.admin.owner import ItsOwner, Owner
from headgate.config.settings import STRATEGIES

SETTING = "routing.strategy"

router = APIRouter(prefix="/api/strategy", tags=["strategy"])


class StrategyView(BaseModel):
    strategy: str
    available: list[str] = list(STRATEGIES)
    persisted: bool = True
    """False: in force, but the settings file could not be written."""
    warning: str | None = None
    """Why it will not be in force at the next start; None: it will."""


class NewStrategy(BaseModel):
    model_config = ConfigDict(extra="forbid")

    strategy: str


@router.get("", operation_id="get_strategy")
async def get_strategy(owner: ItsOwner) -> StrategyView:
    return StrategyView(strategy=owner.pool.strategy)


@router.put("", operation_id="set_strategy")
async def set_strategy(owner: ItsOwner, wanted: NewStrategy) -> StrategyView:
    """In force from the next request on. A name that is none changes nothing (400)."""
    async with owner.changing:
        owner.pool.strategy = wanted.strategy
        persisted = await owner.save_setting(SETTING, owner.pool.strategy)
        warning = _warning(owner, persisted=persisted)
    return StrategyView(strategy=owner.pool.strategy, persisted=persisted, warning=warning)


def _warning(owner: Owner, *, persisted: bool) -> str | None:
    wanted, at_start = owner.pool.strategy, owner.settings.routing.strategy
    source = owner.sources.get(SETTING)
    # What has a place in a file is the file's; anything else is stronger than the file.
    if source is not None and source.position is None and at_start != wanted:
        return (
            f"{source.description} overrides the settings file: the next start takes {at_start} again. "
            f"Take it away to keep {wanted}."
        )
    return None if persisted else "not saved: the settings file cannot be written"
