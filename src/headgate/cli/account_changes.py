"""`headgate account set`, `rename`, `refresh`: what is changed about an account that is there."""

from typing import Annotated, Any

import typer

from headgate.cli.options import AccountName, AsJson, ConfigPath
from headgate.cli.reach import account_path, change, look
from headgate.cli.terminal import CommandFailed, out, print_json

NONE = "none"
"""Typed where a value is to be taken away."""

OAuth = Annotated[bool, typer.Option("--oauth", hidden=True, help="Sign in instead of giving a key.")]
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
    oauth: OAuth = False,
    proxy: Proxy = None,
    prefix: Prefix = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change an account: what is named, and nothing else. In force from the next request on."""
    doing = f"Cannot change the account {name}"
    refuse_unavailable(doing, oauth=oauth, proxy=proxy, prefix=prefix)
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
    """Fetch a new access token. An API key has none, so there is nothing to fetch for it."""
    doing = f"Cannot refresh the account {name}"
    account = look(config, account_path(name), doing=doing)
    raise CommandFailed(
        doing,
        f"it is of the kind {account['kind']}, and an API key does not expire",
        f"headgate account test {name} sees whether the key is taken, headgate account reauth {name} gives "
        "it a new one.",
    )


def refuse_unavailable(doing: str, *, oauth: bool, proxy: str | None, prefix: str | None) -> None:
    """What is not there must not look as if it had been taken."""
    wanted = {"--oauth": oauth, "--proxy": proxy is not None, "--prefix": prefix is not None}
    mends = {
        "--oauth": "Give the account an API key instead: --api-key-stdin < FILE",
        "--proxy": "Leave it out: the account is reached directly.",
        "--prefix": "Leave it out, and name the account's models with --model.",
    }
    for option in (name for name, is_wanted in wanted.items() if is_wanted):
        raise CommandFailed(doing, f"this version does not have {option}", mends[option], exit_code=2)


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
