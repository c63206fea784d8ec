"""`headgate account …`: put accounts in, look at them, let them rest, take them out."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.text import Text

from headgate.cli import account_changes, account_limits, account_probe, account_transfer
from headgate.cli.account_changes import (
    Device,
    OAuth,
    Prefix,
    Proxy,
    address_of_proxy,
    print_change,
    refuse_unavailable,
)
from headgate.cli.account_sign_in import sign_in
from headgate.cli.fitting import print_fitting
from headgate.cli.options import AccountName, AsJson, ConfigPath, NewAccountName
from headgate.cli.passed_by import print_passed_by
from headgate.cli.reach import account_path, change, is_new, look
from headgate.cli.terminal import (
    CommandFailed,
    asking,
    clock_time,
    confirm,
    out,
    print_json,
    state,
    table,
)

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate account list",
    help="The accounts that requests are spent on.",
)

COLUMNS = (
    *("name", "#tier", "=status", "rate_limit_status|limit", "=rate_limit_reset|reset", "=expires"),
    *("#requests", "#errors", "provider", "=quota", "#sessions", "#share", "origin"),
    *("?#priority", "?#weight", "?models", "?domain"),
)
"""What an owner needs first comes first."""

_USUAL: dict[str, Any] = {"priority": 0, "weight": 1, "models": []}

KeyFromStdin = Annotated[bool, typer.Option("--api-key-stdin", help="Read the API key from standard input.")]
Provider = Annotated[str, typer.Option(metavar="P", help="Whose account it is.")]


@app.command(
    "add", epilog="Example: headgate account add work --provider anthropic --api-key-stdin < key.txt"
)
def add(
    name: NewAccountName,
    provider: Provider = "anthropic",
    api_key_stdin: KeyFromStdin = False,
    base_url: Annotated[
        str | None, typer.Option(metavar="U", help="Address instead of the provider's.")
    ] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="Lower goes first.")] = 0,
    weight: Annotated[int, typer.Option(metavar="N", min=1, help="Share under `weighted`.")] = 1,
    tier: Annotated[int, typer.Option(metavar="N", min=1, help="Size of the plan.")] = 1,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Requests it may have at one time.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="M", help="A model it serves; repeat. None: all.")
    ] = None,
    domain: Annotated[str | None, typer.Option(metavar="D", help="Team or domain it belongs to.")] = None,
    oauth: OAuth = False,
    device: Device = False,
    proxy: Proxy = None,
    prefix: Prefix = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Put an account in, with an API key or by signing in. A running gateway uses it at once."""
    doing = f"Cannot add the account {name}"
    refuse_unavailable(doing, prefix=prefix)
    wanted: dict[str, Any] = {
        "provider": provider,
        "base_url": base_url,
        "priority": priority,
        "weight": weight,
        "tier": tier,
        "concurrency": concurrency,
        "models": model or [],
        "domain": domain,
        "proxy": None if proxy is None else address_of_proxy(doing, proxy),
    }
    if oauth or device:
        _refuse_both(doing, name, api_key_stdin=api_key_stdin)
        account = sign_in(config, {**wanted, "account": name}, doing=doing, by_device=device)
    else:
        key = read_key(f"headgate account add {name}", from_stdin=api_key_stdin)
        body = {**wanted, "name": name, "api_key": key}
        account = change(config, "POST", "/api/accounts", doing=doing, body=body)
    print_change(account, f"Account {name} added", next_step=_try_it(name), as_json=as_json)


