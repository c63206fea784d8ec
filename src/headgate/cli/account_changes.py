"""`headgate account set`, `rename`, `refresh`: what is changed about an account that is there."""

from typing import Annotated, Any

import typer

from headgate.cli.options import AccountName, AsJson, ConfigPath
from headgate.cli.reach import account_path, change
from headgate.cli.terminal import CommandFailed, clock_time, out, print_json

NONE = "none"
"""Typed where a value is to be taken away."""

OAuth = Annotated[bool, typer.Option("--oauth", help="Sign in with a browser instead of giving a key.")]
Device = Annotated[bool, typer.Option("--device", help="Sign in with a code, on any other device.")]
Proxy = Annotated[str | None, typer.Option("--proxy", metavar="U", hidden=True, help="Outbound proxy.")]
Prefix = Annotated[str | None, typer.Option("--prefix", metavar="P", hidden=True, help="Model prefix.")]


def set_account(
    name: AccountName,
    priority: Annotated[int | None, typer.Option(metavar="N", help="Lower goes first.")] = None,
    weight: Annotated[int | None, typer.Option(metavar="N", min=1, help="Share under `weighted`.")] = None,
    tier: Annotated[int | None, typer.Option(metavar="N", min=1, help="Size of the plan.")] = None,
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
    refuse_unavailable(doing, proxy=proxy, prefix=prefix)
    given = {"priority": priority, "weight": weight, "tier": tier, "base_url": base_url, "domain": domain}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    for field in ("base_url", "domain"):
        if changes.get(field) == NONE:
            changes[field] = None
    if model and all_models:
        mend = f"headgate account set {name} --all-models"
        raise CommandFailed(doing, "--model and --all-models exclude each other", mend, exit_code=2)
    if model or all_models:
        changes["models"] = model or []
    if not changes:
        mend = f"headgate account set {name} --priority 1"
        raise CommandFailed(doing, "nothing was named that is to change", mend, exit_code=2)
    account = change(config, "PATCH", account_path(name), doing=doing, body=changes)
    print_change(account, f"Account {name}: {_told(changes)}", as_json=as_json)


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


def refuse_unavailable(doing: str, *, proxy: str | None, prefix: str | None) -> None:
    """What is not there must not look as if it had been taken."""
    wanted = {"--proxy": proxy is not None, "--prefix": prefix is not None}
    mends = {
        "--proxy": "Leave it out: the account is reached directly.",
        "--prefix": "Leave it out, and name the account's models with --model.",
    }
    for option in (name for name, is_wanted in wanted.items() if is_wanted):
        raise CommandFailed(doing, f"this version does not have {option}", mends[option], exit_code=2)


def print_change(account: Any, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(account)
    else:
        out.print(sentence, markup=False)


def _told(changes: dict[str, Any]) -> str:
    return ", ".join(f"{field} is now {_words(value)}" for field, value in changes.items())


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) if value else "all"
    return NONE if value is None else str(value)
