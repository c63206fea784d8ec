"""All settings at once, in the forms of another gateway: `/v0/management/config` and `config.yaml`."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from headgate.admin.management_forms import PREFIX
from headgate.admin.management_settings import Current, current
from headgate.admin.owner import ItsOwner
from headgate.config.masking import masked_text, shown_key, unmasked_text
from headgate.config.reading import SETTINGS_BYTES, read_bytes
from headgate.config.shown import shown
from headgate.errors import HeadgateError, InvalidRequest, NotFound, SettingsError, StorageError

_YAML = "application/yaml"
_SENT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {_YAML: {"schema": {"type": ["object", "null"]}}}}
}
"""null: nothing but comments."""

router = APIRouter(prefix=PREFIX, tags=["management"])


class WholeConfig(Current):
    """The other gateway's names, for its scripts, then everything by our own. Secrets are masked."""

    api_keys: list[str] = Field(
        serialization_alias="api-keys", description="How their digests begin, as in the records of requests."
    )
    headgate: dict[str, Any] = Field(description="Every setting by its name, as `GET /api/config` has it.")


class Replaced(BaseModel):
    """`ok` and `changed` are all that the other gateway says."""

    ok: Literal[True] = True
    changed: list[Literal["config"]] = ["config"]
    persisted: bool = Field(description="False: in force, but the settings file could not be written.")
    warnings: list[str]
    settings: list[str] = Field(description="Those that are others now.")
    needs_restart: list[str] = Field(description="Those that wait for a restart.")


@router.get("/config", operation_id="management_config")
async def get_config(owner: ItsOwner) -> WholeConfig:
    """What is in force."""
    configuration = owner.configuration
    return WholeConfig(
        **current(owner.settings).model_dump(),
        api_keys=[shown_key(digest) for digest in owner.settings.access.api_keys],
        headgate={one.path: one.value for one in shown(configuration.loaded, configuration.waiting)},
    )


@router.get("/config.yaml", operation_id="management_config_yaml", response_class=Response)
async def get_config_yaml(owner: ItsOwner) -> Response:
    """The settings file as it stands, comments too, with masks for secrets. `PUT` takes the masks back."""
    path = owner.configuration.loaded.path
    text = await asyncio.to_thread(_text_of, path)
    if text is None:
        raise NotFound(
            f"There is no settings file at {path}: the defaults and the environment are in force",
            hint="PUT makes one.",
        )
    masked = await asyncio.to_thread(masked_text, text)
    return Response(masked, media_type=_YAML, headers={"cache-control": "no-store"})


@router.put("/config.yaml", operation_id="replace_management_config_yaml", openapi_extra=_SENT)
async def put_config_yaml(owner: ItsOwner, request: Request) -> Replaced:
    """Another text in the file's place: all of it or, when anything is wrong, nothing (400)."""
    sent = (await request.body()).decode("utf-8-sig")  # its bytes were looked through at the door
    if not sent.strip():
        raise InvalidRequest(
            "The body is empty: keys and accounts would be gone with the settings",
            hint="To have the defaults, send a comment.",
        )
    async with owner.editing:
        there: str | None = None
        with suppress(HeadgateError):  # then masks stand for nothing, and the rest is taken all the same
            there = await asyncio.to_thread(_text_of, owner.configuration.loaded.path)
        text = await asyncio.to_thread(unmasked_text, sent, there)
        try:
            outcome = await owner.replace_settings(text)
        except SettingsError as error:
            raise SettingsError(f"Nothing was changed. {error.message}", hint=error.hint) from error
    return Replaced(
        settings=list(outcome.swap.changed),
        needs_restart=list(outcome.swap.waiting),
        persisted=outcome.changed.is_saved,
        warnings=outcome.warnings,
    )


def _text_of(path: Path) -> str | None:
    """None: there is no file."""
    try:
        return read_bytes(path, SETTINGS_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is no UTF-8 text, and cannot be shown", hint="PUT another text."
        ) from error
    except OSError as error:
        raise StorageError(
            f"The settings file cannot be read: {path}: {error.strerror}",
            hint="Give the user that runs the gateway the right to read it.",
        ) from error
