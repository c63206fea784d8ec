"""Compares the key that a request offers with the admin key: plain, or an argon2 hash (`$argon2…`).

Verifying a hash costs about 100 ms of CPU, on several cores. So answers are kept as digests, and one hash
is verified at a time, off the event loop. Whose turn it is then is drawn by lot: first the address, where one
that has guessed wrong weighs less, then one of those that wait there. Nobody can push the owner aside by
being first, last or many addresses: an owner who keeps asking beside N guessers of his own address comes
after N of them in the mean, whenever he came and however often he asked again. From then on he never waits.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from contextlib import suppress

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.datastructures import Headers

from headgate.errors import TooManyGuesses

MOST_WAITING = 256
"""Beyond this one is refused, drawn by lot of the address that has most: at 64 KB of body each, 16 MB."""

LONGEST_WAIT_SECONDS = 10.0
"""Then the lot is drawn anew by asking again: before, nothing is lost by it."""

RETRY_AFTER_SECONDS = 2

_MOST_DOUBLED = 6
"""Each wrong key halves the weight of its address, to a 64th at least: it may be the owner's."""

_MOST_ADDRESSES = 4096
"""Whose wrong keys are counted; the one that guessed longest ago is forgotten."""

_SPACES = " \t"
"""Those of HTTP alone: among what a plain `strip` takes away are two bytes that end letters in UTF-8."""

_LOT = secrets.SystemRandom()

_MOST_REFUSED = 256
"""Wrong keys that are known as such: a program that keeps sending one costs nothing."""


def offered_key(headers: Headers) -> str | None:
    """The one key that counts: the first that is there of the three headers, the more telling names first."""
    for name in ("x-dashboard-key", "x-management-key"):
        if key := headers.get(name, "").strip(_SPACES):
            return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip(_SPACES) or None) if scheme.lower() == "bearer" else None


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
        self.line = Line()

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
        """When its lot is drawn. Raises TooManyGuesses where that takes too long.

        Whoever is cancelled leaves the line; a verification that has begun goes on to its end.
        """
        await self._turn(address)
        known = self.answer(key, offered)  # the one before may have brought the same
        if known is not None:
            self._pass_on()
            return known
        self.verifications += 1
        running = asyncio.get_running_loop().run_in_executor(None, _argon2_opens, key, offered)
        running.add_done_callback(lambda done: self._finished(done, key, offered, _neighbourhood(address)))
        return await asyncio.shield(running)

    async def _turn(self, address: str) -> None:
        if not self._is_verifying:
            self._is_verifying = True
            return
        turn = self.line.join(_neighbourhood(address))
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await self._wait_for(turn)
                return
        raise _too_many_guesses()  # with no other error as its context, whose frames would lead back to it

    async def _wait_for(self, turn: "asyncio.Future[None]") -> None:
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self.line.leave(turn)
            elif turn.exception() is None:
                self._pass_on()
            raise

    def _finished(self, done: "asyncio.Future[bool]", key: str, offered: str, address: str) -> None:
        if key == self._key and not done.cancelled() and done.exception() is None:
            digest = self._digest(key, offered)
            if done.result():
                self._opened_by = digest
            else:
                self.line.note_wrong(address)
                self._refused[digest] = None
                if len(self._refused) > _MOST_REFUSED:
                    del self._refused[next(iter(self._refused))]
        self._pass_on()

    def _pass_on(self) -> None:
        """To the next in the line, else the lock is free."""
        turn = self.line.pop()
        self._is_verifying = turn is not None
        if turn is not None:
            turn.set_result(None)

    def _digest(self, key: str, offered: str) -> bytes:
        return hashlib.sha256(self._salt + key.encode() + b"\0" + _sent_bytes(offered)).digest()


class Line:
    """Who waits, by address. Whose turn it is, and who is refused when there is no room, is drawn by lot."""

    def __init__(self) -> None:
        self._turns: dict[str, list[asyncio.Future[None]]] = {}
        self._wrong: dict[str, int] = {}
        """Keys that did not open, by address."""

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))

    def join(self, address: str) -> "asyncio.Future[None]":
        """What to wait for."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.setdefault(address, []).append(turn)
        if len(self) > MOST_WAITING:
            self._refuse_one()
        return turn

    def leave(self, turn: "asyncio.Future[None]") -> None:
        self._keep(lambda one: one is not turn)

    def pop(self) -> "asyncio.Future[None] | None":
        """Whose turn it is."""
        self._keep(lambda one: not one.done())
        if not self._turns:
            return None
        addresses = list(self._turns)
        weights = [2.0 ** -min(self._wrong.get(one, 0), _MOST_DOUBLED) for one in addresses]
        turn = _LOT.choice(self._turns[_LOT.choices(addresses, weights)[0]])
        self.leave(turn)
        return turn

    def note_wrong(self, address: str) -> None:
        self._wrong[address] = self._wrong.pop(address, 0) + 1
        if len(self._wrong) > _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]

    def _refuse_one(self) -> None:
        most = max(map(len, self._turns.values()))
        refused = _LOT.choice(_LOT.choice([turns for turns in self._turns.values() if len(turns) == most]))
        if not refused.done():
            refused.set_exception(_too_many_guesses())
        self._keep(lambda one: not one.done())

    def _keep(self, is_kept: "Callable[[asyncio.Future[None]], bool]") -> None:
        kept = {address: [one for one in turns if is_kept(one)] for address, turns in self._turns.items()}
        self._turns = {address: turns for address, turns in kept.items() if turns}


def _too_many_guesses() -> TooManyGuesses:
    return TooManyGuesses(
        "More keys are sent to the owner's side than can be looked at",
        hint="Try again: whose key is looked at next is drawn by lot. headgate on the gateway's own machine "
        "needs no key and is never behind this.",
    )


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
