"""What can be said of a client key on the command line, and how the API takes it."""

from typing import Annotated, Any

import typer

from headgate.cli import completion
from headgate.cli.account_changes import NONE
from headgate.cli.moments import read_until
from headgate.cli.terminal import CommandFailed

_UNTIL_HELP = "30d, 12h, a date or an ISO time; none: never."

KeyName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the key.", autocompletion=completion.key_names)
]
KeyFromStdin = Annotated[
    bool, typer.Option("--key-stdin", help="Take a key that was given out elsewhere, from standard input.")
]
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")]
Holder = Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Who holds it.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="T", help="A word to find it by; repeat.")]
Expires = Annotated[str | None, typer.Option(metavar="T", help=_UNTIL_HELP)]
Days = Annotated[
    int | None,
    typer.Option(
        "--days-from-first-use", metavar="N", min=0, help="It ends N days after that; 0: it does not."
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models", metavar="M", help="Models it is for, as names or patterns; repeat, or by comma."
    ),
]
Refused = Annotated[
    list[str] | None, typer.Option("--refused-models", metavar="M", help="Models it is not for, as above.")
]
Providers = Annotated[
    list[str] | None, typer.Option("--providers", metavar="P", help="Providers it is for; repeat.")
]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--accounts", metavar="A", help="Accounts that may serve it, as names or patterns; repeat."),
]
Domain = Annotated[
    str | None, typer.Option(metavar="D", help="Only accounts of this domain serve it; none: all.")
]
MayChoose = Annotated[
    bool | None,
    typer.Option("--may-choose-account/--may-not-choose-account", help="By the header x-headgate-account."),
]
Rpm = Annotated[
    str | None,
    typer.Option("--rpm", metavar="N", help="Requests a minute; none: as for all, here and below."),
]
Tpm = Annotated[
    str | None,
    typer.Option("--tpm", metavar="N", help="Tokens a minute, but those that the prompt cache gave."),
]
Concurrency = Annotated[str | None, typer.Option("--concurrency", metavar="N", help="Requests at one time.")]
WindowTokens = Annotated[
    str | None,
    typer.Option("--window-tokens", metavar="N", help="Tokens in five hours from a first one."),
]
DailyUsd = Annotated[str | None, typer.Option("--daily-usd", metavar="X", help="Money a day (UTC).")]
WeeklyUsd = Annotated[
    str | None, typer.Option("--weekly-usd", metavar="X", help="Money a week from Monday (UTC).")
]
TotalUsd = Annotated[str | None, typer.Option("--total-usd", metavar="X", help="Money in all.")]

QueueWeight = Annotated[
    str | None,
    typer.Option("--queue-weight", metavar="N", help="Waiting requests that go at a time in its turn."),
]


def read_fields(
    doing: str, *, expires: str | None, limits: dict[str, str | None], **given: Any
) -> dict[str, Any]:
    """What was typed, as the API takes it."""
    fields: dict[str, Any] = {}
    for field, value in given.items():
        if value is None or value == []:
            continue
        if isinstance(value, list):
            words = [word.strip() for one in value for word in one.split(",")]
            fields[field] = [] if words == [NONE] else [word for word in words if word]
        else:
            fields[field] = None if field == "domain" and value == NONE else value
    if fields.get("days_from_first_use") == 0:
        fields["days_from_first_use"] = None
    if expires is not None:
        is_never = expires.strip().lower() == NONE
        fields["expires_at"] = None if is_never else read_until(expires, doing=doing, option="--expires")
    if any(typed is not None for typed in limits.values()):
        fields["limits"] = {
            name: _limit(typed, name, doing) for name, typed in limits.items() if typed is not None
        }
    return fields


def _limit(typed: str, name: str, doing: str) -> float | None:
    word = typed.strip().lower().removeprefix("$")
    if word == NONE:
        return None
    is_money = name.endswith("usd")
    option = "--" + name.replace("_", "-")
    try:
        number = float(word) if is_money else int(word.replace("_", ""))
    except ValueError as error:
        mend = f"Such as {option} {'5.50' if is_money else '60'}, or {option} {NONE}."
        raise CommandFailed(doing, f"{option}: {typed!r} is no number", mend, exit_code=2) from error
    if number < (least := 0 if is_money else 1):
        mend = f"{option} {NONE} takes the limit away; headgate key set NAME --disabled closes the key."
        raise CommandFailed(doing, f"{option}: {typed!r} is less than {least}", mend, exit_code=2)
    return number
