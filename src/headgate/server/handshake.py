"""The TLS of one connection: its beginning, which may fail, and its end.

The event loops know no protocol of ours before a handshake is over. But they ask a context for the object
that does it, and that object is ours: it says what went wrong, and answers who speaks HTTP in clear.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

_QUIET_SECONDS = 10.0
"""Failures of one kind are said once in this time: anybody may send what is no handshake."""

_IN_CLEAR = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
_NOT_TRUSTED = frozenset(
    {"TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_BAD_CERTIFICATE"}
    | {"TLSV13_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_CERTIFICATE_EXPIRED"}
)
"""What OpenSSL calls a client's farewell to a certificate."""

_log = logging.getLogger("headgate.server")


class DoorContext(ssl.SSLContext):
    """Handed to the event loop once; each new connection is served by the context that is current then."""

    def __new__(cls, current: ssl.SSLContext) -> "DoorContext":
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: ssl.SSLContext) -> None:
        self.current = current
        self.most_waiting: Callable[[], int] = lambda: 1_000
        """How many handshakes may be unfinished at a time."""
        self.answer_in_clear: Callable[[], bytes] = lambda: b""
        """What is said to who speaks HTTP in clear."""
        self._waiting: WeakSet[Handshake] = WeakSet()
        self._silent_until: dict[str, float] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if len(self._waiting) >= self.most_waiting():
            self.say(logging.WARNING, "Connections are turned away: too many handshakes are unfinished")
            raise ConnectionAbortedError("too many handshakes")  # an OSError: the loop closes without a trace
        made: Any = self.current.wrap_bio(incoming, outgoing, server_side=server_side)
        made.door, made.outgoing = self, outgoing
        self._waiting.add(made)
        handshake: Handshake = made
        return handshake

    def is_over(self, handshake: "Handshake") -> None:
        self._waiting.discard(handshake)

    def say(self, level: int, words: str) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until.get(words, 0.0):
            if len(self._silent_until) > 100:
                self._silent_until.clear()
            self._silent_until[words] = now + _QUIET_SECONDS
            _log.log(level, "%s", words)


class Handshake(ssl.SSLObject):
    """Made by `DoorContext` alone."""

    door: DoorContext
    outgoing: ssl.MemoryBIO
    _was_in_clear: bool = False

    def do_handshake(self) -> None:
        if self._was_in_clear:
            raise ssl.SSLError(1, "HTTP was spoken in clear")
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if error.reason in _IN_CLEAR:
                self._answer_in_clear()
            self.door.is_over(self)
            self._say(error.reason or "no reason given")
            raise
        self.door.is_over(self)

    def _answer_in_clear(self) -> None:
        """The loop sends what is here when more is wanted for a handshake, and ends the wait in time: until
        then it counts as one that waits."""
        self._was_in_clear = True
        self.door.say(
            logging.WARNING,
            "HTTP was spoken in clear to the port of HTTPS. Mend: clients' base URLs begin with https://",
        )
        self.outgoing.write(self.door.answer_in_clear())
        raise ssl.SSLWantReadError

    def _say(self, reason: str) -> None:
        if reason in _NOT_TRUSTED:
            words = "A client does not trust the certificate. Mend: make its authority known to the client"
            self.door.say(logging.WARNING, f"{words} ({reason})")
        else:
            self.door.say(logging.INFO, f"A TLS handshake failed: {reason}")

    def unwrap(self) -> None:
        """Says farewell and waits for none: closing is as it is in clear, and idle clients answer late."""
        try:
            super().unwrap()
        except ssl.SSLWantReadError:
            return
