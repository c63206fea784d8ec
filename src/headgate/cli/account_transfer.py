"""`headgate account export` and `import`: all accounts in one file, and back."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath, read_path
from headgate.cli.passphrase import PassphraseStdin, known_passphrase, new_passphrase
from headgate.cli.reach import change, look
from headgate.cli.terminal import (
    CommandFailed,
    confirm,
    counted,
    err,
    failing_as,
    out,
    print_failure,
    print_json,
)

_EXPORTING = "Cannot export the accounts"
_IMPORTING = "Cannot import the accounts"
_MOST_BYTES = 16 << 20
_MOST_VALUES = 1_000_000


def export(
    plain: Annotated[
        bool, typer.Option("--plain", help="Keys and tokens in clear. Guard what you get.")
    ] = False,
    no_secrets: Annotated[bool, typer.Option("--no-secrets", help="Without keys and tokens.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=read_path, help="A new file, for you alone (0600)."
        ),
    ] = None,
    form: Annotated[
        Literal["json", "yaml", "accounts.json"],
        typer.Option(
            "--format", metavar="json|yaml|accounts.json", help="How it is written, where it is not sealed."
        ),
    ] = "json",
    passphrase_stdin: PassphraseStdin = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before showing secrets.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Write all accounts down, keys and tokens too, sealed with a passphrase; `account import` takes them."""
    is_sealed = not (plain or no_secrets)
    _refuse_contradictions(
        plain=plain, no_secrets=no_secrets, is_sealed=is_sealed, form=form, passphrase_stdin=passphrase_stdin
    )
    if plain and output is None and sys.stdout.isatty() and not yes:
        confirm(
            "Show every key in clear on this terminal?",
            doing=_EXPORTING,
            why="keys would stand on the terminal in clear",
            mend="--output FILE keeps them to you; --yes shows them.",
        )
    passphrase = new_passphrase(_EXPORTING, from_stdin=passphrase_stdin) if is_sealed else None
    params = {} if no_secrets else {"secrets": "true"}
    found = look(config, "/api/export/accounts", doing=_EXPORTING, params=params)
    written = _WRITERS["json" if as_json else form](found)
    if passphrase is not None:
        written = on_demand.sealed(written.encode(), passphrase)
    if output is None:
        out.file.write(written)
        return
    _write_new(output, written)
    kind = (
        "without their keys" if no_secrets else "with their keys" if plain else "sealed with the passphrase"
    )
    number = counted(len(found["accounts"]), "account")
    err.print(f"{number} {kind} in {output}", soft_wrap=True, markup=False)


def _refuse_contradictions(
    *, plain: bool, no_secrets: bool, is_sealed: bool, form: str, passphrase_stdin: bool
) -> None:
    if plain and no_secrets:
        why, mend = "--plain and --no-secrets exclude each other", "Leave one of them out."
    elif is_sealed and form != "json":
        why, mend = (
            f"a sealed export is JSON, not {form}",
            "--plain writes it open, --no-secrets without keys.",
        )
    elif passphrase_stdin and not is_sealed:
        why, mend = "nothing is sealed, so there is no passphrase", "Leave --passphrase-stdin out."
    else:
        return
    raise CommandFailed(_EXPORTING, why, mend, exit_code=2)


