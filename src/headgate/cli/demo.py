"""`headgate demo`: gateway, simulated provider and a little traffic on this machine alone."""

import asyncio
import json
import shlex
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli import demo_traffic
from headgate.cli.accounts import print_accounts
from headgate.cli.child import ChildGateway
from headgate.cli.control import running_gateway
from headgate.cli.http import httpx
from headgate.cli.options import ConfigPath
from headgate.cli.terminal import CommandFailed, out
from headgate.config import places
from headgate.testing.process import SimulatedProvider

REQUEST_TIMEOUT_SECONDS = 30.0


def demo(
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of the gateway; 0 takes a free one.")
    ] = 0,
    once: Annotated[bool, typer.Option("--once", help="End after the show instead of running on.")] = False,
    config: ConfigPath = None,
) -> None:
    """Show the gateway at work, with no account and no network. Ctrl+C ends it and leaves nothing."""
    if config is not None:
        out.print("The demo has settings of its own: --config is not read.", markup=False)
    with tempfile.TemporaryDirectory(prefix="headgate-demo-") as folder:
        try:
            asyncio.run(_show(Path(folder), port, once=once))
        except asyncio.CancelledError:
            out.print("Stopped.", style="dim")


async def _show(folder: Path, port: int, *, once: bool) -> None:
    _cancel_on_signals()
    out.print("Starting a simulated provider and a gateway …", style="dim")
    async with SimulatedProvider() as provider, ChildGateway(folder, port=port) as gateway:
        await _play(folder, provider, gateway)
        if once:
            out.print(
                "Without --once it runs on, for you to ask it yourself: with curl, or with Claude Code.",
                markup=False,
            )
            return
        _print_what_to_try(gateway.url, folder / "data")
        out.print("\nRunning until Ctrl+C.", style="dim")
        out.file.flush()  # whoever reads it from a pipe has all of it now
        code = await gateway.ended()
        raise CommandFailed("The demo ended", f"the gateway stopped with exit code {code}")


def _cancel_on_signals() -> None:
    """Every way of being stopped unwinds the same way, so that nothing is left running."""
    task = asyncio.current_task()
    assert task is not None
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has neither the handlers nor SIGHUP; Ctrl+C unwinds as KeyboardInterrupt there.
        with suppress(NotImplementedError, AttributeError):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)


async def _play(folder: Path, provider: SimulatedProvider, gateway: ChildGateway) -> None:
    async with (
        running_gateway(folder / "data") as control,
        httpx.AsyncClient(base_url=gateway.url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False) as client,
    ):
        if control is None:
            raise CommandFailed("The demo cannot reach its gateway", "its control socket does not answer")
        await demo_traffic.put_accounts_in(control, provider)
        demo_traffic.set_the_scene(provider)
        out.print(f"Gateway on {gateway.url}, provider on {provider.url}", markup=False)
        await _show_conversations(client)
        await _show_stream(client)
        accounts = await control.get("/api/accounts", doing="Cannot list the accounts")
        print_accounts(accounts["accounts"], more="A wider terminal")


async def _show_conversations(client: httpx.AsyncClient) -> None:
    statuses = await demo_traffic.converse(client)
    served = statuses.count(200)
    out.print(
        f"{served} of {len(statuses)} conversations answered; account {demo_traffic.LIMITED} ran into its "
        "limit on the way, and the others took over.",
        markup=False,
    )
    if served != len(statuses):
        raise CommandFailed("The demo went wrong", f"the conversations were answered with {statuses}")


async def _show_stream(client: httpx.AsyncClient) -> None:
    out.print("A streamed answer, as it arrives:\n", style="dim")
    async for text in demo_traffic.stream(client):
        out.print(text, end="", markup=False, soft_wrap=True)
        out.file.flush()
    out.print("\n")


def _print_what_to_try(url: str, data: Path) -> None:
    body = json.dumps(demo_traffic.message("Hello"))
    out.print("Three things to try in another terminal:")
    for line in (
        f"  curl {url}/v1/messages -H 'content-type: application/json' -d '{body}'",
        f"  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=demo claude",
        f"  {places.DATA_VARIABLE}={shlex.quote(str(data))} headgate status",
    ):
        out.print(line, style="bold", markup=False, soft_wrap=True)
