"""What a request needs of an account, and that it went from one to another."""

from dataclasses import dataclass

import msgspec


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """What a request needs of an account. Built for every request, so no dataclass: four times as dear."""

    provider: str
    model: str | None = None
    session: str | None = None
    """Key of the conversation; None: the request belongs to none."""
    pinned_id: int | None = None
    """Only this account will do: an object of the request lives in it, or the caller named it."""
    among: frozenset[int] | None = None
    """Only these accounts may serve the caller; None: all."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A request or a conversation went from one account to another."""

    at: float
    """Unix seconds."""
    from_account: str
    to_account: str
    why: str
    is_conversation: bool
    """A conversation moved on before anything was tried; else it is among the request's attempts."""