def _as_json(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


def _as_yaml(found: Any) -> str:
    """JSON's scalars and lists are YAML's too."""
    if not found["accounts"]:
        return "accounts: []\n"
    lines = ["accounts:"]
    for account in found["accounts"]:
        fields = [f"{name}: {json.dumps(value)}" for name, value in account.items()]
        lines += [f"  - {fields[0]}", *(f"    {field}" for field in fields[1:])]
    return "\n".join(lines) + "\n"


def _as_accounts_json(found: Any) -> str:
    """As other gateways keep them, by name."""
    return on_demand.accounts_json_of(found["accounts"]) + "\n"


_WRITERS = {"json": _as_json, "yaml": _as_yaml, "accounts.json": _as_accounts_json}


def _write_new(file: Path, text: str) -> None:
    """Whole or not at all, and never over something that is there."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        if file.exists():
            raise CommandFailed(
                _EXPORTING, f"{file} is there already", "Name a new file, or remove that one."
            )
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        part.rename(file)
    except OSError as error:
        raise CommandFailed(
            _EXPORTING, f"{file}: {error.strerror}", "Name a file in a folder of yours."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def import_accounts(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="What `account export` wrote, or an accounts.json of claude-code-proxy; -: from a pipe.",
        ),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Change accounts that are there, their keys too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    passphrase_stdin: PassphraseStdin = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take accounts in, from JSON or YAML; all of all files, or none. Accounts that are not named stay."""
    if passphrase_stdin and "-" in files:
        why = "standard input cannot hold both the file and the passphrase"
        raise CommandFailed(_IMPORTING, why, "Name the file, or set HEADGATE_PASSPHRASE.", exit_code=2)
    opened = _Opened(passphrase_stdin)
    wanted = {
        "accounts": [account for file in files for account in _read(file, opened)],
        "replace": replace,
        "dry_run": dry_run,
    }
    done = change(config, "POST", "/api/import/accounts", doing=_IMPORTING, body=wanted)
    if as_json:
        print_json(done)
    else:
        _print_done(done)
    if done["conflicts"]:
        raise typer.Exit(1)


class _Opened:
    """Opens what is sealed. The passphrase is asked for once: several files of one import share it."""

    def __init__(self, from_stdin: bool) -> None:
        self._from_stdin = from_stdin
        self._passphrase: str | None = None

    def __call__(self, found: Any, where: str) -> Any:
        if not on_demand.is_sealed(found):
            return found
        if self._passphrase is None:
            self._passphrase = known_passphrase(_IMPORTING, where, from_stdin=self._from_stdin)
        with failing_as(f"Cannot open {where}"):
            return json.loads(on_demand.unsealed(found, self._passphrase))


def _read(file: str, opened: _Opened) -> list[Any]:
    if not file.strip():
        mend = "An unset variable may be the cause; - reads from a pipe."
        raise CommandFailed(_IMPORTING, "the name of the file is empty", mend, exit_code=2)
    where = "standard input" if file == "-" else file
    try:
        content = _bytes_of(file)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
        text = content.decode("utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith(("{", "[")) else on_demand.read_yaml(text)
        found = opened(found, where)
        if on_demand.is_accounts_file(found):
            with failing_as(f"Cannot import {where}"):
                return on_demand.carried_accounts(content)
        accounts = found["accounts"] if isinstance(found, dict) and "accounts" in found else found
        if not isinstance(accounts, list):
            raise ValueError("it has no list `accounts`")
        _refuse_what_cannot_be_sent(accounts)
    except OSError as error:
        mend = "headgate account export writes such a file."
        raise CommandFailed(_IMPORTING, f"{where}: {error.strerror}", mend) from error
    except UnicodeDecodeError as error:
        raise CommandFailed(_IMPORTING, f"{where}: this is not UTF-8 text", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        mend = (
            'Wanted is {"accounts": [{"name": …, "provider": …, "api_key": …}]}, as account export writes it.'
        )
        raise CommandFailed(_IMPORTING, f"Failed to parse {where}: {error}", mend) from error
    return accounts


def _refuse_what_cannot_be_sent(accounts: list[Any]) -> None:
    """YAML has dates, sets, keys that are lists, and ways to say little and mean a lot; both forms have
    numbers and halves of characters that are none. Raises ValueError, whose words hold no value."""
    waiting: list[Any] = [accounts]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            if not one.isascii() and any("\ud800" <= character <= "\udfff" for character in one):
                raise ValueError("a text in it holds half of a surrogate pair")
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError("a number in it is infinite, or none")
        elif not isinstance(one, int | float | None):
            raise ValueError(f"a value in it is a {type(one).__name__}: put it into quotes to make it a text")
    raise ValueError("it holds too many values, or refers to itself")


def _bytes_of(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(_MOST_BYTES + 1)


def _print_done(done: dict[str, Any]) -> None:
    is_trial = done["dry_run"]
    words = {
        "Would add" if is_trial else "Added": done["added"],
        "Would change" if is_trial else "Changed": done["changed"],
        "Unchanged": done["unchanged"],
    }
    for word, names in words.items():
        if names:
            out.print(f"{word}: {_joined(names)}", markup=False)
    if not any(words.values()) and not done["conflicts"]:
        out.print("There was no account in it", markup=False)
    if done["conflicts"]:
        mend = "--replace changes accounts of the same name; else take them out, or rename them."
        print_failure(CommandFailed("It would be refused whole", "\n       ".join(done["conflicts"]), mend))


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)
