"""Requests that hostile tests are made of."""

import asyncio

from tests.gateway import CLIENT_KEY
from tests.journeys.wire import Answer, Connection, ask, request

KEY_LINE = f"x-api-key: {CLIENT_KEY}\r\n".encode()
REQUEST = request(body=ask("say 5 words"))
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nhost: a\r\n" + KEY_LINE + b"\r\n"


def head(lines: bytes, start: bytes = b"POST /v1/messages") -> bytes:
    """With a Host, a client key and `lines`, each with its line end."""
    return start + b" HTTP/1.1\r\nhost: localhost\r\n" + KEY_LINE + lines + b"\r\n"


def code_of(answer: Answer) -> str:
    """The stable code, which header and body agree on."""
    code = answer.json()["error"]["code"]
    assert answer.headers["x-headgate-error"] == code
    return str(code)


async def closes(connection: Connection, seconds: float = 10) -> None:
    """The gateway ends the connection."""
    connection.end()
    await asyncio.wait_for(connection.is_closed.wait(), seconds)
