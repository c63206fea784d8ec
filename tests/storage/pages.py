"""The history as a client that pages through it sees it."""

from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore


async def every_page(store: RequestStore, wanted: RequestFilter, limit: int) -> list[str]:
    """Ids in their order; a page that is not the last one is full."""
    found: list[str] = []
    cursor = None
    while True:
        rows, cursor = await store.page(wanted, limit=limit, cursor=cursor)
        found += [row["id"] for row in rows]
        if cursor is None:
            return found
        assert len(rows) == limit
