"""`headgate account add NAME --oauth` with a person who does something else than paste a code."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import PATIENCE_SECONDS, Gateway
from tests.guides.signing_in import account_command, gateway_with, settings_of
from tests.starts import Talking


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as provider:
        yield provider


@contextmanager
def signing_in(gateway: Gateway) -> Iterator[tuple[Talking, str]]:
    """The command at its question, with the address it shows; its input stays open."""
    with account_command(gateway, "add", "team", "--oauth") as command:
        assert command.stderr is not None
        _, address, question = (command.stderr.readline() for _ in range(3))
        assert "paste" in question
        try:
            yield command, address.strip()
        finally:
            if command.poll() is None:
                command.kill()


def test_ctrl_c_ends_it_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Without another key pressed; nothing comes of the sign-in."""
    with gateway_with(tmp_path, provider) as gateway, signing_in(gateway) as (command, address):
        command.send_signal(signal.SIGINT)
        assert command.wait(PATIENCE_SECONDS) == 130
        assert command.stderr is not None and command.stderr.read().strip() == ""
        state = httpx.URL(address).params["state"]
        assert gateway.admin(f"/oauth/status?state={state}")["status"] == "cancelled"


def test_a_page_that_leads_back_ends_it(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Also by a name that the gateway does not know to be its own, as behind a proxy."""
    gateway = Gateway(tmp_path, accounts=())
    gateway.start()
    gateway.stop()  # its port is known now
    callback = gateway.url.replace("127.0.0.1", "localhost") + "/oauth/callback"
    settings = json.loads(gateway.config.read_text())
    gateway.config.write_text(json.dumps({**settings, **settings_of(provider, redirect_uri=callback)}))
    with gateway, signing_in(gateway) as (command, address):
        page = httpx.get(address, follow_redirects=True)
        assert "The account team is ready" in page.text
        assert command.wait(PATIENCE_SECONDS) == 0
        assert command.stdout is not None and "Account team added" in command.stdout.read()
