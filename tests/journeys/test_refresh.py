"""One refresh, whoever asks and whoever dies: over two gateways on one database, and killed at every step."""

import asyncio
import secrets
import threading
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message
from tests.guides.signing_in import code_shown, declared, settings_of
from tests.journeys.wire import ask, fetch, request
from tests.serve_with_deaths import STEPS

_REQUEST = request(body=ask("say 5 words"))


def _two_gateways(
    folder: Path, provider: SimulatedProvider, database: str, *accounts: dict[str, Any], **more: Any
) -> "tuple[Gateway, Gateway]":
    """On one database, each with a folder and a port of its own; one key opens the secrets of both."""
    environment = {"HEADGATE_SECRET_KEY": secrets.token_urlsafe(32)}
    made = []
    for name in ("one", "other"):
        (folder / name).mkdir()
        made.append(
            Gateway(
                folder / name,
                provider=provider.url,
                accounts=accounts,
                settings=settings_of(provider),
                database=database,
                environment=environment,
                **more,
            )
        )
    return made[0], made[1]


# ---- two gateways ----------------------------------------------------------------------------------


async def test_500_requests_over_two_gateways_make_one_refresh(tmp_path: Path, postgres_url: str) -> None:
    """All of them wait for it, in both processes, and all of them are served."""
    time = tmp_path / "time"
    clock = SharedClock(time)
    async with AsyncExitStack() as open_ones:
        provider = await open_ones.enter_async_context(SimulatedProvider(clock=time))
        team = declared("team", provider.grant("ann", lifetime_seconds=3600), provider)
        for gateway in (gateways := _two_gateways(tmp_path, provider, postgres_url, team, clock=time)):
            await open_ones.enter_async_context(gateway)
            assert (await fetch(gateway.url, _REQUEST)).status == 200
        provider.sign_in(delay_ms=500)
        clock.advance(4000)  # the token has ended for everybody
        answers = await asyncio.gather(
            *(fetch(gateway.url, _REQUEST) for gateway in gateways for _ in range(250))
        )
        assert [answer.status for answer in answers] == [200] * 500
        counts = provider.sign_ins()["ann"]
        asked = (counts["refreshes_asked"], counts["refreshes_granted"], counts["double_refreshes"])
        assert asked == (1, 1, 0)
    clock.close()


