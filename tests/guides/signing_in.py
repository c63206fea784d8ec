"""A gateway whose accounts sign in at the simulated provider, and the person who does it."""

import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from re import search
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import NO_TLS, Gateway
from tests.starts import Talking, talk

CLIENT_ID = "client-of-the-owner"


def settings_of(provider: SimulatedProvider, **oauth: Any) -> dict[str, Any]:
    """The sign-in of the simulated provider, with the owner's client id."""
    client = {
        "client_id": CLIENT_ID,
        "authorize_url": f"{provider.url}/oauth/authorize",
        "token_url": f"{provider.url}/oauth/token",
        "device_url": f"{provider.url}/oauth/device",
        **oauth,
    }
    return {"providers": {"anthropic": {"base_url": provider.url, "oauth": client}}}


def declared(name: str, grant: dict[str, Any], provider: SimulatedProvider) -> dict[str, Any]:
    """An account of the settings that begins with these tokens."""
    tokens = {field: grant[field] for field in ("access_token", "refresh_token", "expires_at")}
    return {"name": name, "oauth": tokens, "base_url": provider.url}


def gateway_with(
    folder: Path, provider: SimulatedProvider, *accounts: dict[str, Any], **more: Any
) -> Gateway:
    return Gateway(folder, provider=provider.url, accounts=accounts, settings=settings_of(provider), **more)


def code_shown(url: str) -> str:
    """What the provider's page shows to the person who signs in there: `code#state`."""
    page = httpx.get(url, verify=NO_TLS)
    assert page.status_code == 200, page.text
    found = search(r'<code id="code">([^<]+)</code>', page.text)
    assert found is not None, page.text
    return unescape(found[1])


def account_command(gateway: Gateway, *arguments: str, stdin: int = subprocess.PIPE) -> Talking:
    """`headgate account …` as it runs, for a person who answers it."""
    command = ["account", *arguments, "--config", str(gateway.config)]
    return talk(command, folder=gateway.folder, environment=gateway.environment, stdin=stdin, text=True)


def sign_in_by_command(
    gateway: Gateway,
    provider: SimulatedProvider,
    *arguments: str,
    paste: Callable[[str], str] = lambda shown: shown,
) -> tuple[int, str]:
    """`headgate account …` with a person who reads the page and pastes what it shows, or what `paste` makes
    of it. Exit code, and all that was said after the page's address."""
    with account_command(gateway, *arguments) as command:
        assert command.stdin and command.stdout and command.stderr
        for line in command.stderr:
            if line.startswith(provider.url):
                command.stdin.write(paste(code_shown(line.strip())) + "\n")
                command.stdin.close()
                break
        said = command.stdout.read() + command.stderr.read()
        return command.wait(30), said
