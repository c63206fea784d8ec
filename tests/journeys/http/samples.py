"""Requests that the journeys over HTTP send, and the limits of the gateway that they meet."""

from typing import Any

from tests.journeys.wire import ask, request

MAX_BODY = 200_000
MAX_UPLOAD = 3_000_000
MEGABYTE = 1_048_576
PLAIN = request(body=ask("say 5 words"))
STREAM = request(body=ask("say 20 words", stream=True))


def error_code(body: bytes | Any) -> str:
    """The stable code of an error in the Anthropic dialect."""
    return str(body["error"]["code"])
