"""`headgate account set`, `rename`, `refresh`: what is changed about an account that is there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.options import AccountName, AsJson, ConfigPath
from headgate.cli.reach import account_path, change
from headgate.cli.terminal import CommandFailed, clock_time, out, print_json

NONE = "none"
"""Typed where a value is to be taken away."""

OAuth = Annotated[bool, typer.Option("--oauth", help="Sign in with a browser instead of giving a key.")]
Device = Annotated[bool, typer.Option("--device", help="Sign in with a code, on any other device.")]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        metavar="U",
        help="Outbound proxy, or file: with a path; direct: none; none: the general one.",
    ),
]
Prefix = Annotated[str | None, typer.Option("--prefix", metavar="P", hidden=True, help="Model prefix.")]


def set_account(
    name: AccountName,
    priority: Annotated[int | None, typer.Option(metavar="N", help="Lower goes first.")] = None,
    weight: Annotated[int | None, typer.Option(metavar="N", min=1, help="Share under `weighted`.")] = None,
    tier: Annotated[int | None, typer.Option(metavar="N", min=1, help="Size of the plan.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Requests it may have at one time; 0: any number.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="U", help="Address instead of the provider's; none: the provider's.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="M", help="The models it serves from now on; repeat.")
    ] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="It serves all of its provider.")] = False,
    domain: Annotated[
        str | None, typer.Option(metavar="D", help="Team or domain it belongs to; none: to no one.")
    ] = None,
    proxy: Proxy = None,
    prefix: Prefix = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change an account: what is named, and nothing else. In force from the next request on."""
    doing = f"Cannot change the account {name}"
    refuse_unavailable(doing, prefix=prefix)
    given = {"priority": priority, "weight": weight, "tier": tier, "base_url": base_url, "domain": domain}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    for field in ("base_url", "domain"):
        if changes.get(field) == NONE:
            changes[field] = None
    if concurrency is not None:
        changes["concurrency"] = concurrency or None
    if proxy is not None:
        changes["proxy"] = address_of_proxy(doing, proxy)
    if model and all_models:
        mend = f"headgate account set {name} --all-models"
        raise CommandFailed(doing, "--model and --all-models exclude each other", mend, exit_code=2)
    if model or all_models:
        changes["models"] = model or []
    if not changes:
        mend = f"headgate account set {name} --priority 1"
        raise CommandFailed(doing, "nothing was named that is to change", mend, exit_code=2)
    account = change(config, "PATCH", account_path(name), doing=doing, body=changes)
    told = changes if "proxy" not in changes else {**changes, "proxy": account["proxy"]}
    print_change(account, f"Account {name}: {_told(told)}", as_json=as_json)


def rename(
    name: AccountName,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="Its name from now on.")],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give an account another name. History, health and conversations stay with it."""
    doing = f"Cannot rename the account {name}"
    account = change(config, "POST", account_path(name, "/rename"), doing=doing, body={"name": new_name})
    print_change(account, f"Account {name} is now {new_name}", as_json=as_json)


def refresh(name: AccountName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Fetch a new access token now. An API key has none, so there is nothing to fetch for it."""
    doing = f"Cannot refresh the account {name}"
    account = change(config, "POST", account_path(name, "/refresh"), doing=doing)
    until = clock_time(account["expires_at"])
    print_change(account, f"Account {name} has a new token, good until {until}", as_json=as_json)


def refuse_unavailable(doing: str, *, prefix: str | None) -> None:
    """What is not there must not look as if it had been taken."""
    if prefix is not None:
        mend = "Leave it out, and name the account's models with --model."
        raise CommandFailed(doing, "this version does not have --prefix", mend, exit_code=2)


def address_of_proxy(doing: str, typed: str) -> str | None:
    """What was typed after `--proxy`. A password on the command line is seen by every user of the machine, so
    the address may stand in a file."""
    if typed.strip().lower() == NONE:
        return None
    if not typed.startswith("file:"):
        return typed
    path = Path(typed.removeprefix("file:")).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        mend = "Name a file that holds the proxy's address and nothing else."
        raise CommandFailed(doing, f"{path}: {why}", mend, exit_code=2) from error


def print_change(account: Any, sentence: str, *, next_step: str = "", as_json: bool) -> None:
    """`next_step`: what one would do now."""
    if as_json:
        print_json(account)
        return
    out.print(sentence, markup=False)
    if next_step:
        out.print(next_step, style="dim", markup=False, soft_wrap=True)


def _told(changes: dict[str, Any]) -> str:
    return ", ".join(f"{field} is now {_words(value)}" for field, value in changes.items())


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) if value else "all"
    return NONE if value is None else str(value)
