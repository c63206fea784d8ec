"""The requests in a database of ccflare, one after the other."""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from headgate.moving import sqlite_file
from headgate.moving.found import PastRequest
from headgate.moving.reading import count, integer, milliseconds, nano_usd, switch, words

_COLUMNS = (
    *("id", "timestamp", "method", "path", "account_used", "status_code", "success", "response_time_ms"),
    *("model", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "api_key_name", "client_session_id"),
    *("stream_terminal_state", "ttft_ms", "cost_usd"),
)
_MOST_REASON = 300
_MOST_ACCOUNTS = 100_000
_LAST_MS = 10**14
"""The year 5138: what lies beyond is no time."""
_NO_ACCOUNT = "no_account"

_UNKNOWN_FAILURE = 502
"""For a request that failed without a status: nobody answered."""
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""The provider's words for its statuses."""


class PastOfCcflare:
    """Reads one state of the file, however long that takes."""

    def __init__(self, file: Path, total: int) -> None:
        self._file = file
        self.total = total
        self.unreadable = 0

    @classmethod
    def of(cls, file: Path) -> "PastOfCcflare | None":
        """None where there is nothing."""
        with sqlite_file.opened(file) as connection:
            total = sqlite_file.rows_in(connection, "requests")
        return cls(file, total) if total else None

    async def batches(self, size: int) -> AsyncIterator[list[PastRequest]]:
        with sqlite_file.opened(self._file) as connection:
            accounts = _accounts(connection)
            cursor = connection.execute(_query(connection))
            while rows := cursor.fetchmany(size):
                read = [_request(dict(row), accounts) for row in rows]
                kept = [one for one in read if one is not None]
                self.unreadable += len(read) - len(kept)
                yield kept


def _accounts(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Name and provider by id, of those that do not come along too."""
    provider = "provider" if "provider" in sqlite_file.columns_of(connection, "accounts") else "NULL"
    rows = connection.execute(f"SELECT id, name, {provider} FROM accounts LIMIT {_MOST_ACCOUNTS}")
    return {str(row[0]): (words(row[1]) or "account", words(row[2]) or "anthropic") for row in rows}


def _query(connection: sqlite3.Connection) -> str:
    """What there is of the columns; long texts are cut where they lie."""
    there = sqlite_file.columns_of(connection, "requests")
    wanted = [column for column in _COLUMNS if column in there]
    if "error_message" in there:
        wanted.append(f"substr(error_message, 1, {_MOST_REASON}) AS reason")
    return f"SELECT {', '.join(wanted)} FROM requests"


def _request(row: dict[str, Any], accounts: Mapping[str, tuple[str, str]]) -> PastRequest | None:
    """None for what has no id or no time."""
    request_id, at_ms = words(row.get("id"), 200), integer(row.get("timestamp"), 0, _LAST_MS)
    if not request_id or not at_ms or at_ms == _LAST_MS:
        return None
    status, error = ended(integer(row.get("status_code"), 0, 999), switch(row.get("success")))
    account = words(row.get("account_used"))
    name, provider = accounts.get(account or "", (None, None))
    tokens = [
        count(row.get(name))
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        )
    ]
    if not any(tokens):
        # Columns of an earlier day; nothing was said at all where they are empty too.
        older = (count(row.get("prompt_tokens")), count(row.get("completion_tokens")))
        tokens = [*older, None, None] if any(older) else [None] * 4
    return PastRequest(
        id=request_id,
        at_ms=at_ms,
        method=words(row.get("method"), 10) or "POST",
        path=(words(row.get("path"), 500) or "/v1/messages").partition("?")[0],
        status=status,
        error=error,
        reason=words(row.get("reason"), _MOST_REASON) if error else None,
        account_key=None if account == _NO_ACCOUNT else account,
        account_name=name,
        provider=provider,
        caller=words(row.get("api_key_name")) or "anonymous",
        session=words(row.get("client_session_id")),
        model=words(row.get("model")),
        stream=row.get("stream_terminal_state") is not None,
        first_byte_ms=milliseconds(row.get("ttft_ms")),
        duration_ms=milliseconds(row.get("response_time_ms")) or 0.0,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cache_read_tokens=tokens[2],
        cache_write_tokens=tokens[3],
        nano_usd=nano_usd(row.get("cost_usd")),
    )


def ended(status: int | None, success: bool | None) -> tuple[int, str | None]:
    """Status, and the word for a failure. A success without a status was a 200."""
    if not status:
        return (200, None) if success else (_UNKNOWN_FAILURE, "api_error")
    if status < 400:
        return status, None if success is not False else "api_error"
    return status, _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
