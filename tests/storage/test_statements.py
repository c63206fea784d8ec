"""SQL statements in the log: only where asked for, with times, without values."""

import logging
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.storage.database import open_database


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
async def test_statements_are_logged_when_asked_for(
    tmp_path: Path, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One line each, whatever white space it has; the values stay out."""
    with caplog.at_level(level, "headgate.sql"):
        database = await open_database(tmp_path / "headgate.db")
        async with database.read() as connection:
            found = await connection.execute(sa.text("SELECT\n  :value AS a_value"), {"value": "s3cret"})
            assert found.scalar() == "s3cret"
        await database.close()
    lines = [record for record in caplog.records if record.name == "headgate.sql"]
    if level == logging.WARNING:
        assert lines == []
        return
    (line,) = [record for record in lines if "a_value" in record.getMessage()]
    assert re.fullmatch(r"SELECT \S+ AS a_value", line.getMessage())
    assert line.duration_ms >= 0  # type: ignore[attr-defined]
    assert "s3cret" not in str(vars(line))
