"""The requests in a PostgreSQL database of claude-nexus-proxy, one after the other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from headgate.errors import ForeignDataUnreadable
from headgate.moving.ccflare_history import ended
from headgate.moving.found import PastRequest
from headgate.moving.reading import count, integer, milliseconds, words

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 120
_MEND = (
    "Give the address as DATABASE_URL of the other program has it: postgresql://user:password@host/database."
)

_NO_ANSWER = "nobody answers there in time"
_MENDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "Take user and password from DATABASE_URL of the other program; the server's pg_hba.conf may also"
        " keep this machine out.",
    ),
    (asyncpg.InvalidCatalogNameError, "See how the database is called in DATABASE_URL of the other program."),
    (asyncpg.InsufficientPrivilegeError, "Give a user who may read the tables, as the other program has it."),
    (OSError, "See that the server runs, and that its host and port can be reached from here."),
)
"""The first that fits, before `_MEND`."""

# What is read, and what stands for it in a database that was made by older migrations.
_COLUMNS = {
    "request_id": "request_id::text",
    "timestamp": "(extract(epoch FROM timestamp) * 1000)::bigint AS at_ms",
    "domain": "domain",
    "method": "method",
    "path": "path",
    "model": "model",
    "response_status": "response_status",
    "response_streaming": "response_streaming",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_input_tokens",
    "cache_creation_input_tokens": "cache_creation_input_tokens",
    "first_token_ms": "first_token_ms",
    "duration_ms": "duration_ms",
    "error": "left(error, 300) AS error",
    "conversation_id": "conversation_id::text",
    "account_id": "account_id",
    "headers": "left(headers->>'user-agent', 256) AS user_agent",
}
_NEEDED = frozenset({"request_id", "timestamp"})
_COLUMNS_THERE = (
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_name = 'api_requests' AND table_schema = ANY (current_schemas(false))"
)


class PastOfNexus:
    """Reads one state of the table, however long that takes; writes nothing."""

    def __init__(self, address: str, total: int) -> None:
        self._address = address
        self.total = total
        self.unreadable = 0

    @classmethod
    async def of(cls, address: str) -> "PastOfNexus | None":
        """None where there is nothing."""
        async with _connected(address) as connection:
            await _columns_there(connection)
            total = await connection.fetchval("SELECT count(*) FROM api_requests")
        return cls(address, total) if total else None

    async def batches(self, size: int) -> AsyncIterator[list[PastRequest]]:
        async with _connected(self._address) as connection:
            there = await _columns_there(connection)
            chosen = ", ".join(words for name, words in _COLUMNS.items() if name in there)
            cursor = await connection.cursor(f"SELECT {chosen} FROM api_requests ORDER BY timestamp")
            while rows := await cursor.fetch(size):
                read = [_request(dict(row)) for row in rows]
                kept = [one for one in read if one is not None]
                self.unreadable += len(read) - len(kept)
                yield kept


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Any]:
    """Inside one read-only transaction."""
    with _failing_as_foreign():
        connection = await asyncpg.connect(
            address, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS
        )
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
        finally:
            await connection.close(timeout=_CONNECT_SECONDS)


@contextmanager
def _failing_as_foreign() -> Iterator[None]:
    """The address holds a password, so it is not said back."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:300] if isinstance(error, asyncpg.PostgresError | OSError) else ""
        otherwise = _NO_ANSWER if isinstance(error, TimeoutError) else "its address cannot be used"
        raise ForeignDataUnreadable(
            f"Cannot read the PostgreSQL database: {why or otherwise}", hint=_mend(error)
        ) from error


def _mend(error: Exception) -> str:
    return next((mend for kinds, mend in _MENDS if isinstance(error, kinds)), _MEND)


async def _columns_there(connection: Any) -> frozenset[str]:
    there = frozenset(row["column_name"] for row in await connection.fetch(_COLUMNS_THERE))
    if not there >= _NEEDED:
        raise ForeignDataUnreadable(
            "This is no database of claude-nexus-proxy: it has no table `api_requests`.", hint=_MEND
        )
    return there


def _request(row: dict[str, Any]) -> PastRequest | None:
    request_id, at_ms = words(row.get("request_id"), 200), integer(row.get("at_ms"), 0, 10**14)
    if not request_id or not at_ms or at_ms == 10**14:
        return None
    account, error = words(row.get("account_id")), words(row.get("error"), 300)
    # Only what was answered is stored there: no status means that it went well.
    status, failure = ended(integer(row.get("response_status"), 0, 999), error is None)
    return PastRequest(
        id=request_id,
        at_ms=at_ms,
        method=words(row.get("method"), 10) or "POST",
        path=(words(row.get("path"), 500) or "/v1/messages").partition("?")[0],
        status=status,
        error=failure,
        reason=error if failure else None,
        account_key=account,
        account_name=account,
        caller=words(row.get("domain")) or "anonymous",
        user_agent=words(row.get("user_agent")) or "",
        session=words(row.get("conversation_id")),
        model=words(row.get("model")),
        stream=row.get("response_streaming") is True,
        first_byte_ms=milliseconds(row.get("first_token_ms")),
        duration_ms=milliseconds(row.get("duration_ms")) or 0.0,
        input_tokens=count(row.get("input_tokens")),
        output_tokens=count(row.get("output_tokens")),
        cache_read_tokens=count(row.get("cache_read_input_tokens")),
        cache_write_tokens=count(row.get("cache_creation_input_tokens")),
    )
