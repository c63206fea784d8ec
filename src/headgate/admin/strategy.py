"""How an account is chosen: `GET` and `PUT /api/strategy`."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from headgate.admin.owner import ItsOwner
from headgate.config.settings import STRATEGIES

router = APIRouter(prefix="/api/strategy", tags=["strategy"])


class StrategyView(BaseModel):
    strategy: str
    available: list[str] = list(STRATEGIES)
    persisted: bool = True
    """False: in force, but the settings file could not be written."""


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
        persisted = await owner.save_setting("routing.strategy", owner.pool.strategy)
    return StrategyView(strategy=owner.pool.strategy, persisted=persisted)
