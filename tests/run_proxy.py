"""A real outbound proxy as its own process, in which one name leads to this machine that no resolver knows.

`python -m tests.run_proxy http …` is proxy.py, `… socks …` is pproxy; their own arguments follow.
"""

import asyncio
import socket
import sys
from typing import Any

import pproxy.server
import proxy

ONLY_BEHIND = "provider.test"
"""Known to the proxy alone (RFC 6761 keeps it out of the DNS)."""


def _answer_by_name() -> None:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name == ONLY_BEHIND else host, *arguments, **options)

    socket.getaddrinfo = getaddrinfo


if __name__ == "__main__":
    _answer_by_name()
    kind = sys.argv.pop(1)
    if kind == "http":
        proxy.main()
    else:
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # its resolver is not Python's
        asyncio.set_event_loop(asyncio.new_event_loop())
        pproxy.server.main()
