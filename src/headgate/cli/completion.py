"""What a shell is offered after Tab: asked quickly, without a word and without a trace.

Nothing is made, nothing is changed; whoever does not answer at once is not waited for.
"""

import json
import socket
import sqlite3
from pathlib import Path

from headgate.cli import on_demand

_PATIENCE_SECONDS = 0.3


_ACCOUNTS = "SELECT name FROM accounts ORDER BY id"
_KEYS = "SELECT name FROM client_keys WHERE revoked_at IS NULL ORDER BY id"


def account_names(incomplete: str) -> list[str]:
    """Of the running gateway, else of the database in the data folder."""
    return _names(incomplete, "accounts", _ACCOUNTS)


def key_names(incomplete: str) -> list[str]:
    """The same of client keys."""
    return _names(incomplete, "keys", _KEYS)


def _names(incomplete: str, kind: str, query: str) -> list[str]:
    try:
        folder = on_demand.data_folder()
        names = _of_gateway(folder, kind)
        if names is None:
            names = _of_database(folder / "headgate.db", query)
    except Exception:  # the edge: a shell that waits for words must not get a stack trace
        return []
    return [name for name in names if name.startswith(incomplete)]


def settings(incomplete: str) -> list[str]:
    return [name for name in on_demand.setting_names() if name.startswith(incomplete)]


def strategies(incomplete: str) -> list[str]:
    return [name for name in on_demand.strategies() if name.startswith(incomplete)]


def _of_gateway(folder: Path, kind: str) -> list[str] | None:
    """None when nobody answers."""
    import http.client  # with all of TLS: every command would load it for the few that a shell asks

    with on_demand.control_address(folder) as address:
        asked = http.client.HTTPConnection("localhost")
        asked.sock = socket.socket(socket.AF_UNIX)
        try:
            asked.sock.settimeout(_PATIENCE_SECONDS)
            asked.sock.connect(address)
            asked.request("GET", f"/api/{kind}")
            return [one["name"] for one in json.load(asked.getresponse())[kind]]
        except OSError:
            return None
        finally:
            asked.close()


def _of_database(file: Path, query: str) -> list[str]:
    # Without a write-ahead log nothing needs a lock, and so no file is made beside it.
    is_at_rest = not file.with_name(f"{file.name}-wal").exists()
    mode = "immutable=1" if is_at_rest else "mode=ro"
    if not file.exists():
        return []
    database = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, timeout=_PATIENCE_SECONDS)
    try:
        return [name for (name,) in database.execute(query)]
    finally:
        database.close()
