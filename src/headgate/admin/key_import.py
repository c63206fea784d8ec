"""Client keys that were given out elsewhere and go on being used: `POST /api/import/keys`.

Their digests join the setting `access.api_keys`; the list in the file keeps what stands in it.
"""

import logging
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from ruamel.yaml.error import YAMLError

from headgate.admin.account_forms import Form, Label
from headgate.admin.owner import ItsOwner, Owner
from headgate.config.loading import Loaded
from headgate.config.other_names import NAMES
from headgate.config.saving import written
from headgate.errors import SettingsError

SETTING = "access.api_keys"
_NAMES = (SETTING, *(theirs for theirs, ours in NAMES.items() if ours == SETTING))
"""As the file may call it; the first that is there counts."""
_MOST_KEYS = 10_000

_log = logging.getLogger("headgate.config")

router = APIRouter(prefix="/api", tags=["keys"])


class CarriedKey(Form):
    name: Label = Field(description="For the answer; the gateway names a key by its digest.")
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class KeyImport(Form):
    keys: list[CarriedKey] = Field(max_length=_MOST_KEYS)
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class ImportedKeys(BaseModel):
    """What was done, or would be."""

    added: list[str]
    unchanged: list[str]
    persisted: bool = Field(description="False: in force, but the settings file could not be written.")
    warnings: list[str]
    dry_run: bool


@router.post("/import/keys", operation_id="import_keys")
async def import_keys(owner: ItsOwner, wanted: KeyImport) -> ImportedKeys:
    """All of them or, when the settings cannot take them, none (400). One that is known stays as it is."""
    async with owner.editing:
        return await _import(owner, wanted)


async def _import(owner: Owner, wanted: KeyImport) -> ImportedKeys:
    known = set(owner.settings.access.api_keys)
    new = {one.digest: one.name for one in wanted.keys if one.digest not in known}
    answer = ImportedKeys(
        added=list(new.values()),
        unchanged=[one.name for one in wanted.keys if one.digest in known],
        persisted=True,
        warnings=[],
        dry_run=wanted.dry_run,
    )
    if new and not wanted.dry_run:
        longer = [*entries(owner.configuration.loaded), *new]
        outcome = await owner.change_settings({SETTING: longer}, action="key.import")
        answer.persisted, answer.warnings = outcome.changed.is_saved, outcome.warnings
        _log.info("Client keys imported: %d", len(new))
    return answer


def entries(loaded: Loaded) -> list[Any]:
    """As they stand in the file, which may name other files; as digests where another source gives them.

    Raises SettingsError where the list cannot be written anew without a loss.
    """
    source = loaded.source_of(SETTING)
    if source is None or source.position is None:
        return list(loaded.settings.access.api_keys)
    try:
        found = next((list_ for name in _NAMES if (list_ := written(loaded.path, name)) is not None), None)
    except (YAMLError, OSError, UnicodeDecodeError):
        found = None
    if any("${" in str(entry) for entry in (found if isinstance(found, list) else [found])):
        raise SettingsError(
            f"{SETTING} takes entries from the environment, and would lose them if it were written anew",
            hint=f"Change {SETTING} in {loaded.path} yourself; an import's --dry-run --json names digests.",
        )
    return found if isinstance(found, list) else list(loaded.settings.access.api_keys)
