"""`headgate serve`: run the gateway in the foreground until it is told to stop."""

import signal
from typing import Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.options import ConfigPath, load_quietly
from headgate.cli.terminal import failing_as


def serve(
    host: Annotated[str | None, typer.Option(metavar="H", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Run the gateway. SIGINT or SIGTERM ends it after the requests that run."""
    _take_signals(_end)
    loaded = load_quietly(config, server_host=host, server_port=port)  # the log says what is odd about them
    with failing_as("The gateway did not start"):
        code = on_demand.run_gateway(loaded)
    _take_signals(signal.SIG_IGN)  # one more changes nothing any more, least of all the exit code
    raise typer.Exit(code)


def _take_signals(handler: Any) -> None:
    """Until the gateway's own loop takes them, and after it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _end(*_: object) -> None:
    """Nothing is open yet."""
    raise SystemExit(0)
