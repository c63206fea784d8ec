"""Who has logged in by the dashboard: a random token in a cookie, of which only the SHA-256 is kept here.

Sessions live in this process alone and end with it, with the admin key that opened them, after a time without
a request, and in any case after a longer one. A token of one gateway is none for another beside it.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from headgate.clock import Clock

COOKIE = "headgate_session"

IDLE_SECONDS = 12 * 3600.0
LONGEST_SECONDS = 7 * 24 * 3600.0

MOST_SESSIONS = 256
"""Beyond this the one that was idle longest ends: who logs in has the key, so it is nobody's way to harm."""

_TOKEN_BYTES = 32
_MOST_TOKENS = 8
"""Cookies of our name in one request: another page of this host may have planted some before ours."""


@dataclass(slots=True)
class Session:
    """Times are those of the monotonic clock."""

    ends: float
    idle_ends: float


class Sessions:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_digest: dict[bytes, Session] = {}
        """The one that was idle longest comes first."""
        self._key: bytes | None = None

    def __len__(self) -> int:
        return len(self._by_digest)

    def open(self, key: str) -> str:
        """A new one, for whoever has shown that he has `key`; its token."""
        self._see(key)
        self._forget_ended()
        while len(self._by_digest) >= MOST_SESSIONS:
            del self._by_digest[next(iter(self._by_digest))]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock.monotonic()
        self._by_digest[_digest(token)] = Session(now + LONGEST_SECONDS, now + IDLE_SECONDS)
        return token

    def find(self, key: str | None, token: str) -> Session | None:
        """The one that is open while `key` is the admin key in force; it is not idle any more then."""
        self._see(key)
        digest, now = _digest(token), self._clock.monotonic()
        session = self._by_digest.pop(digest, None)
        if session is None or now >= min(session.ends, session.idle_ends):
            return None
        session.idle_ends = now + IDLE_SECONDS
        self._by_digest[digest] = session
        return session

    def holds(self, key: str | None, token: str) -> bool:
        """Whether it is still open. No sign of life, unlike `find`."""
        self._see(key)
        session = self._by_digest.get(_digest(token))
        return session is not None and self._clock.monotonic() < min(session.ends, session.idle_ends)

    def close(self, token: str) -> bool:
        """Whether there was one."""
        return self._by_digest.pop(_digest(token), None) is not None

    def end_all(self) -> None:
        self._by_digest.clear()

    def _see(self, key: str | None) -> None:
        """Another admin key is in force: what the old one opened is over."""
        digest = None if key is None else _digest(key)
        if digest != self._key:
            self._key = digest
            self.end_all()

    def _forget_ended(self) -> None:
        now = self._clock.monotonic()
        ended = [digest for digest, one in self._by_digest.items() if now >= min(one.ends, one.idle_ends)]
        for digest in ended:
            del self._by_digest[digest]


def tokens_in(cookies: list[str]) -> list[str]:
    """Those of our name in the `Cookie` lines of a request (RFC 6265, section 4.2)."""
    pairs = [pair.strip().partition("=") for line in cookies for pair in line.split(";")]
    return [value.strip('"') for name, _, value in pairs if name == COOKIE and value][:_MOST_TOKENS]


def csrf_token_of(token: str) -> str:
    """Bound to the session, and of no use for finding its token; so it need not be kept."""
    return hmac.new(token.encode(), b"headgate csrf", hashlib.sha256).hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
