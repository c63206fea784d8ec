"""What another gateway left is taken in: accounts, client keys, settings, history, each whole or not at all.

Through the owner's API, like every other command; the history, which may be long, straight into the database.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from headgate.cli import stopped
from headgate.cli.control import BASE_URL, TIMEOUT, Control, open_control, running_gateway
from headgate.cli.http import httpx
from headgate.cli.moving_accounts import take_accounts
from headgate.cli.moving_history import take_history
from headgate.cli.moving_report import FAILED, LEFT_OUT, Report
from headgate.cli.moving_settings import take_keys, take_settings
from headgate.cli.moving_state import WANTED, Move
from headgate.cli.options import load_quietly, origin
from headgate.cli.terminal import clock_time
from headgate.config.loading import Loaded
from headgate.moving.found import ACCOUNT, Found, names_of
from headgate.storage.location import locate


async def move_in(
    found: Found, *, config: Path | None, only: frozenset[str], dry_run: bool, replace: bool
) -> Report:
    """Raises CommandFailed and HeadgateError only where nothing can be done at all."""
    report = Report(found.system, dry_run)
    async with _control(config, dry_run=dry_run) as (control, loaded):
        move = Move(found, report, control, loaded, only, replaces=replace)
        # What one kind meets does not keep out the next; but the history wants to know the accounts.
        await take_accounts(move)
        await take_keys(move)
        await take_settings(move)
        await take_history(move)
        _say_what_is_left_out(move)
        await _say_what_cannot_be_refreshed(move)
    return report


@asynccontextmanager
async def _control(config: Path | None, *, dry_run: bool) -> AsyncIterator[tuple[Control, Loaded]]:
    """The gateway that runs, or the database; for a dry run where there is none, one that is thrown away."""
    loaded = load_quietly(config)
    path = locate(loaded.settings.storage.address, loaded.data_folder).path
    async with running_gateway(origin(config).data_folder()) as gateway:
        is_there = gateway is not None or path is None or path.exists()
    if is_there or not dry_run:
        async with open_control(config, writes=not dry_run) as control:
            yield control, loaded
        return
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        trial = load_quietly(config, storage_url=f"sqlite:///{folder}/headgate.db")
        async with stopped.open_app(trial, may_create=True) as app:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url=BASE_URL, timeout=TIMEOUT, trust_env=False
            ) as client:
                yield Control(client, is_running=False), trial


def _say_what_is_left_out(move: Move) -> None:
    for one in move.found.left_out:
        if WANTED.get(one.kind) in (None, *move.only):
            move.report.add(one.kind, one.name, FAILED if one.is_failure else LEFT_OUT, one.why)


async def _say_what_cannot_be_refreshed(move: Move) -> None:
    signed_in = [one for one in move.taken or () if one.signs_in and move.wants(ACCOUNT)]
    for one in signed_in:
        if one.refresh_token is None:
            ends = clock_time(one.expires_at) if one.expires_at else "no one knows when"
            move.report.notices.append(
                f"{one.name} came without a refresh token. Its access token ends ({ends}), then it must "
                f"sign in again: headgate account reauth {one.name}"
            )
    if new := [one.name for one in signed_in if one.refresh_token and one.name in move.new]:
        move.report.notices.append(
            f"{names_of(new)}: stop the other gateway now. Were both to refresh the same tokens, the "
            "provider would take back what one of them has"
        )
    here = await move.settings_here()
    for provider in sorted({one.provider for one in signed_in if one.refresh_token}):
        path = f"providers.{provider}.oauth.client_id"
        if path not in move.set_now and not (here.get(path) or {}).get("value"):
            names = [one.name for one in signed_in if one.provider == provider and one.refresh_token]
            move.report.notices.append(
                f"{names_of(names)}: no client id is set, so their tokens cannot be refreshed when they "
                f"end. Mend: headgate config set {path} YOUR-CLIENT-ID"
            )
