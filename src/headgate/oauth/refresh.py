"""New tokens for accounts whose access token ends: one refresh at a time for each, whoever asks.

Within the process everybody waits for one task; between processes the turn is a row of the database
(`storage/sign_ins.py`), which also tells the others how it went. The order in one refresh keeps tokens from
being lost: the turn is written durably before the provider is asked, its answer is on the disk before
anything is done with it, and a refresh that was sent is not cut off, neither by a client that leaves nor by
the gateway's stop.
"""

import asyncio
import logging
import math
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

from headgate.clock import Clock
from headgate.errors import SettingsError, StorageError, TokenRefreshFailed, UpstreamError
from headgate.oauth.registration import Registrations
from headgate.oauth.token_endpoint import Granted, TokenEndpoint, TokenRefused, unreachable
from headgate.pool.accounts import Account, Credential
from headgate.pool.faults import Fault
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.pool.rests import utc
from headgate.storage.sign_ins import Failed, Gone, Held, Renewed, SignInStore, Taken
from headgate.tasks import TaskGroup

_TURN_SECONDS = 15.0
"""How long a process that died keeps the others out; one that is alive extends its turn."""
_EXTEND_SECONDS = 4.0
_LOOK_SECONDS = 0.1
"""Between two looks at a turn that another process holds."""
_LONGEST_LOOK_SECONDS = 1.0
_KEEP_SECONDS = 30.0
"""For which new tokens are tried to be saved before the account is given up: the provider has changed its
side, so they are all there is."""
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 5.0, 300.0
_CLOSING_SECONDS = 45.0

_log = logging.getLogger("headgate.oauth")


