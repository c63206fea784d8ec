"""The audit record read in pages."""

from typing import Any

import pytest

from headgate.errors import InvalidRequest
from headgate.storage.audit import AuditStore
from headgate.storage.database import Database
from tests.storage.test_changes import change


async def test_pages_are_whole_and_newest_first(database: Database) -> None:
    """What comes between two pages is in neither, and moves nothing."""
    record = AuditStore(database)
    for number in range(5):
        await record.keep(change(number))
    first, cursor = await record.page(limit=2)
    await record.keep(change(9))
    second, cursor = await record.page(limit=2, cursor=cursor)
    third, end = await record.page(limit=2, cursor=cursor)
    assert [row["at_ms"] for row in (*first, *second, *third)] == [4, 3, 2, 1, 0]
    assert end is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"action": "account.remove"}, [2]),
        ({"of": "work"}, [2, 1]),
        ({"of": "work", "action": "account.add"}, [1]),
        ({"of": "%"}, []),
    ],
)
async def test_a_page_of_one_kind_or_one_thing(
    database: Database, wanted: dict[str, Any], found: list[int]
) -> None:
    record = AuditStore(database)
    for number, fields in enumerate(
        [{"object": "other"}, {}, {"action": "account.remove"}, {"object": "settings", "action": "x"}]
    ):
        await record.keep(change(number, **fields))
    rows, _ = await record.page(**wanted)
    assert [row["at_ms"] for row in rows] == found


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "\N{SUPERSCRIPT TWO}", "9" * 19])
async def test_a_cursor_that_is_none(database: Database, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await AuditStore(database).page(cursor=cursor)