@app.command("list", epilog="Example: headgate account list --json")
def list_accounts(
    model: Annotated[
        str | None, typer.Option(metavar="M", help="Say who would be passed by for this model.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="The same for a request of this conversation.")
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show all accounts: state, limits, what they were used for."""
    wanted = {"model": model, "session": session}
    asked = urlencode({name: value for name, value in wanted.items() if value})
    doing = "Cannot list the accounts"
    is_empty = is_new(config, "accounts")
    answer = {"accounts": []} if is_empty else look(config, f"/api/accounts?{asked}", doing=doing)
    if as_json:
        print_json(answer)
    elif not answer["accounts"]:
        out.print("No accounts yet. Put one in: headgate account add NAME --api-key-stdin", markup=False)
    else:
        print_accounts(answer["accounts"])


@app.command("show", epilog="Example: headgate account show work")
def show(name: AccountName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show everything about one account, but for its secret; why it does not serve and what mends it."""
    account = look(config, account_path(name), doing=f"Cannot show the account {name}")
    if as_json:
        print_json(account)
        return
    out.print(table(("field", "value"), ((field, Text(_value(field, account[field]))) for field in account)))
    if account["skipped_because"] is not None:
        out.print()
        print_passed_by(account, indent=0)


@app.command("pause", epilog="Example: headgate account pause work")
def pause(name: AccountName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Let an account rest. Requests that run on it end in peace."""
    doing = f"Cannot pause the account {name}"
    account = change(config, "POST", account_path(name, "/pause"), doing=doing)
    print_change(account, f"Account {name} paused", as_json=as_json)


@app.command("resume", epilog="Example: headgate account resume work")
def resume(name: AccountName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Use a paused or refused account again, at once. A provider's limit stays until its reset."""
    doing = f"Cannot resume the account {name}"
    account = change(config, "POST", account_path(name, "/resume"), doing=doing)
    print_change(account, _resumed(account), as_json=as_json)


@app.command("reauth", epilog="Example: headgate account reauth work --api-key-stdin < key.txt")
def reauth(
    name: AccountName,
    api_key_stdin: KeyFromStdin = False,
    oauth: OAuth = False,
    device: Device = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give an account a new secret, or sign it in again: its name, history and settings stay."""
    doing = f"Cannot re-authorise the account {name}"
    if not (oauth or device or api_key_stdin):
        oauth = look(config, account_path(name), doing=doing)["kind"] == "oauth"
    if oauth or device:
        _refuse_both(doing, name, api_key_stdin=api_key_stdin)
        account = sign_in(config, {"account": name, "reauth": True}, doing=doing, by_device=device)
    else:
        body = {"api_key": read_key(f"headgate account reauth {name}", from_stdin=api_key_stdin)}
        account = change(config, "POST", account_path(name, "/reauth"), doing=doing, body=body)
    print_change(account, f"Account {name} re-authorised", next_step=_try_it(name), as_json=as_json)


@app.command("remove", epilog="Example: headgate account remove work --yes")
def remove(
    name: AccountName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take an account out, its secret with it. Its history stays."""
    doing = f"Cannot remove the account {name}"
    if not yes:
        confirm(
            f"Remove the account {name} and its secret?",
            doing=doing,
            mend=f"headgate account remove {name} --yes",
        )
    account = change(config, "DELETE", account_path(name), doing=doing)
    print_change(account, f"Account {name} removed", as_json=as_json)


def _refuse_both(doing: str, name: str, *, api_key_stdin: bool) -> None:
    if api_key_stdin:
        why = "an account has an API key or signs in, not both"
        raise CommandFailed(doing, why, f"Leave one out: headgate account add {name} --oauth", exit_code=2)


def read_key(command: str, *, from_stdin: bool, option: str = "--api-key-stdin") -> str:
    """The secret, never from an argument: those are seen by every user of the machine.

    `command` is what was typed, for the message that says how to type it.
    """
    doing = "Cannot read the API key"
    try:
        if sys.stdin.isatty():
            with asking():
                key = str(typer.prompt("API key (not shown)", hide_input=True, err=True))
        else:
            key = _piped_key(doing, f"{command} {option} < FILE", option, from_stdin=from_stdin)
        key.encode()  # in some locales bytes that are no text are read as lone surrogates
    except typer.Abort as ended:
        why, mend = "the input ended before there was a key", f"{command} {option} < FILE"
        raise CommandFailed(doing, why, mend) from ended
    except UnicodeError as error:
        raise CommandFailed(
            doing,
            "what was read is not UTF-8 text",
            f"Save the key as plain text (PowerShell writes UTF-16), then {command} {option} < FILE",
        ) from error
    return key


def _try_it(name: str) -> str:
    return f"headgate account test {name} sees whether its key is taken."


def _piped_key(doing: str, mend: str, option: str, *, from_stdin: bool) -> str:
    if not from_stdin:
        why = f"standard input is no terminal and {option} was not given"
        raise CommandFailed(doing, why, mend, exit_code=2)
    if key := sys.stdin.read().strip():
        return key
    raise CommandFailed(doing, "standard input was empty", mend, exit_code=2)


def _resumed(account: dict[str, Any]) -> str:
    """A provider's own limit outlasts the owner's word."""
    name, status = account["name"], account["status"]
    if status == "active":
        return f"Account {name} resumed; headgate account test {name} sees whether its key is taken"
    returns_at = account["rate_limit_reset"]
    until = f"; it returns by itself at {clock_time(returns_at)}" if returns_at is not None else ""
    why = f" ({account['skipped_because']})" if account["skipped_because"] and not until else ""
    return f"Account {name} resumed, but still {status}{why}{until}"


app.command("set", epilog="Example: headgate account set work --priority 1 --model claude-sonnet-5")(
    account_changes.set_account
)
app.command("rename", epilog="Example: headgate account rename work office")(account_changes.rename)
app.command("refresh", epilog="Example: headgate account refresh work")(account_changes.refresh)
app.command("test", epilog="Example: headgate account test work")(account_probe.test_account)
app.command("export", epilog="Example: headgate account export --output accounts.json")(
    account_transfer.export
)
app.command("import", epilog="Example: headgate account import accounts.json --dry-run")(
    account_transfer.import_accounts
)


def print_accounts(accounts: Sequence[dict[str, Any]], *, more: str = "A wider terminal or --json") -> None:
    """`more`: see `print_fitting`. What every account has as it is put in says nothing."""
    chosen = {field: any(one[field] != usual for one in accounts) for field, usual in _USUAL.items()}
    print_fitting(COLUMNS, [_row(one, chosen) for one in accounts], more=more)


def _row(one: dict[str, Any], chosen: dict[str, bool]) -> tuple[Any, ...]:
    return (
        one["name"],
        one["tier"],
        state(one["status"]),
        one["rate_limit_status"] or "-",
        clock_time(one["rate_limit_reset"]),
        clock_time(one["expires_at"]),
        one["request_count"],
        one["error_count"],
        one["provider"],
        account_limits.fullest(one["windows"]),
        one["sessions"]["count"],
        one["share"],
        one["origin"],
        one["priority"] if chosen["priority"] else "-",
        one["weight"] if chosen["weight"] else "-",
        ", ".join(one["models"]) or ("all" if chosen["models"] else "-"),
        one["domain"] or "-",
    )


def _value(field: str, value: Any) -> str:
    if value is None or value == []:
        return "-"
    if (words := account_limits.in_words(field, value)) is not None:
        return words
    if field in ("expires_at", "rate_limit_reset"):
        return clock_time(value)
    if field.endswith("_at"):
        return clock_time(value / 1000)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