class Refresher:
    """Lives in the gateway's event loop."""

    def __init__(
        self,
        pool: Pool,
        store: SignInStore,
        endpoint: TokenEndpoint,
        registrations: Registrations,
        clock: Clock,
        *,
        holder: str,
        random: Random | None = None,
        on_renewed: Callable[[Account], None] = lambda account: None,
    ) -> None:
        """`holder` names this process among those on the database. `on_renewed` is told of every account
        whose tokens were refreshed here."""
        self.registrations = registrations
        self.endpoint = endpoint
        self._pool = pool
        self._store = store
        self._clock = clock
        self._holder = holder
        self._random = random or Random()
        self._on_renewed = on_renewed
        self._tasks = TaskGroup()
        self._is_closing = False
        self._running: dict[int, asyncio.Task[TokenRefreshFailed | None]] = {}
        self._failures: dict[int, int] = {}
        """Account id -> refreshes that failed in a row."""

    async def renew(self, living: LivingAccount, stale: Credential | None, *, insists: bool = False) -> None:
        """Returns when the account has other tokens than `stale`. Raises TokenRefreshFailed, after the
        account's health was told. `insists`: the owner asks, whatever failed before."""
        if living.account.credential is not stale:
            return
        running = self._running.get(living.id)
        if running is None:
            running = self._tasks.spawn(self._refresh(living, insists=insists), name="token refresh")
            self._running[living.id] = running
            running.add_done_callback(lambda _: self._running.pop(living.id, None))
        # Shielded: a client that leaves does not end what others wait for, and what the provider has begun.
        failure = await asyncio.shield(running)
        if failure is not None:
            raise TokenRefreshFailed(failure.message, needs_owner=failure.needs_owner, hint=failure.hint)

    async def close(self, hurry: asyncio.Event | None = None) -> None:
        """Let what was sent come to its end: an answer that nobody takes is a lost account. `hurry`: whoever
        sets it takes that risk."""
        self._is_closing = True
        if self._running:
            hurried = self._tasks.spawn((hurry or asyncio.Event()).wait(), name="hurry")
            ends = asyncio.gather(*self._running.values(), return_exceptions=True)
            await asyncio.wait({ends, hurried}, timeout=_CLOSING_SECONDS, return_when=FIRST_COMPLETED)
            ends.cancel()
        await self._tasks.cancel()

    # ---- one refresh -------------------------------------------------------------------------------

    async def _refresh(self, living: LivingAccount, *, insists: bool) -> TokenRefreshFailed | None:
        try:
            await self._in_turn(living, insists=insists)
        except TokenRefreshFailed as failure:
            _log.warning("%s", failure.message, extra={"account": living.account.name})
            return failure
        except StorageError as error:
            return self._failed(living, f"its turn could not be written: {error.message}", retry_seconds=None)
        self._failures.pop(living.id, None)
        return None

    async def _in_turn(self, living: LivingAccount, *, insists: bool) -> None:
        credential = living.account.credential
        if credential is None or credential.refresh_token is None:
            raise self._ended(living)
        try:
            registration = self.registrations.of(living.account.provider)
        except SettingsError as error:
            raise self._failed(living, error.message, hint=error.hint) from error
        turn = await self._turn(living, credential, insists=insists)
        match turn:
            case Renewed(account):
                self._pool.renew(account)
                return
            case Gone():
                raise TokenRefreshFailed(
                    f"There is no account {living.account.name} any more", needs_owner=True
                )
            case Failed(reason, seconds):
                raise self._failed(living, reason, needs_owner=seconds is None, retry_seconds=seconds)
        parameters = {"grant_type": "refresh_token", "refresh_token": credential.refresh_token}
        if credential.scopes:
            parameters["scope"] = " ".join(credential.scopes)
        try:
            async with self._holding(living.id):
                endpoint = self.endpoint.by(living.account.proxy)
                granted = await endpoint.grant(registration, parameters, before=credential)
        except UpstreamError as error:
            raise await self._refused(living, credential, unreachable(error), turn) from error
        except TokenRefused as refused:
            raise await self._refused(living, credential, refused, turn) from refused
        async with self._holding(living.id):
            kept = await self._kept(living, credential, granted)
        if kept is not None:
            self._pool.renew(kept)
            self._on_renewed(kept)
            _log.info("Refreshed the token of account %s", kept.name, extra={"account": kept.name})

    async def _turn(
        self, living: LivingAccount, credential: Credential, *, insists: bool
    ) -> Renewed | Gone | Failed | Taken:
        """Waits while another process is at it: it most often brings the tokens for us too."""
        wait = _LOOK_SECONDS
        while True:
            turn = await self._store.take_turn(
                living.id,
                version=credential.version,
                holder=self._holder,
                seconds=_TURN_SECONDS,
                insists=insists,
            )
            if not isinstance(turn, Held):
                return turn
            if self._is_closing:
                raise TokenRefreshFailed("The gateway is shutting down", needs_owner=False)
            insists = False  # the other's outcome is as new as ours would be
            await asyncio.sleep(min(wait, turn.seconds + 0.01))
            wait = min(wait * 1.5, _LONGEST_LOOK_SECONDS)

    @asynccontextmanager
    async def _holding(self, account_id: int) -> AsyncIterator[None]:
        """The turn stays ours as long as we are alive, however slow the provider is."""

        async def extend() -> None:
            while True:
                await asyncio.sleep(_EXTEND_SECONDS)
                with suppress(StorageError):
                    await self._store.extend(account_id, holder=self._holder, seconds=_TURN_SECONDS)

        extending = self._tasks.spawn(extend(), name="turn of a token refresh")
        try:
            yield
        finally:
            extending.cancel()

    async def _kept(self, living: LivingAccount, before: Credential, granted: Granted) -> Account | None:
        """Until the store has them: the old ones are worth nothing any more."""
        ends_at, wait = self._clock.monotonic() + _KEEP_SECONDS, 0.05
        while True:
            try:
                return await self._store.keep(living.id, granted.credential, version=before.version)
            except StorageError as error:
                if self._clock.monotonic() > ends_at:
                    reason = f"the provider gave new tokens, and they could not be saved: {error.message}"
                    raise self._failed(living, reason, needs_owner=True) from error
                _log.error(
                    "The new tokens of account %s are not saved yet: %s", living.account.name, error.message
                )
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    # ---- failures ----------------------------------------------------------------------------------

    def _ended(self, living: LivingAccount) -> TokenRefreshFailed:
        """There is nothing to ask with."""
        name = living.account.name
        words = f"Token expired or missing for account: {name}"
        living.health.apply(Fault.REFUSED, reason=words, now=self._clock.now())
        return TokenRefreshFailed(words, needs_owner=True, hint=f"headgate account reauth {name}")

    async def _refused(
        self, living: LivingAccount, credential: Credential, refused: TokenRefused, turn: Taken
    ) -> TokenRefreshFailed:
        reason = f"Token refresh failed: {refused.words}"
        if refused.is_final and turn.was_cut_off:
            reason += " (an earlier refresh was cut off, and with it the token that it brought)"
        hint = ""
        if refused.error == "invalid_client":
            setting = f"providers.{living.account.provider}.oauth.client_id"
            reason += f" (see the setting {setting})"  # stands wherever the account's state is shown
            hint = f"headgate config set {setting} with the client id that its tokens were given out to."
        retry_seconds = None if refused.is_final else self._retry_seconds(living.id)
        with suppress(StorageError):  # the turn then ends by itself
            await self._store.fail(
                living.id,
                version=credential.version,
                holder=self._holder,
                reason=reason,
                retry_seconds=retry_seconds,
            )
        return self._failed(
            living, reason, needs_owner=refused.is_final, retry_seconds=retry_seconds, hint=hint
        )

    def _retry_seconds(self, account_id: int) -> float:
        failures = self._failures[account_id] = self._failures.get(account_id, 0) + 1
        pause = min(_FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 20), _LAST_RETRY_SECONDS)
        return pause * self._random.uniform(0.8, 1.2)

    def _failed(
        self,
        living: LivingAccount,
        reason: str,
        *,
        needs_owner: bool = False,
        retry_seconds: float | None = None,
        hint: str = "",
    ) -> TokenRefreshFailed:
        """Tells the account's health: at once when only its owner helps, else once the token is of no use."""
        name, now = living.account.name, self._clock.now()
        reason = living.without_secret(reason)
        words = f"Failed to refresh token for account {name}: {reason}"
        if needs_owner:
            living.health.apply(Fault.REFUSED, reason=reason, now=now)
            hint = hint or f"headgate account reauth {name}"
        elif living.stale_at <= now:
            until = None if retry_seconds is None else now + retry_seconds
            living.health.apply(Fault.TOKEN_ENDED, until=until, reason=reason, now=now)
            hint = hint or f"It is tried again by itself; headgate account reauth {name} signs it in anew."
        else:
            until_then = "" if math.isinf(living.stale_at) else f" until {utc(living.stale_at)}"
            hint = hint or f"It serves with its present token{until_then}, and is tried again by itself."
        return TokenRefreshFailed(words, needs_owner=needs_owner, hint=hint)
