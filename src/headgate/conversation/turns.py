"""The neutral form of what is said, as far as it tells conversations apart.

A dialect reads its own messages into this; where a message ends does not matter, only the order of blocks.
"""

from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    text: str


class Call(msgspec.Struct, frozen=True):
    """The model asks for a tool."""

    id: str
    name: str
    input: Any


class Result(msgspec.Struct, frozen=True):
    """What a tool gave back."""

    id: str
    content: "tuple[Block, ...]"
    has_failed: bool = False


class Thought(msgspec.Struct, frozen=True):
    """What the model thought. Clients leave thoughts of earlier turns out: they tell nothing apart."""

    size: int
    """Characters."""


class Other(msgspec.Struct, frozen=True):
    """Images, documents, and whatever a provider comes up with: the block as it was sent."""

    kind: str
    value: Any


Block = Text | Call | Result | Thought | Other


class Turn(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    blocks: tuple[Block, ...]
