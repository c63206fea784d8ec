"""Moving in: client keys, and settings."""

from typing import Any

from headgate.cli.moving_report import ADDED, FAILED, KEPT, UNCHANGED
from headgate.cli.moving_state import DOING, Move, words_of
from headgate.cli.terminal import CommandFailed
from headgate.config import changing
from headgate.errors import SettingsError
from headgate.moving.found import KEY, SETTING, FoundKey
from headgate.sources import domain_files

_NOT_SAVED = "the settings file cannot be written"


async def take_keys(move: Move) -> None:
    if not move.wants(KEY) or not move.found.keys:
        return
    keys = {one.digest: one for one in move.found.keys}
    body = {
        "keys": [_carried(move, one) for one in keys.values()],
        "dry_run": move.report.dry_run,
    }
    try:
        answer = await move.control.ask("POST", "/api/import/keys", doing=DOING, body=body)
    except CommandFailed as failure:
        for one in keys.values():
            move.report.add(KEY, one.name, FAILED, words_of(failure), one.digest)
        return
    known = set(answer["unchanged"])
    for one in keys.values():
        if (why := answer["kept"].get(one.name)) is not None:
            move.report.add(KEY, one.name, KEPT, why, one.digest)
            continue
        is_unsaved = not (answer["persisted"] or one.is_named)
        outcome = UNCHANGED if one.name in known else FAILED if is_unsaved else ADDED
        why = f"{_NOT_SAVED}; " if outcome == FAILED else ""
        move.report.add(KEY, one.name, outcome, f"{why}named {answer['here_as'][one.name]}", one.digest)
    move.warn_of(answer)


def _carried(move: Move, key: FoundKey) -> dict[str, Any]:
    """For the owner's API. Bound to the accounts of its domains, by the names that they have here."""
    here_as = move.here_as or {}
    names = {one.domain: here_as.get(one.name, one.name) for one in move.taken or ()}
    accounts = [names.get(domain, domain_files.name_of(domain)) for domain in key.domains]
    return {"name": key.name, "digest": key.digest, "named": key.is_named, "accounts": accounts}


async def take_settings(move: Move) -> None:
    if not move.wants(SETTING) or not move.found.settings:
        return
    here = await move.settings_here()
    changes: dict[str, Any] = {}
    for one in move.found.settings:
        row = here.get(one.path)
        if row is not None and one.value in (row["value"], row["waiting"]):
            move.report.add(SETTING, one.path, UNCHANGED, f"{one.called} there")
        elif row is not None and row["source"] != "default" and not move.replaces:
            place = row["source"] + (f", line {row['line']}" if row["line"] else "")
            move.report.add(SETTING, one.path, KEPT, f"it is set here already ({place})")
        else:
            changes[one.path] = one.value
    if not changes:
        return
    called = {one.path: one.called for one in move.found.settings}
    failure = "" if move.report.dry_run else await _change(move, changes)
    move.set_now = frozenset(() if failure else changes)
    for path in changes:
        move.report.add(SETTING, path, FAILED if failure else ADDED, failure or f"{called[path]} there")


async def _change(move: Move, changes: dict[str, Any]) -> str:
    """All of them or none; why not, in words. Without a gateway it is the file that is changed."""
    try:
        if move.control.is_running:
            answer = await move.control.ask("PUT", "/api/config", doing=DOING, body=changes)
            move.warn_of(answer)
            is_saved = bool(answer["persisted"])
        else:
            changed = changing.change(move.loaded.origin, move.loaded.path, changes)
            move.report.notices += changed.warnings
            is_saved = changed.is_saved
    except CommandFailed as failure:
        return words_of(failure)
    except SettingsError as error:
        return f"{error.message} {error.hint}".strip()
    return "" if is_saved else _NOT_SAVED
