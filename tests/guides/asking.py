"""Requests as the guides' readers send them, and what a log says about them."""

import json
import re
from typing import Any

import httpx

from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.testing.wire import ask

TIMEOUT_SECONDS = 30.0


def message(
    gateway: Gateway,
    text: str = "hello",
    *,
    key: str | None = CLIENT_KEY,
    path: str = "/v1/messages",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """One message of a client; the whole answer, whatever it is."""
    sent = {"content-type": "application/json", **({"x-api-key": key} if key else {}), **(headers or {})}
    body = json.dumps(ask(text, **fields)).encode()
    return httpx.post(gateway.url + path, content=body, headers=sent, timeout=TIMEOUT_SECONDS, verify=NO_TLS)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The `error` object of an answer in Anthropic's dialect."""
    document = answer.json()
    assert document["type"] == "error", document
    error: dict[str, Any] = document["error"]
    return error


def record_of(gateway: Gateway, answer: httpx.Response) -> dict[str, Any]:
    return gateway.record_of(answer.headers["x-headgate-request-id"])


def logged(gateway: Gateway, pattern: str) -> str:
    """The first log line that matches; waits for it, since the recorder writes some of them."""
    wait_until(lambda: lines_of(gateway, pattern), what=f"a log line that matches {pattern}")
    return lines_of(gateway, pattern)[0]


def lines_of(gateway: Gateway, pattern: str) -> list[str]:
    return [line for line in gateway.log_text().splitlines() if re.search(pattern, line)]


def run(gateway: Gateway, *arguments: str, code: int = 0, stdin: str = "") -> str:
    """`headgate …`, which has to end with that exit code: what it said, with every gap a single space."""
    done = gateway.command(*arguments, stdin=stdin)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, (arguments, said)
    return said
