"""ccflare, its ancestor and better-ccflare: one SQLite file, and a JSON file of settings beside it.

Which columns there are depends on the age of the file; what is missing has the meaning that it had then.
"""

import sqlite3
from pathlib import Path
from typing import Any

from headgate.config.accounts import PROVIDERS
from headgate.config.settings import STRATEGIES
from headgate.errors import ForeignDataUnreadable
from headgate.moving import sqlite_file
from headgate.moving.ccflare_history import PastOfCcflare
from headgate.moving.found import ACCOUNT, KEY, OTHER, SETTING, Found, FoundAccount, FoundSetting, names_of
from headgate.moving.reading import integer, json_of, moment, secret, switch, words

NAMES = ("better-ccflare", "ccflare", "claudeflare")
"""Of the database (`.db`) and the settings (`.json`), the newest program's first."""

_PROVIDERS = {"claude-console-api": "anthropic", "anthropic-compatible": "anthropic"}
"""Theirs that are called otherwise here."""
_STRATEGIES = {
    "weighted-round-robin": ("weighted",),
    "session-affinity": ("session",),
    "session-drain-soonest": ("headroom", "session"),
    "least-used": ("least-requests",),
}
"""What comes nearest, the nearest first."""
_NUMBERS = {
    "session_duration_ms": "routing.session_duration_ms",
    "retry_attempts": "retry.attempts",
    "retry_delay_ms": "retry.delay_ms",
    "port": "server.port",
    "request_retention_days": "storage.retention_days",
}
_MOST_BACKOFF = 10**6
"""JSON has numbers that no float can hold."""
_MOST_ROWS = 10_000
"""Accounts, or keys."""
_UNCARRIED = ("model_mappings", "model_fallbacks", "billing_type", "cross_region_mode")
_OTHER_TABLES = {
    "request_payloads": "request and answer bodies: Headgate keeps new ones alone, by storage.bodies.keep",
    "agent_preferences": "models of agents: Headgate leaves the model to the client",
    "combos": "combos of account and model",
    "usage_snapshots": "snapshots of quota windows: they are read from the next answers",
    "alerts": "alerts",
}


def read(path: Path, settings_file: Path | None = None) -> Found:
    """`path`: the database, or the folder that holds it. Raises ForeignDataUnreadable."""
    found = Found("ccflare")
    file = _database_in(path)
    with sqlite_file.opened(file) as connection:
        accounts = sqlite_file.columns_of(connection, "accounts")
        if not {"id", "name"} <= accounts:
            raise ForeignDataUnreadable(
                f"{file} is no database of ccflare: it has no table `accounts`.",
                hint="It is called better-ccflare.db or ccflare.db, in the folder ~/.config/better-ccflare "
                "or ~/.config/ccflare.",
            )
        for row in connection.execute(f"SELECT * FROM accounts LIMIT {_MOST_ROWS}"):
            _take_account(found, dict(row))
        _tell_of_keys(found, connection)
        for table, what in _OTHER_TABLES.items():
            if rows := sqlite_file.rows_in(connection, table):
                found.leave_out(OTHER, table, f"{rows} {what}")
    found.history = PastOfCcflare.of(file)
    _take_settings(found, settings_file or _settings_beside(file))
    return found


def _database_in(path: Path) -> Path:
    if str(path).startswith(("postgres:/", "postgresql:/")):
        raise ForeignDataUnreadable(
            "A better-ccflare that keeps its data in PostgreSQL cannot be read.",
            hint="Add its accounts anew (headgate account add), or move it to its SQLite file first.",
        )
    if not path.is_dir():
        return path
    here = [file for name in NAMES if (file := path / f"{name}.db").is_file()]
    if not here:
        raise ForeignDataUnreadable(
            f"{path} holds no {names_of([f'{name}.db' for name in NAMES])}.",
            hint="Give the database file itself.",
        )
    return here[0]


def _settings_beside(database: Path) -> Path | None:
    named = [database.with_suffix(".json"), *(database.with_name(f"{name}.json") for name in NAMES)]
    return next((file for file in named if file.is_file()), None)


