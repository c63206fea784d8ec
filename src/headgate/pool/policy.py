"""What a strategy is: the protocol, what it sees of an account, what it remembers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar


class Quota(NamedTuple):
    """One quota window of an account, as a strategy compares it."""

    used: float
    """0 to 1, by the latest statement and what was sent since."""
    seconds_left: float
    """Until its reset; the whole length when it has not begun."""
    seconds: float
    """Its length."""
    per_request: float | None = None
    """Part of it that one request spends, by experience; None: none yet."""


class Candidate(Protocol):
    """What a policy sees of an account that can serve."""

    id: int
    share: int
    in_flight: int
    request_count: int
    session_count: int
    head_start: float
    quotas: Sequence[Quota]
    """Only brought up to date for a policy that reads them. Empty: nothing is known."""


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a policy remembers from one choice to the next."""

    last_id: int = -1
    credits: Mapping[int, int] = field(default_factory=dict)
    """Account id -> what it is owed, in shares."""


class SelectionPolicy(Protocol):
    name: str
    keeps_sessions: bool
    """Whether the pool remembers, for this policy, which conversation is on which account."""
    renews_sessions: bool
    """Whether a conversation that goes on stays beyond the time that it was given at first."""
    reads_quotas: bool
    """Whether the pool has to bring `quotas` up to date before it asks."""

    def choose(self, candidates: Sequence[C], current: C | None, turn: Turn) -> tuple[C, Turn]:
        """`candidates` is not empty. `current` is the one among them that the conversation is on."""
        ...
