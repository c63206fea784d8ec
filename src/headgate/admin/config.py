"""The settings, shown and changed while the gateway runs: `/api/config`."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, RootModel

from headgate.admin.owner import ItsOwner
from headgate.config.shown import SettingView, shown

router = APIRouter(prefix="/api/config", tags=["config"])


class ConfigView(BaseModel):
    path: str = Field(description="The settings file.")
    exists: bool
    settings: list[SettingView] = Field(description="In the order of the table; secrets are masked.")
    warnings: list[str]
    failure: str | None = Field(description="Why the newest settings are not in force; null: they are.")
    unsaved: list[str] = Field(description="In force in this process only: the file cannot be written.")


class NewValues(RootModel[dict[str, Any]]):
    """Settings by path, each with its new value: `{"routing.strategy": "weighted"}`."""


class ChangeView(BaseModel):
    """What came of a change."""

    changed: list[str] = Field(description="Settings that are others now.")
    persisted: bool = Field(description="False: in force, but the settings file could not be written.")
    needs_restart: list[str] = Field(description="Settings of the request that wait for a restart.")
    warnings: list[str] = Field(description="Why a value will not last, and the like.")


class ReloadView(BaseModel):
    changed: list[str] = Field(description="Settings that are others now.")
    needs_restart: list[str] = Field(description="Settings that wait for a restart.")
    warnings: list[str]


@router.get("", operation_id="get_config")
async def get_config(owner: ItsOwner) -> ConfigView:
    """What is in force, and where each value comes from."""
    configuration = owner.configuration
    loaded = configuration.loaded
    return ConfigView(
        path=str(loaded.path),
        exists=loaded.path.exists(),
        settings=list(shown(loaded, configuration.waiting)),
        warnings=list(loaded.warnings),
        failure=configuration.failure.message if configuration.failure else None,
        unsaved=list(configuration.unsaved),
    )


@router.put("", operation_id="change_config")
async def change_config(owner: ItsOwner, wanted: NewValues) -> ChangeView:
    """All of it or, when anything is wrong, nothing (400). Written to the file with its comments kept."""
    outcome = await owner.change_settings(wanted.root)
    return ChangeView(
        changed=list(outcome.swap.changed),
        persisted=outcome.changed.is_saved,
        needs_restart=list(outcome.changed.needs_restart),
        warnings=outcome.warnings,
    )


@router.post("/reload", operation_id="reload_config")
async def reload_config(owner: ItsOwner) -> ReloadView:
    """Load file, `.env` and secrets once more. When anything is wrong the old settings stay (400)."""
    swap = await owner.reload_settings()
    return ReloadView(
        changed=list(swap.changed),
        needs_restart=list(swap.waiting),
        warnings=list(owner.configuration.loaded.warnings),
    )
