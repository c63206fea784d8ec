"""A change of the owner's, and its row in the audit record: written in the transaction that makes the change.

`Database.write(change=…)` does so; a transaction that fails has neither. Once it has ended the same change
is a line of the log, so that the two cannot say different things.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.schema import audit

MOST_ROWS = 100_000
"""Some 50 MB at most in practice. An owner makes hundreds of changes a year, a script thousands."""

KEPT_MS = 366 * 24 * 3_600_000

_MOST_JSON_BYTES = 65_536
"""Of `before` and of `after`: an import of thousands of accounts must not make a row of megabytes."""


@dataclass(slots=True, kw_only=True)
class Change:
    """`before` and `after` hold no secret: who makes one leaves it out or masks it."""

    at_ms: int
    who: str
    address: str | None
    action: str
    """Stable word, such as `account.rename`."""
    object: str
    before: Any = None
    after: Any = None
    """Also set inside the transaction, where only that knows."""
    error: str | None = None
    """Code of what kept it from being made."""
    line: str | Callable[[Any], str] = ""
    """For the log; made of `after` where only the transaction knows. Empty: another place tells it."""
    log: logging.Logger | None = None

    def tell(self) -> None:
        """Once it has been made."""
        if self.log is not None and self.line:
            self.log.info("%s", self.line if isinstance(self.line, str) else self.line(self.after))


async def keep(connection: AsyncConnection, change: Change) -> None:
    """As one row; what is too old or too much by now goes."""
    row = sa.insert(audit).values(
        at_ms=change.at_ms,
        who=change.who,
        address=change.address,
        action=change.action,
        object=change.object,
        before=_bounded(change.before),
        after=_bounded(change.after),
        error=change.error,
    )
    newest = (await connection.execute(row.returning(audit.c.id))).scalar_one()
    await connection.execute(sa.delete(audit).where(audit.c.id <= newest - MOST_ROWS))
    await connection.execute(sa.delete(audit).where(audit.c.at_ms < change.at_ms - KEPT_MS))


def _bounded(value: Any) -> Any:
    size = len(json.dumps(value))
    return value if size <= _MOST_JSON_BYTES else {"left_out": f"{size} characters are more than is kept"}
