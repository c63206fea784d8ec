"""What all failures have: a code, a status, whose fault it is, and what comes next."""

from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Whose fault it is: decides whether an account's health is touched."""

    CALLER = "caller"
    GATEWAY = "gateway"
    PROVIDER = "provider"
    ACCOUNT = "account"
    OWNER = "owner"


class NextStep(StrEnum):
    """What the attempt loop does after this failure."""

    STOP = "stop"
    SAME_ACCOUNT = "same_account"
    NEXT_ACCOUNT = "next_account"


class HeadgateError(Exception):
    """Base of the family. Never raised itself: every subclass sets all four class attributes."""

    code: ClassVar[str]
    status: ClassVar[int]
    blame: ClassVar[Blame]
    next_step: ClassVar[NextStep]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
