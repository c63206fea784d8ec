"""`headgate db rotate-key`: a new encryption key for all stored secrets."""

from typing import Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath, warn
from headgate.cli.reach import change
from headgate.cli.terminal import CommandFailed, out, print_json, read_stdin

_DOING = "Cannot change the encryption key"
_MOST_CHARACTERS = 4096


def rotate_key(
    new_key_stdin: Annotated[
        bool, typer.Option("--new-key-stdin", help="Read the new key from standard input.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Seal every stored secret with a new encryption key; a running gateway goes on with it."""
    body = {"new_key": _read_key()} if new_key_stdin else {}
    done = change(config, "POST", "/api/database/rotate-key", doing=_DOING, body=body)
    if not done["rotated"]:
        raise _not_yet(done)
    if done["closed"]:
        names = ", ".join(done["closed"])
        warn(f"No key that is known opens the secrets of {names}: they stay sealed with the one that is lost")
    if as_json:
        print_json(done)
        return
    out.print(f"{done['sealed']} accounts are sealed with the new key", markup=False)
    out.print(_what_is_left(done, is_given=new_key_stdin), markup=False, soft_wrap=True)


def _read_key() -> str:
    key = read_stdin(_DOING, most=_MOST_CHARACTERS).strip()
    if not key:
        mend = "headgate db rotate-key --new-key-stdin < FILE"
        raise CommandFailed(_DOING, "standard input was empty", mend, exit_code=2)
    return key


def _not_yet(done: dict[str, Any]) -> CommandFailed:
    """The new key is shown once, and stored nowhere."""
    out.print(on_demand.new_encryption_key(), markup=False, soft_wrap=True)
    where = (
        f"put it in front of the old one in {done['place']}, with a comma between, and restart the gateway"
        if "/" not in done["place"]
        else f"make it the first line of secret.key at every gateway (here {done['place']})"
    )
    return CommandFailed(
        _DOING,
        f"{done['why_not']}. Nothing was changed; a new key stands on standard output, and is kept nowhere",
        f"{where[0].upper()}{where[1:]}; then run headgate db rotate-key again, and take the old one out.",
    )


def _what_is_left(done: dict[str, Any], *, is_given: bool) -> str:
    place = done["place"]
    if done["old_keys_are_gone"]:
        return (
            f"It is in {place}. Backups made before hold the old one in their own secret.key; "
            "those made with --no-key need it from elsewhere"
        )
    if is_given:
        return f"Put it in front in {place} before the next start; the old ones are no longer needed there"
    return f"Only the first key in {place} is needed from now on: take the others out"
