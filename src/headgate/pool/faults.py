"""What a failed attempt means for an account: the kinds of fault, and how long each makes it rest."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    LIMITED = "limited"
    MODEL_LIMITED = "model_limited"
    MODEL_MISSING = "model_missing"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"
    TOKEN_ENDED = "token_ended"
    """Its access token ended, and the next one could not be fetched so far."""
    BILLING = "billing"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Ladder:
    """How long an account rests when the provider names no time. Seconds."""

    first: float
    top: float
    jitter: float = 0.0
    """Part of the rest by which it varies, so that a fleet does not return at once."""

    def rest(self, level: int, random: Random) -> float:
        """`level` 0 is the first failure; each further one doubles the rest, up to `top`."""
        # 2 ** 60 rungs are beyond any top; without the cap a very high level overflows a float.
        rest = min(self.first * 2.0 ** min(level, 60), self.top)
        return rest * random.uniform(1 - self.jitter, 1 + self.jitter) if self.jitter else rest


LADDERS = {
    Fault.LIMITED: Ladder(1, 1800, jitter=0.2),
    Fault.MODEL_LIMITED: Ladder(1, 1800, jitter=0.2),
    Fault.MODEL_MISSING: Ladder(600, 600),
    Fault.OVERLOADED: Ladder(5, 60, jitter=0.2),
    Fault.UNREACHABLE: Ladder(2, 60),
    Fault.SERVER_ERROR: Ladder(2, 60),
    Fault.REFUSED: Ladder(float("inf"), float("inf")),
    Fault.TOKEN_ENDED: Ladder(5, 300, jitter=0.2),
    # Nothing announces that a bill was paid: every half hour one request finds out.
    Fault.BILLING: Ladder(1800, 1800),
    Fault.FORBIDDEN: Ladder(1800, 1800),
}

PASSING = frozenset({Fault.OVERLOADED, Fault.UNREACHABLE, Fault.SERVER_ERROR})
"""The provider's trouble rather than the account's: such an account still serves when no other can."""

LIMITS = frozenset({Fault.LIMITED, Fault.MODEL_LIMITED})
"""What ends by waiting, at a time that a client can be told."""

PROBED = frozenset({Fault.LIMITED, Fault.MODEL_LIMITED, Fault.MODEL_MISSING, Fault.BILLING, Fault.FORBIDDEN})
"""When such a rest ends that the provider gave no time for, nobody knows whether the trouble is over: one
request finds out, and the others pass the account by meanwhile."""

OF_ONE_MODEL = frozenset({Fault.MODEL_LIMITED, Fault.MODEL_MISSING})

FOR_THE_OWNER = frozenset({Fault.REFUSED, Fault.BILLING, Fault.FORBIDDEN})
"""Ended by the owner: a new credential, a paid bill, a resume."""

FORBIDDEN_COUNT = 3
FORBIDDEN_SECONDS = 600.0
"""One 403 may be about one resource; this many within this time are about the account."""

MEMORY_SECONDS = 3600.0
"""A rest that ended longer ago than this does not raise the next one."""