async def test_what_one_gateway_changes_the_other_knows(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """Accounts put in, paused, signed in again and taken out; limits that one has met."""
    async with AsyncExitStack() as open_ones:
        one, other = _two_gateways(tmp_path, provider, postgres_url)
        await open_ones.enter_async_context(one)
        await open_ones.enter_async_context(other)
        new = {"name": "work", "api_key": "sk-ant-sim-work", "base_url": provider.url}
        one.admin("/api/accounts", method="POST", body=new)
        wait_until(lambda: _names(other) == ["work"], what="the account at the other")
        assert message(other).status_code == 200
        one.admin("/api/accounts/work/pause", method="POST")
        wait_until(lambda: other.account("work")["paused"], what="the pause at the other")
        one.admin("/api/accounts/work/resume", method="POST")
        wait_until(lambda: not other.account("work")["paused"], what="its end at the other")

        provider.script("sk-ant-sim-work", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
        assert message(one).status_code == 429
        wait_until(lambda: other.account("work")["status"] == "rate_limited", what="the limit at the other")
        assert other.account("work")["rate_limit_reset"] == one.account("work")["rate_limit_reset"]

        started = one.admin("/oauth/authorize?account=team")
        one.admin("/oauth/exchange", method="POST", body={"code": code_shown(started["url"])})
        wait_until(lambda: "team" in _names(other), what="the sign-in at the other")
        assert message(other).status_code == 200
        one.admin("/api/accounts/work", method="DELETE")
        wait_until(lambda: _names(other) == ["team"], what="the removal at the other")


async def test_a_refused_account_comes_back_at_both(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """One gateway finds that the sign-in was revoked; its owner signs in again at the other."""
    team = declared("team", provider.grant("ann", lifetime_seconds=3600), provider)
    async with AsyncExitStack() as open_ones:
        one, other = _two_gateways(tmp_path, provider, postgres_url, team)
        await open_ones.enter_async_context(one)
        await open_ones.enter_async_context(other)
        provider.revoke("ann")
        assert message(one).status_code == 403
        for gateway in (one, other):
            wait_until(lambda at=gateway: at.account("team")["status"] == "needs_reauth", what="needs_reauth")
        provider.sign_in(login="ann")
        started = other.admin("/oauth/authorize?account=team&reauth=true")
        other.admin("/oauth/exchange", method="POST", body={"code": code_shown(started["url"])})
        for gateway in (one, other):
            wait_until(lambda at=gateway: at.account("team")["status"] == "active", what="active again")
            assert message(gateway).status_code == 200


def _names(gateway: Gateway) -> list[str]:
    return [account["name"] for account in gateway.admin("/api/accounts")["accounts"]]


# ---- killed ----------------------------------------------------------------------------------------


class DyingGateway(Gateway):
    """Dies at a step of its first refresh, unless the step is taken from it."""

    step: str | None = None

    def program(self) -> tuple[str, list[str]]:
        module, command = super().program()
        return (
            (module, command) if self.step is None else ("tests.serve_with_deaths", [self.step, *self.served])
        )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("keeps_old", [True, False], ids=["old token good for a while", "old token dead"])
def test_killed_at_every_step_of_a_refresh(
    tmp_path: Path, provider: SimulatedProvider, step: str, keeps_old: bool
) -> None:
    """The account comes back when the provider takes what is stored; else it says why it needs its owner."""
    provider.sign_in(reuse_seconds=60 if keeps_old else 0)
    team = declared("team", provider.grant("ann", lifetime_seconds=-10), provider)
    spare = {"name": "spare", "api_key": "sk-ant-sim-spare", "priority": 9}
    gateway = DyingGateway(
        tmp_path, provider=provider.url, accounts=(team, spare), settings=settings_of(provider)
    )
    with ExitStack() as closing:
        closing.callback(gateway.stop)
        gateway.step = step
        with suppress(RuntimeError):  # it may die before it listens
            gateway.start()
        wait_until(lambda: not gateway.is_alive, what="its death")
        gateway.stop()
        gateway.step = None
        gateway.start()
        is_lost = step == "before the tokens are kept" and not keeps_old
        wanted = "needs_reauth" if is_lost else "active"
        wait_until(lambda: _is_settled(gateway, wanted), what=f"the account {wanted}")
        if is_lost:
            assert "cut off" in gateway.account("team")["skipped_because"]
            logged(gateway, r"Failed to refresh token for account team: .*invalid_grant.*cut off")
        else:
            assert message(gateway).status_code == 200
            assert gateway.account("team")["request_count"] >= 1
        counts = provider.sign_ins()["ann"]
        assert counts["double_refreshes"] == (1 if is_lost else 0)


def _is_settled(gateway: Gateway, status: str) -> bool:
    """Of no account an old token is left."""
    account = gateway.account("team")
    expires_at = account["expires_at"]
    is_fresh = status == "needs_reauth" or expires_at > account["created_at"] / 1000 + 60
    return account["status"] == status and is_fresh


def test_a_stop_waits_for_a_refresh_that_was_sent(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Its tokens are kept: the next life needs no other."""
    provider.sign_in(delay_ms=1500)
    team = declared("team", provider.grant("ann", lifetime_seconds=-10), provider)
    gateway = Gateway(tmp_path, provider=provider.url, accounts=(team,), settings=settings_of(provider))
    with gateway:
        asking = threading.Thread(target=_quietly, args=(gateway,), daemon=True)
        asking.start()
        wait_until(lambda: provider.sign_ins()["ann"]["refreshes_asked"], what="a refresh")
        gateway.stop(expect_code=0)
        asking.join(30)
        provider.sign_in()
        gateway.start()
        assert message(gateway).status_code == 200
        counts = provider.sign_ins()["ann"]
        assert (counts["refreshes_asked"], counts["double_refreshes"]) == (1, 0)


def _quietly(gateway: Gateway) -> None:
    """A client whose gateway may end."""
    try:
        message(gateway)
    except httpx.HTTPError:
        return
