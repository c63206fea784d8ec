"""What each provider was asked and how that went: sums of all time, added up with the records.

So who looks at them never reads the history, however long it is; only times come from the newest requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.account_history import newest_first
from headgate.storage.database import Database
from headgate.storage.schema import FAILED, provider_sums, requests
from headgate.storage.sums import Row, add_up, counts_of, is_of_a_batch

TIMED_REQUESTS = 1000
"""The newest ones, a few milliseconds' reading: what is slow now is not hidden behind a good year."""


@dataclass(frozen=True, slots=True)
class ProviderSum:
    """Of the requests that one key sent to one provider and that ended in one status."""

    provider: str
    key_id: int
    """0: they came without a key that the database knows."""
    status: int
    requests: int
    failures: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    nano_usd: int
    unpriced: int
    """Requests that used something without a price."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Of a request that went well."""

    provider: str
    first_byte_ms: float | None
    duration_ms: float


class ProviderSums:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> tuple[list[ProviderSum], list[Timing]]:
        columns = (requests.c.provider, requests.c.first_byte_ms, requests.c.duration_ms)
        newest = newest_first(sa.select(*columns, FAILED.label("failed")), None).limit(TIMED_REQUESTS)
        async with self._database.read() as connection:
            sums = (await connection.execute(sa.select(provider_sums))).mappings().all()
            timed = (await connection.execute(newest)).all()
        found = [ProviderSum(**row) for row in sums]
        return found, [Timing(*row[:-1]) for row in timed if not row.failed]


async def add_provider_sums(
    connection: AsyncConnection, rows: Sequence[Row], attempts: Sequence[Row]
) -> None:
    """`rows`: of `requests`. What was refused before an account was looked for says nothing of a provider."""
    asked = {attempt["request_id"] for attempt in attempts}
    told = (row for row in rows if row["id"] in asked or row["skipped"] is not None or is_of_a_batch(row))
    await add_up(connection, provider_sums, map(_amounts, told))


def _amounts(row: Row) -> Row:
    counted, failed, fresh, output, read, written, nano_usd, unpriced = counts_of(row)
    return {
        "provider": row["provider"],
        "key_id": row["key_id"] or 0,
        "status": row["status"],
        "requests": counted,
        "failures": failed,
        "input_tokens": fresh,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "nano_usd": nano_usd,
        "unpriced": unpriced,
    }
