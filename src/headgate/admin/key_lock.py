"""Compares the key that a request offers with the admin key: plain, or an argon2 hash (`$argon2…`).

Verifying a hash costs about 100 ms of CPU. So answers are kept as digests, one hash is verified at a time
and off the event loop, and who has to wait for that waits in a short line: no guesser keeps the owner out.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.datastructures import Headers

from headgate.errors import TooManyGuesses

MOST_WAITING = 64
MOST_WAITING_PER_ADDRESS = 8
"""Times 100 ms: longer than this nobody waits."""

RETRY_AFTER_SECONDS = 2

_MOST_REFUSED = 256
"""Wrong keys that are known as such: a program that keeps sending one costs nothing."""


def offered_key(headers: Headers) -> str | None:
    """The one key that counts: the first that is there of the three headers, the more telling names first."""
    for name in ("x-dashboard-key", "x-management-key"):
        if key := headers.get(name, "").strip():
            return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


class KeyLock:
    """Remembers, for the admin key in force, the key that opened and some that did not."""

    def __init__(self) -> None:
        self.verifications = 0
        """How many hashes were verified so far."""
        self._salt = secrets.token_bytes(16)
        self._key = ""
        self._opened_by: bytes | None = None
        self._refused: dict[bytes, None] = {}
        self._is_verifying = False
        self._line = Line()

    def answer(self, key: str, offered: str | None) -> bool | None:
        """Whether it opens, where that is known without work; None: it has to be verified."""
        if offered is None:
            return False
        if not key.startswith("$argon2"):
            return hmac.compare_digest(_sent_bytes(offered), key.encode())
        if key != self._key:  # another admin key is in force: what was learnt of the old one is void
            self._key, self._opened_by = key, None
            self._refused.clear()
        digest = self._digest(key, offered)
        if self._opened_by is not None and hmac.compare_digest(digest, self._opened_by):
            return True
        return False if digest in self._refused else None

    async def verify(self, key: str, offered: str, address: str) -> bool:
        """After those before it in the line. Raises TooManyGuesses where that is too long.

        Whoever is cancelled leaves the line; a verification that has begun goes on to its end.
        """
        await self._turn(address)
        known = self.answer(key, offered)  # the one before may have brought the same
        if known is not None:
            self._pass_on()
            return known
        self.verifications += 1
        running = asyncio.get_running_loop().run_in_executor(None, _argon2_opens, key, offered)
        running.add_done_callback(lambda done: self._finished(done, key, offered))
        return await asyncio.shield(running)

    async def _turn(self, address: str) -> None:
        if not self._is_verifying:
            self._is_verifying = True
            return
        turn = self._line.join(_neighbourhood(address))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._line.leave(turn)
            elif turn.exception() is None:
                self._pass_on()
            raise

    def _finished(self, done: "asyncio.Future[bool]", key: str, offered: str) -> None:
        if key == self._key and not done.cancelled() and done.exception() is None:
            digest = self._digest(key, offered)
            if done.result():
                self._opened_by = digest
            else:
                self._refused[digest] = None
                if len(self._refused) > _MOST_REFUSED:
                    del self._refused[next(iter(self._refused))]
        self._pass_on()

    def _pass_on(self) -> None:
        """To the next in the line, else the lock is free."""
        turn = self._line.pop()
        self._is_verifying = turn is not None
        if turn is not None:
            turn.set_result(None)

    def _digest(self, key: str, offered: str) -> bytes:
        return hashlib.sha256(self._salt + key.encode() + b"\0" + _sent_bytes(offered)).digest()


class Line:
    """Who waits. Addresses take turns, so that one that sends much delays only itself; of one address the
    newest comes first, and what there is no room for is its oldest."""

    def __init__(self) -> None:
        self._turns: dict[str, list[asyncio.Future[None]]] = {}
        """By address, in the order of their turns."""

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))

    def join(self, address: str) -> "asyncio.Future[None]":
        """What to wait for."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        own = self._turns.setdefault(address, [])
        own.append(turn)
        if len(own) > MOST_WAITING_PER_ADDRESS:
            self._refuse_oldest(own)
        elif len(self) > MOST_WAITING:
            self._refuse_oldest(max(reversed(self._turns.values()), key=len))
        return turn

    def leave(self, turn: "asyncio.Future[None]") -> None:
        self._keep(lambda one: one is not turn)

    def pop(self) -> "asyncio.Future[None] | None":
        """Whose turn it is. Its address comes again after all others."""
        self._keep(lambda one: not one.done())
        for address in self._turns:
            own = self._turns.pop(address)
            turn = own.pop()
            if own:
                self._turns[address] = own
            return turn
        return None

    def _refuse_oldest(self, turns: "list[asyncio.Future[None]]") -> None:
        oldest = turns.pop(0)
        if not oldest.done():
            oldest.set_exception(
                TooManyGuesses(
                    "More keys are sent to the owner's side than can be looked at",
                    hint="Try again in a moment. headgate on the gateway's own machine needs no key "
                    "and is never behind this.",
                )
            )
        self._keep(lambda one: not one.done())

    def _keep(self, is_kept: "Callable[[asyncio.Future[None]], bool]") -> None:
        kept = {address: [one for one in turns if is_kept(one)] for address, turns in self._turns.items()}
        self._turns = {address: turns for address, turns in kept.items() if turns}


def _neighbourhood(address: str) -> str:
    """What one person has of addresses: of IPv6 a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped is not None:
        return address
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))


def _argon2_opens(hashed: str, offered: str) -> bool:
    try:
        return PasswordHasher().verify(hashed, _sent_bytes(offered))
    except (VerificationError, InvalidHashError):
        return False


def _sent_bytes(value: str) -> bytes:
    """The bytes of a header value as the caller sent them: ASGI hands them out read as Latin-1."""
    return value.encode("latin-1")
