"""How an account is chosen: `GET` and `PUT /api/strategy`."""

import logging

from fastapi import APIRouter
from pydantic import BaseModel

from headgate.admin.account_forms import Form
from headgate.admin.owner import ItsOwner
from headgate.config.settings import STRATEGIES, check_strategy, near_strategy
from headgate.errors import SettingsError

SETTING = "routing.strategy"

_log = logging.getLogger("headgate.config")

router = APIRouter(prefix="/api/strategy", tags=["strategy"])


class StrategyView(BaseModel):
    strategy: str
    available: list[str] = list(STRATEGIES)
    persisted: bool = True
    """False: in force, but the settings file could not be written."""
    warning: str | None = None
    """Why it will not be in force at the next start; None: it will."""


class NewStrategy(Form):
    strategy: str


@router.get("", operation_id="get_strategy")
async def get_strategy(owner: ItsOwner) -> StrategyView:
    return StrategyView(strategy=owner.pool.strategy)


@router.put("", operation_id="set_strategy")
async def set_strategy(owner: ItsOwner, wanted: NewStrategy) -> StrategyView:
    """In force from the next request on. A name that is none changes nothing (400)."""
    try:
        check_strategy(wanted.strategy)
    except ValueError as error:
        near = near_strategy(wanted.strategy.lower())
        mend = f"headgate strategy set {near}" if near else "headgate strategy set with one of those names"
        raise SettingsError(str(error), hint=mend) from error
    before = owner.pool.strategy
    outcome = await owner.change_settings({SETTING: wanted.strategy}, action="strategy.set")
    if (now := owner.settings.routing.strategy) != before:
        _log.info("Strategy: %s → %s", before, now)
    return StrategyView(
        strategy=owner.settings.routing.strategy,
        persisted=outcome.changed.is_saved,
        warning=" ".join(outcome.warnings) or None,
    )
