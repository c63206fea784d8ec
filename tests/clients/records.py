"""What the gateway has recorded of a client's requests."""

from typing import Any

from tests.gateway import Gateway, wait_until


def recorded(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """All requests, oldest first, once there are as many: the recorder writes them a moment later."""
    wait_until(lambda: len(gateway.requests()) >= count, what=f"{count} recorded requests")
    return gateway.requests()[::-1]


def messages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["path"] == "/v1/messages"]
