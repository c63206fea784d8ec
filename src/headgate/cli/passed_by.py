"""Why an account does not serve, and what mends it: the same words wherever an account is shown."""

from typing import Any

from headgate.cli.terminal import clock_time, indented, out, printable

_MENDS = {
    "paused": "headgate account resume {name} ends it.",
    "disabled": "See the provider's console; headgate account resume {name} has it asked again.",
}
"""What an account waits for, by its status."""


def print_passed_by(account: dict[str, Any], *, indent: int) -> None:
    """Of one that can serve, nothing."""
    if account["skipped_because"] is None:
        return
    returns_at = account["rate_limit_reset"]
    back = f"It returns by itself at {clock_time(returns_at)}." if returns_at is not None else ""
    mend = _mend(account) or back
    # A line of its own for what is to be typed: it must not be lost in a provider's long words.
    out.print(indented(f"{account['name']}: {printable(account['skipped_because'])}", indent, "yellow"))
    if mend:
        out.print(indented(mend, indent + 2))


def _mend(one: dict[str, Any]) -> str:
    """What its owner does; "": nothing."""
    name, origin = one["name"], one["origin"]
    if one["status"] not in ("needs_reauth", "expired"):
        return _MENDS.get(one["status"], "").format(name=name)
    if one["kind"] == "oauth":
        again = f"headgate account reauth {name} signs it in again."
        is_over = one["status"] == "needs_reauth"
        return again if is_over else f"headgate account refresh {name} asks for a token now, {again}"
    if origin == "owner":
        return f"headgate account reauth {name} gives it a new key."
    place = origin.removeprefix("file:")
    return f"Put a new key into {place if place != origin else '`accounts` in the settings file'}."
