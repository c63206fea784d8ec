"""Settings changed by their owner: checked as a whole, written to the file, then loaded anew.

For a gateway that runs and for one that does not. What cannot be written, or what a stronger source hides,
holds as long as the process that it was said to.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headgate.config import environment, restart, table
from headgate.config.complaints import Complaint, names_below
from headgate.config.exposure import refuse_to_stand_open
from headgate.config.loading import Loaded, Origin
from headgate.config.other_names import ours
from headgate.config.saving import Before, save_settings, save_text
from headgate.config.settings import Settings
from headgate.config.shown import masked
from headgate.errors import SettingsError

_log = logging.getLogger("headgate.config")

_ACCOUNTS = "accounts"
_MEND = "`headgate config docs` lists every setting."
_NOT_SAVED = "not saved: the settings file cannot be written"


def _nothing_to_put_back() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a change."""

    loaded: Loaded
    """The settings as they are now, with what holds for this process only."""
    is_saved: bool
    needs_restart: tuple[str, ...]
    """Of the settings changed: those that a running gateway takes over at its next start."""
    warnings: tuple[str, ...]
    """Why a value will not last: a stronger source than the file, or a file that cannot be written."""
    put_back: Callable[[], None] = _nothing_to_put_back
    """Make the file what it was before, for settings that no gateway could take over."""


def change(
    origin: Origin, path: Path, changes: Mapping[str, Any], *, has_stored_keys: bool = True
) -> Changed:
    """`has_stored_keys`: client keys that the database keeps; who does not know leaves it to the start.

    Raises SettingsError for an unknown setting, a value that it cannot have, and for whatever else would be
    wrong with the settings then: nothing is written in that case."""
    changes = {ours(key): value for key, value in changes.items()}
    for key in changes:
        check_settable(key)
    changes = {key: _default_for_none(key, value) for key, value in changes.items()}
    wanted = origin.overridden({**origin.overrides, **changes}).load()
    has_key = has_stored_keys or bool(wanted.settings.access.api_keys)
    refuse_to_stand_open(wanted.settings, has_client_key=has_key)
    before = _before(path)
    is_saved = before is not None and save_settings(path, changes, before=before)
    put_back = before.put_back if before is not None and is_saved else _nothing_to_put_back
    try:
        return replace(_loaded_anew(origin, changes, wanted, is_saved=is_saved), put_back=put_back)
    except BaseException:
        put_back()
        raise


def replace_file(origin: Origin, path: Path, text: str, *, has_stored_keys: bool = True) -> Changed:
    """Another text in the file's place, with nothing kept of what was set while the process ran. Raises
    SettingsError for whatever is wrong in it; nothing is written in that case."""
    bare = origin.overridden({})
    wanted = bare.examine(text).or_raise()
    has_key = has_stored_keys or bool(wanted.settings.access.api_keys)
    refuse_to_stand_open(wanted.settings, has_client_key=has_key)
    before = _before(path)
    is_saved = before is not None and save_text(path, text, before=before)
    put_back = before.put_back if before is not None and is_saved else _nothing_to_put_back
    try:
        if is_saved:
            loaded, warnings = bare.load(), wanted.lasting
        else:
            kept = _differences(bare.load().settings, wanted.settings)
            loaded, warnings = bare.overridden(kept).load(), (_NOT_SAVED,)
    except BaseException:
        put_back()
        raise
    return Changed(loaded, is_saved, (), warnings, put_back)


def _differences(there: Settings, wanted: Settings) -> dict[str, Any]:
    """What has to be set for the one to become the other; lists and maps of sections as a whole."""
    paths = [row.path for row in table.rows() if row.variable and table.ANY_NAME not in row.path]
    both = [(path, table.value_at(there, path), table.value_at(wanted, path)) for path in paths]
    both.append(("providers", there.providers, wanted.providers))
    return {path: new for path, old, new in both if new != old}


