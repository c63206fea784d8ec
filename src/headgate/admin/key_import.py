"""Client keys that were given out elsewhere and go on being used: `POST /api/import/keys`.

One that had a name there is a key of the database under that name; the digests of the others join the setting
`access.api_keys`, whose list in the file keeps what stands in it.
"""

import logging
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from ruamel.yaml.error import YAMLError

from headgate.access.callers import digest_of_entry
from headgate.access.client_keys import ClientKey, name_of
from headgate.admin.account_forms import Form, Label
from headgate.admin.client_key_forms import Labels
from headgate.admin.owner import ItsOwner, Owner
from headgate.config.loading import Loaded
from headgate.config.other_names import NAMES
from headgate.config.saving import written
from headgate.errors import SettingsError
from headgate.sources.names import Names

SETTING = "access.api_keys"
_NAMES = (SETTING, *(theirs for theirs, ours in NAMES.items() if ours == SETTING))
"""As the file may call it; the first that is there counts."""
_MOST_KEYS = 10_000

_log = logging.getLogger("headgate.config")

router = APIRouter(prefix="/api", tags=["keys"])


class CarriedKey(Form):
    name: Label = Field(description="For the answer.")
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    named: bool = Field(
        default=False,
        description="It becomes a key of this name, as `POST /api/keys` makes one. Else its digest joins "
        "access.api_keys, and the gateway names it by that.",
    )
    accounts: Labels = Field(default_factory=list, description="Of a named one: as in `POST /api/keys`.")


class KeyImport(Form):
    keys: list[CarriedKey] = Field(max_length=_MOST_KEYS)
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class ImportedKeys(BaseModel):
    """What was done, or would be."""

    added: list[str]
    unchanged: list[str]
    kept: dict[str, str] = Field(description="By name: why it is here and stays closed.")
    here_as: dict[str, str] = Field(description="By name: what it is called here.")
    persisted: bool = Field(description="False: in force, but the settings file could not be written.")
    warnings: list[str]
    dry_run: bool


@router.post("/import/keys", operation_id="import_keys")
async def import_keys(owner: ItsOwner, wanted: KeyImport) -> ImportedKeys:
    """All of them or, when the settings cannot take them, none (400). One that is known stays as it is."""
    async with owner.editing:
        return await _import(owner, wanted)


async def _import(owner: Owner, wanted: KeyImport) -> ImportedKeys:
    answer = ImportedKeys(
        added=[], unchanged=[], kept={}, here_as={}, persisted=True, warnings=[], dry_run=wanted.dry_run
    )
    known = set(owner.settings.access.api_keys)
    unnamed = {one.digest: one.name for one in wanted.keys if not one.named}
    answer.here_as = {name: name_of(digest_of_entry(text)) for text, name in unnamed.items()}
    answer.added = [name for text, name in unnamed.items() if text not in known]
    answer.unchanged = [one.name for one in wanted.keys if not one.named and one.digest in known]
    if answer.added and not wanted.dry_run:
        new = [text for text in unnamed if text not in known]
        longer = [*entries(owner.configuration.loaded), *new]
        outcome = await owner.change_settings({SETTING: longer}, action="key.import")
        answer.persisted, answer.warnings = outcome.changed.is_saved, outcome.warnings
        _log.info("Client keys imported: %d", len(new))
    if named := [one for one in wanted.keys if one.named]:
        async with owner.changing:
            await _take_named(owner, named, answer)
    return answer


async def _take_named(owner: Owner, keys: Iterable[CarriedKey], answer: ImportedKeys) -> None:
    rows = await owner.client_keys.list()
    by_digest = {row.digest: row for row in rows}
    replaced = {row.previous_digest: row for row in rows if row.previous_digest is not None}
    here = [*owner.ring.keys, *(row for row in rows if row.revoked_at is None)]
    names = Names(key.name for key in here)
    new: dict[bytes, tuple[str, list[str]]] = {}
    for one in keys:
        digest = digest_of_entry(one.digest)
        row = by_digest.get(digest) or replaced.get(digest)
        found = owner.ring.find(digest, owner.clock.now())
        if digest in new:
            answer.unchanged.append(one.name)
            answer.here_as[one.name] = new[digest][0]
        elif row is not None and (row.revoked_at is not None or (found is None and row.digest != digest)):
            word = "revoked" if row.revoked_at is not None else "replaced"
            answer.kept[one.name] = f"it was {word} here, as {row.name}, and stays closed"
        elif found is not None:
            answer.unchanged.append(one.name)
            answer.here_as[one.name] = found.name
        else:
            name = _kept_name(row) or names.name_for(one.name, otherwise="key")
            new[digest] = name, one.accounts
            answer.added.append(one.name)
            answer.here_as[one.name] = name
    if new and not answer.dry_run:
        await _open(owner, new)


async def _open(owner: Owner, new: dict[bytes, tuple[str, list[str]]]) -> None:
    names = [name for name, _ in new.values()]
    change = owner.change(
        "key.import",
        names[0] if len(names) == 1 else "client keys",
        after={name: {"accounts": accounts} for name, accounts in new.values()},
        line=f"Client keys imported: {', '.join(names)}",
        log=_log,
    )
    rows = {digest: (name, {"accounts": accounts}) for digest, (name, accounts) in new.items()}
    taken = await owner.client_keys.take(rows, change=change)
    owner.ring.put({key.id: key for key in taken})
    owner.forget_heads()


def _kept_name(row: ClientKey | None) -> str | None:
    """Its owner's word for a key that stood in the settings."""
    return row.name if row is not None and row.name != name_of(row.digest) else None


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
