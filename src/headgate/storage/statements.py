"""SQL statements in the log, with their times: for who asks why the database is slow (`log.sql`)."""

import logging
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

_log = logging.getLogger("headgate.sql")


def log_statements(engine: AsyncEngine) -> None:
    """From now on; nothing is hooked in where nobody asked for it. Values are never shown."""
    if not _log.isEnabledFor(logging.DEBUG):
        return

    def before(_: Any, __: Any, ___: Any, ____: Any, context: Any, _____: Any) -> None:
        if context is not None:
            context.headgate_began = time.perf_counter()

    def after(_: Any, __: Any, statement: str, ____: Any, context: Any, many: bool) -> None:
        began = getattr(context, "headgate_began", None)
        took = None if began is None else round((time.perf_counter() - began) * 1000, 3)
        _log.debug("%s", " ".join(statement.split()), extra={"duration_ms": took, "many": many or None})

    sa.event.listen(engine.sync_engine, "before_cursor_execute", before)
    sa.event.listen(engine.sync_engine, "after_cursor_execute", after)
