"""`headgate key …`: the keys that clients show to come in."""

from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.text import Text

from headgate.cli import on_demand
from headgate.cli.account_changes import NONE
from headgate.cli.accounts import read_key
from headgate.cli.fitting import print_fitting
from headgate.cli.key_options import (
    Accounts,
    Concurrency,
    DailyUsd,
    Days,
    Domain,
    Expires,
    Holder,
    KeyFromStdin,
    KeyName,
    MayChoose,
    Models,
    Note,
    Providers,
    QueueWeight,
    Refused,
    Rpm,
    Tags,
    TotalUsd,
    Tpm,
    WeeklyUsd,
    WindowTokens,
    read_fields,
)
from headgate.cli.key_rows import COLUMNS, row
from headgate.cli.moments import read_span
from headgate.cli.options import AsJson, ConfigPath, warn
from headgate.cli.reach import change, is_new, item_path, look
from headgate.cli.terminal import CommandFailed, clock_time, confirm, out, print_json, table

app = typer.Typer(
    no_args_is_help=True, epilog="Example: headgate key list", help="The keys that clients show to come in."
)


@app.command("create", epilog="Example: headgate key create laptop --models 'claude-*' --expires 90d")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")],
    domain: Domain = None,
    models: Models = None,
    refused_models: Refused = None,
    providers: Providers = None,
    accounts: Accounts = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    window_tokens: WindowTokens = None,
    daily_usd: DailyUsd = None,
    weekly_usd: WeeklyUsd = None,
    total_usd: TotalUsd = None,
    queue_weight: QueueWeight = None,
    expires: Expires = None,
    days_from_first_use: Days = None,
    note: Note = None,
    owner: Holder = None,
    tag: Tags = None,
    may_choose_account: MayChoose = None,
    key_stdin: KeyFromStdin = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Make a client key and print it, this once. A running gateway asks for one from now on."""
    doing = f"Cannot create the client key {name}"
    body = read_fields(
        doing,
        domain=domain,
        models=models,
        refused_models=refused_models,
        providers=providers,
        accounts=accounts,
        expires=expires,
        limits={
            "rpm": rpm,
            "tpm": tpm,
            "concurrency": concurrency,
            "window_tokens": window_tokens,
            "daily_usd": daily_usd,
            "weekly_usd": weekly_usd,
            "total_usd": total_usd,
            "queue_weight": queue_weight,
        },
        days_from_first_use=days_from_first_use,
        note=note,
        owner=owner,
        tags=tag,
        may_choose_account=may_choose_account,
    )
    if key_stdin:
        body["key"] = read_key(f"headgate key create {name}", from_stdin=True, option="--key-stdin")
        _warn_of_short(body["key"], name)
    made = change(config, "POST", "/api/keys", doing=doing, body={**body, "name": name})
    _print_secret(made, f"Client key {name} created. It is shown this once:", as_json=as_json)


@app.command("list", epilog="Example: headgate key list --json")
def list_keys(
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked ones instead.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the client keys: until when they open, what they may use and have used, what they are for.

    The keys themselves nobody can show.
    """
    keys: list[Any] = []
    cursor = None if is_new(config, "access.api_keys") else "0"
    while cursor is not None:
        asked = urlencode({"limit": 1000, "cursor": cursor, "revoked": str(revoked).lower()})
        page = look(config, f"/api/keys?{asked}", doing="Cannot list the client keys")
        keys += page["keys"]
        cursor = page["next_cursor"]
    if as_json:
        print_json({"keys": keys})
    elif not keys:
        nothing = (
            "No client key was revoked"
            if revoked
            else "No client keys yet. Make one: headgate key create NAME"
        )
        out.print(nothing, markup=False)
    else:
        print_fitting(COLUMNS, [row(key) for key in keys], more="A wider terminal or --json")


