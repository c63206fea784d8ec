"""Who is at work on the owner's side: said at the door, read where a change is kept.

It travels with the task: a sign-in that ends in the background is still of whoever began it.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Who(StrEnum):
    ADMIN_KEY = "admin_key"
    SESSION = "session"
    LOCAL = "local"
    """A command: over the control socket, or on the database of a gateway that does not run."""
    THIS_MACHINE = "this_machine"
    """No admin key is set."""
    SIGN_IN = "sign_in"
    """A browser that a provider led back; whoever began that sign-in was the owner."""
    SETTINGS_FILE = "settings_file"
    """A file that changed: settings, `.env`, a secret."""
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Actor:
    who: Who
    address: str | None = None
    """Of the connection; None: there was none."""


A_FILE = Actor(Who.SETTINGS_FILE)

ACTOR: ContextVar[Actor] = ContextVar("headgate.actor", default=A_FILE)
"""Of the request that runs; outside of one it is a file that changed."""
