"""`headgate status` of a running gateway."""

import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import Command
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.planting import put
from tests.guides.signing_in import declared, settings_of
from tests.testing.wire import ask


async def test_status_shows_health_rotation_and_accounts(headgate: Command, gateway: Gateway) -> None:
    """For people as lines that fit, for programs as one document."""
    empty = await headgate("status", COLUMNS="80")
    assert empty.code == 0, empty.err
    assert f"is degraded, on {gateway.url}, up for" in empty.out
    assert "No account has been put in yet" in empty.out
    await headgate.add("work")
    shown = (await headgate("status", COLUMNS="80")).out
    assert f"is ok, on {gateway.url}, up for" in shown
    assert "Strategy session, rotation on" in shown
    assert "Recorder running" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split()[0] for line in shown.splitlines() if "active" in line] == ["work"]
    assert shown.splitlines()[-1] == "1 of 1 accounts can serve now"


async def test_status_says_who_cannot_serve_and_what_mends_it(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Most accounts wait for their owner: it does not look fine, and each has its own mend."""
    for name in ("refused", "refused-too", "spare", "paused"):
        await headgate.add(name, "--base-url", provider.url)
    await headgate("account", "pause", "paused")
    for name in ("refused", "refused-too"):
        provider.script(f"sk-ant-sim-{name}", rules=[{"fault": "status", "status": 401}])
        assert (await headgate("account", "test", name)).code == 1
    shown = (await headgate("status", COLUMNS="80")).out
    assert "is degraded" in shown
    assert "2 of 3 accounts wait for the owner: 2 needs_reauth (refused, refused-too)" in " ".join(
        shown.split()
    )
    assert "1 of 4 accounts can serve now:" in shown
    assert "  refused: needs re-auth: 401 authentication_error invalid x-api-key" in shown
    assert "    headgate account reauth refused gives it a new key." in shown
    assert "    headgate account resume paused ends it." in shown
    assert max(map(len, shown.splitlines())) <= 80


async def test_one_account_that_waits_for_its_owner_is_named(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """The rest serves: that is not ok without a word, nor is it degraded. A stranger hears no name."""
    for name in ("refused", "spare", "third"):
        await headgate.add(name, "--base-url", provider.url)
    provider.script("sk-ant-sim-refused", rules=[{"fault": "status", "status": 401}])
    assert (await headgate("account", "test", "refused")).code == 1
    shown = (await headgate("status", COLUMNS="120", NO_COLOR="1")).out
    assert "is up, but not all is well, on" in shown
    assert "1 of 3 accounts waits for the owner: 1 needs_reauth (refused)" in shown
    assert "0 requests in flight, 0 streams among them" in shown
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as stranger:
        said = (await stranger.get("/health", headers={"via": "1.1 proxy"})).text
    assert "waits for the owner: 1 needs_reauth" in said
    assert "refused" not in said


def test_a_gateway_that_finishes_a_stream_is_stopping(tmp_path: Path, provider: SimulatedProvider) -> None:
    """It listens no more but it is there: `headgate serve` would be the wrong advice. Gone, it is gone."""
    provider.script("*", rules=[{"fault": "hang", "stage": "mid_body", "event": 2}])
    settings = {"server": {"shutdown_grace_seconds": 60}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        with httpx.stream(
            "POST", f"{gateway.url}/v1/messages", json=ask(stream=True), headers={"x-api-key": CLIENT_KEY}
        ) as answer:
            pieces = answer.iter_raw()  # held: a forgotten iterator closes the answer
            assert next(pieces)
            os.kill(gateway.pid, signal.SIGTERM)
            wait_until(lambda: is_refused(gateway.url), what="the end of listening")
            stopping = gateway.command("status")
            assert gateway.is_alive
        gateway.stop(expect_code=0)
        stopped = gateway.command("status")
    assert (stopping.returncode, stopped.returncode) == (1, 1)
    assert stopping.stderr.startswith("error: The gateway is stopping\n")
    assert "headgate serve" not in stopping.stderr
    assert stopped.stderr.startswith("error: No gateway is running\n")


def is_refused(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((address.hostname or "", address.port or 0)) != 0


def test_the_mend_is_one_that_works_for_this_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A key of the settings or of a file is changed there; an account that signed in signs in again."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    file = folder / "team.example.com.credentials.json"
    put(file, {"type": "api_key", "accountId": "acc_1", "api_key": "sk-ant-unknown"})
    signed_in = declared("person", provider.grant("person"), provider)
    settings = {**settings_of(provider), "sources": {"credentials_dir": str(folder)}}
    accounts = ({"name": "written", "api_key": "sk-ant-known-to-nobody"}, signed_in)
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=settings) as gateway:
        provider.revoke("person")
        for name, mend in (
            ("written", "mend: Put a new key into `accounts` in the settings file."),
            ("person", "mend: headgate account reauth person"),
            ("team.example.com", f"mend: Put a new key into {file}."),
        ):
            tested = gateway.command("account", "test", name)
            assert (tested.returncode, mend in " ".join(tested.stderr.split())) == (1, True), tested.stderr
        said = gateway.command("status").stdout
        assert "    Put a new key into `accounts` in the settings file." in said
        assert "    headgate account reauth person signs it in again." in said
        assert f"    Put a new key into credentials/{file.name}." in said