@app.command("show", epilog="Example: headgate key show laptop")
def show(name: KeyName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show everything about one client key, but for the key itself."""
    key = look(config, item_path("keys", name), doing=f"Cannot show the client key {name}")
    if as_json:
        print_json(key)
        return
    out.print(table(("field", "value"), ((field, Text(_value(field, key[field]))) for field in key)))


@app.command("set", epilog="Example: headgate key set laptop --disabled")
def set_key(
    name: KeyName,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it opens.")] = None,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NEW", help="Its name from now on.")
    ] = None,
    domain: Domain = None,
    models: Models = None,
    refused_models: Refused = None,
    providers: Providers = None,
    accounts: Accounts = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    window_tokens: WindowTokens = None,
    daily_usd: DailyUsd = None,
    weekly_usd: WeeklyUsd = None,
    total_usd: TotalUsd = None,
    queue_weight: QueueWeight = None,
    expires: Expires = None,
    days_from_first_use: Days = None,
    note: Note = None,
    owner: Holder = None,
    tag: Tags = None,
    may_choose_account: MayChoose = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change a client key: what is named, and nothing else; `none` empties a list. In force at once."""
    doing = f"Cannot change the client key {name}"
    body = read_fields(
        doing,
        enabled=enabled,
        name=new_name,
        domain=domain,
        models=models,
        refused_models=refused_models,
        providers=providers,
        accounts=accounts,
        expires=expires,
        limits={
            "rpm": rpm,
            "tpm": tpm,
            "concurrency": concurrency,
            "window_tokens": window_tokens,
            "daily_usd": daily_usd,
            "weekly_usd": weekly_usd,
            "total_usd": total_usd,
            "queue_weight": queue_weight,
        },
        days_from_first_use=days_from_first_use,
        note=note,
        owner=owner,
        tags=tag,
        may_choose_account=may_choose_account,
    )
    if not body:
        mend = f"headgate key set {name} --disabled"
        raise CommandFailed(doing, "nothing was named that is to change", mend, exit_code=2)
    key = change(config, "PATCH", item_path("keys", name), doing=doing, body=body)
    said = {field: _value(field, key[field]) for field in body if field != "limits"}
    said |= {field: NONE if value is None else value for field, value in body.get("limits", {}).items()}
    told = ", ".join(f"{field} is now {value}" for field, value in said.items())
    _print_change(key, f"Client key {name}: {told}", as_json=as_json)


@app.command("rotate", epilog="Example: headgate key rotate laptop --overlap 24h")
def rotate(
    name: KeyName,
    overlap: Annotated[
        str, typer.Option(metavar="T", help="How long the old key opens as well: 30m, 24h, 7d.")
    ] = "0s",
    key_stdin: KeyFromStdin = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give a client key a new secret under its name and print it, this once."""
    doing = f"Cannot rotate the client key {name}"
    body: dict[str, Any] = {"overlap_seconds": read_span(overlap, doing=doing, option="--overlap")}
    if key_stdin:
        body["key"] = read_key(f"headgate key rotate {name}", from_stdin=True, option="--key-stdin")
        _warn_of_short(body["key"], name)
    made = change(config, "POST", item_path("keys", name, "/rotate"), doing=doing, body=body)
    until = made["replaced_until_at"]
    old = f"the old one opens until {clock_time(until / 1000)}" if until else "the old one opens no more"
    _print_secret(made, f"Client key {name} rotated, {old}. It is shown this once:", as_json=as_json)


@app.command("revoke", epilog="Example: headgate key revoke laptop --yes")
def revoke(
    name: KeyName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Close a client key for ever and at once. Requests that run end in peace; history keeps its name."""
    doing = f"Cannot revoke the client key {name}"
    if not yes:
        confirm(
            f"Revoke the client key {name}? Who uses it is locked out at once.",
            doing=doing,
            mend=f"headgate key revoke {name} --yes",
        )
    key = change(config, "DELETE", item_path("keys", name), doing=doing)
    _print_change(key, f"Client key {name} revoked", as_json=as_json)


def _warn_of_short(key: str, name: str) -> None:
    """Only now is it seen: what is kept is a digest."""
    if on_demand.is_short(key):
        warn(
            "This key is short: beyond this machine it can be guessed. "
            f"headgate key rotate {name} makes a long one"
        )


def _print_secret(made: Any, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    out.print(sentence, markup=False, soft_wrap=True)
    out.print(made["key"], markup=False, soft_wrap=True)
    out.print(
        "Clients send it as their API key: ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN.",
        style="dim",
        markup=False,
        soft_wrap=True,
    )


def _print_change(key: Any, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(key)
    else:
        out.print(sentence, markup=False)


def _value(field: str, value: Any) -> str:
    if value is None or value in ([], ""):
        return "-"
    if field.endswith("_at"):
        return clock_time(value / 1000)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one is not None) or "-"
    return ", ".join(value) if isinstance(value, list) else str(value)
