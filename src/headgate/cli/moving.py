"""`headgate import …`: move in from another gateway. What it left is only read."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.terminal import failing_as, read_stdin

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate import ccflare ~/.config/ccflare/ccflare.db --dry-run",
    help="Move in from another gateway: accounts, keys, settings, history.",
)

_MOST_CHARACTERS = 4096
"""Of an address."""


class What(StrEnum):
    """The kinds of things that move."""

    ACCOUNTS = "accounts"
    KEYS = "keys"
    SETTINGS = "settings"
    HISTORY = "history"


Only = Annotated[
    list[What] | None,
    typer.Option("--only", metavar="accounts|keys|settings|history", help="Nothing else; repeat."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Change accounts and settings that are here already, too.")
]


@app.command("ccflare", epilog="Example: headgate import ccflare ~/.config/ccflare/ccflare.db --dry-run")
def ccflare(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its database, or the folder that holds it.")],
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE", help="Its JSON file, if it is not beside it.")
    ] = None,
    only: Only = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Move in from ccflare, better-ccflare or claudeflare; they may be running."""
    _move_in(
        lambda: on_demand.read_ccflare(path, settings),
        **_how(only, dry_run=dry_run, replace=replace, config=config, as_json=as_json),
    )


@app.command("claude-code-proxy", epilog="Example: headgate import claude-code-proxy ~/.claude/accounts.json")
def claude_code_proxy(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its accounts.json, or the folder with it.")],
    env: Annotated[
        Path | None, typer.Option("--env", metavar="FILE", help="Its .env, if it is not beside it.")
    ] = None,
    only: Only = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Move in from claude-code-proxy (claude-proxy-multi): accounts.json in any of its shapes, and .env."""
    _move_in(
        lambda: on_demand.read_claude_code_proxy(path, env),
        **_how(only, dry_run=dry_run, replace=replace, config=config, as_json=as_json),
    )


@app.command(
    "claude-nexus-proxy", epilog="Example: headgate import claude-nexus-proxy ./credentials --dry-run"
)
def claude_nexus_proxy(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Its credentials folder, its PostgreSQL address, its checkout or .env, in any order; "
            "-: a line of standard input.",
        ),
    ],
    only: Only = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Move in from claude-nexus-proxy. An address with a password is best read from .env or a pipe."""
    given = [
        read_stdin("Cannot move in", most=_MOST_CHARACTERS).strip() if one == "-" else one for one in paths
    ]
    _move_in(
        lambda: on_demand.read_claude_nexus_proxy(given),
        **_how(only, dry_run=dry_run, replace=replace, config=config, as_json=as_json),
    )


@app.command("cliproxyapi", epilog="Example: headgate import cliproxyapi ./config.yaml --dry-run")
def cliproxyapi(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Its config.yaml, the folder with it, or its auth folder.")
    ],
    auth_dir: Annotated[
        Path | None, typer.Option("--auth-dir", metavar="DIR", help="Where its credential files lie now.")
    ] = None,
    only: Only = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Move in from CLIProxyAPI or a fork of it: its settings file and its folder of credentials."""
    _move_in(
        lambda: on_demand.read_cliproxyapi(path, auth_dir),
        **_how(only, dry_run=dry_run, replace=replace, config=config, as_json=as_json),
    )


def _how(only: list[What] | None, **options: Any) -> dict[str, Any]:
    return {**options, "only": frozenset(str(one) for one in only or What)}


def _move_in(read: Callable[[], Awaitable[Any]], *, as_json: bool, **how: Any) -> None:
    async def run() -> Any:
        return await on_demand.move_in(await read(), **how)

    with failing_as("Cannot move in"):
        report = asyncio.run(run())
    on_demand.print_report(report, as_json=as_json)
    if report.has_failed:
        raise typer.Exit(1)