def _before(path: Path) -> Before | None:
    """None, and a WARN line, for a file that cannot be read: then it cannot be changed either."""
    try:
        return Before(path)
    except OSError as error:
        _log.warning("%s cannot be changed: it %s", path, error.strerror)
        return None


def _loaded_anew(origin: Origin, changes: Mapping[str, Any], wanted: Loaded, *, is_saved: bool) -> Changed:
    others = {key: value for key, value in origin.overrides.items() if key not in changes}
    from_file = origin.overridden(others).load() if is_saved else None
    hidden = {
        key: value
        for key, value in changes.items()
        if from_file is None or not _are_same(from_file, wanted, key)
    }
    loaded = from_file if from_file and not hidden else origin.overridden({**others, **hidden}).load()
    needs_restart = tuple(key for key in changes if key in restart.KEPT)
    warnings = [_words_of_hidden(from_file, key) for key in hidden] if from_file else [_NOT_SAVED]
    warnings += [one.partition(" (")[0] for one in wanted.lasting if one.partition(" ")[0] in changes]
    return Changed(loaded, from_file is not None, needs_restart, tuple(warnings))


def mend_one(origin: Origin, path: Path, key: str, value: Any) -> tuple[Complaint, ...]:
    """One of several faults of a file is set right and written; what is still wrong then comes back.

    Nothing is written, and nothing comes back, where `change` is the way: nothing is wrong, the new value
    ends the last fault, or it is no help.
    """
    check_settable(key)
    value = _default_for_none(key, value)
    try:
        before = origin.examine().complaints
        left = origin.overridden({**origin.overrides, key: value}).examine().complaints if before else []
    except SettingsError:
        return ()
    known = {(one.path, one.words) for one in before}
    helps = len(left) < len(before) and all((one.path, one.words) in known for one in left)
    return tuple(left) if left and helps and save_settings(path, {key: value}) else ()


def _default_for_none(key: str, value: Any) -> Any:
    """`null` gives the default, also where the setting itself is never null."""
    row = table.row_of(key)
    default = None if row is None or value is not None else row.default
    return value if default is None else list(default) if isinstance(default, tuple) else default


def _words_of_hidden(from_file: Loaded, key: str) -> str:
    source, row = from_file.source_of(key), table.row_of(key)
    value = masked(table.value_at(from_file.settings, key), is_secret=bool(row and row.is_secret), path=key)
    written = value if isinstance(value, str) else json.dumps(value, default=str)  # `false`, as in the file
    return (
        f"{source.description if source else 'Something'} overrides the settings file: "
        f"the next start takes {written} again. Take it away to keep the new value of {key}."
    )


def check_settable(key: str) -> None:
    """Raises SettingsError, with the better way where there is one."""
    if key == _ACCOUNTS or key.startswith(_ACCOUNTS + "."):
        raise SettingsError(
            f"{key} is not set by name: accounts are a list.",
            hint="`headgate account add NAME --provider anthropic --api-key-stdin` adds one, "
            "`headgate account set NAME …` changes one; those that the settings file declares change there.",
        )
    row = table.row_of(key)
    if row is not None and row.variable is not None:
        return
    if below := names_below(key):
        raise SettingsError(f"{key} is a section: name one of {', '.join(below)} in it.", hint=_MEND)
    raise unknown(key)


def unknown(key: str) -> SettingsError:
    """With the name that was probably meant, also where it lacks its section, or names a variable."""
    known = [row.path for row in table.rows() if row.variable]
    meant = (
        next((path for path in known if path.rpartition(".")[2] == key), None)
        or environment.setting_of(key)
        or table.nearest(key, known)
    )
    return SettingsError(f"Unknown setting {key}" + (f", did you mean {meant}?" if meant else ""), hint=_MEND)


def _are_same(one: Loaded, other: Loaded, key: str) -> bool:
    return bool(table.value_at(one.settings, key) == table.value_at(other.settings, key))
