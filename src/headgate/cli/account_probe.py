"""`headgate account test`: does the provider take the key?"""

from typing import Any

import typer

from headgate.cli.options import AccountName, AsJson, ConfigPath
from headgate.cli.reach import account_path, change
from headgate.cli.terminal import CommandFailed, out, print_failure, print_json, span, table


def test_account(name: AccountName, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Ask the provider, with this account's key, for something that costs nothing. Exit code 1: not taken.

    A key that is refused takes the account out, a key that is taken ends an earlier refusal. Pause and limits
    do not keep a test from being made, and nothing else of the answer changes the account.
    """
    doing = f"Cannot test the account {name}"
    found = change(config, "POST", account_path(name, "/test"), doing=doing)
    if as_json:
        print_json(found)
    else:
        out.print(table(("field", "value"), _facts(found)))
    if not found["ok"]:
        if not as_json:
            print_failure(
                CommandFailed(f"The account {name} failed its test", found["meaning"], found["hint"])
            )
        raise typer.Exit(1)


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    status = found["status"]
    said = found["answer"] or ("OK" if found["ok"] else "-")
    rows = [
        ("account", f"{found['account']} ({found['account_status']})"),
        ("asked", f"GET {found['url']}"),
        ("answer", f"{status}: {said}" if status else said),
        ("after", span(found["duration_ms"])),
    ]
    return [*rows, ("means", found["meaning"])] if found["ok"] else rows