def _take_account(found: Found, row: dict[str, Any]) -> None:
    name = words(row.get("name")) or "account"
    theirs = (words(row.get("provider")) or "anthropic").lower()
    provider = _PROVIDERS.get(theirs, theirs)
    if provider not in PROVIDERS:
        found.leave_out(
            ACCOUNT, name, f"its provider {theirs} is none that this version of Headgate speaks to"
        )
        return
    api_key, access = secret(row.get("api_key")), secret(row.get("access_token"))
    refresh = secret(row.get("refresh_token"))
    if api_key is None and access is None and refresh is None:
        found.could_not_read(ACCOUNT, name, "it holds neither an API key nor tokens")
        return
    uncarried = [column for column in _UNCARRIED if row.get(column) not in (None, "", "{}", "[]")]
    found.accounts.append(
        FoundAccount(
            name=name,
            key=words(row.get("id")) or name,
            provider=provider,
            api_key=api_key,
            access_token=None if api_key else access,
            refresh_token=None if api_key else refresh,
            expires_at=moment(row.get("expires_at")),
            base_url=words(row.get("custom_endpoint"), 2000) or words(row.get("base_url"), 2000),
            priority=integer(row.get("priority"), -1_000_000, 1_000_000) or 0,
            weight=integer(row.get("weight"), 1, 1_000_000) or 1,
            tier=integer(row.get("account_tier"), 1, 1_000_000) or 1,
            paused=switch(row.get("paused")) is True,
            remarks=(f"without its {', '.join(uncarried)}",) if uncarried else (),
        )
    )


def _tell_of_keys(found: Found, connection: sqlite3.Connection) -> None:
    if "name" not in sqlite_file.columns_of(connection, "api_keys"):
        return
    for row in connection.execute(f"SELECT * FROM api_keys LIMIT {_MOST_ROWS}"):
        is_active = switch(dict(row).get("is_active")) is not False
        why = (
            "better-ccflare keeps a scrypt hash of it, which does not turn into the SHA-256 that Headgate "
            "compares: put the same key into access.api_keys, or give out a new one"
        )
        found.leave_out(KEY, words(row["name"]) or "?", why if is_active else "it is disabled there")


# ---- settings ------------------------------------------------------------------------------------


def _take_settings(found: Found, file: Path | None) -> None:
    if file is None:
        found.leave_out(SETTING, "settings", "there is no settings file beside the database")
        return
    try:
        content = json_of(file)
    except ForeignDataUnreadable as error:
        found.could_not_read(SETTING, file.name, error.message)
        return
    if not isinstance(content, dict):
        found.could_not_read(SETTING, file.name, f"{file} holds no settings")
        return
    unknown = [str(name) for name, value in content.items() if not _take_setting(found, str(name), value)]
    if unknown:
        found.leave_out(SETTING, names_of(unknown), "Headgate has nothing of the kind")


def _take_setting(found: Found, name: str, value: object) -> bool:
    """False: there is no counterpart."""
    number = integer(value, 0, 2**31)
    if name in _NUMBERS and number is not None:
        found.settings.append(FoundSetting(_NUMBERS[name], number, name))
    elif name == "retry_backoff" and isinstance(value, int | float) and 0 <= value < _MOST_BACKOFF:
        found.settings.append(FoundSetting("retry.backoff", float(value), name))
    elif name == "client_id" and (client_id := words(value)):
        found.settings.append(FoundSetting("providers.anthropic.oauth.client_id", client_id, name))
    elif name == "lb_strategy" and (strategy := words(value)):
        _take_strategy(found, strategy)
    else:
        return False
    return True


def _take_strategy(found: Found, theirs: str) -> None:
    ours = next((one for one in _STRATEGIES.get(theirs, (theirs,)) if one in STRATEGIES), None)
    if ours is not None:
        found.settings.append(FoundSetting("routing.strategy", ours, "lb_strategy"))
    else:
        found.leave_out(
            SETTING, "lb_strategy", f"there is no strategy like {theirs}; `headgate strategy` has others"
        )
