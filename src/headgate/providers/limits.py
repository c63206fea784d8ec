"""What a provider's answer says about an account's limits, in words that fit every provider."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Source(StrEnum):
    """Where a fact about a limit comes from."""

    HEADER = "header"
    BODY = "body"
    ESTIMATE = "estimate"
    """Ours: the provider said nothing."""


@dataclass(frozen=True, slots=True)
class Window:
    """One quota window as an answer stated it. None: not stated."""

    name: str
    seen_at: float
    """Unix seconds of the answer."""
    utilization: float | None = None
    """Spent part, 0 to 1."""
    remaining: int | None = None
    limit: int | None = None
    resets_at: float | None = None
    """Unix seconds."""
    status: str | None = None
    """The provider's word for this window."""
    seconds: float | None = None
    """Its length; None: it is no window that fills and then begins anew (a bucket that refills all the time),
    or nobody knows."""
    models: str | None = None
    """Word in the names of the models that it counts; None: all of the account's."""
    source: Source = Source.HEADER

    def at(self, now: float) -> "Window":
        """The window as it reads at `now`: what was said before its reset is void after it."""
        if self.resets_at is None or self.resets_at > now:
            return self
        return replace(self, utilization=None, remaining=None, resets_at=None, status=None)


@dataclass(frozen=True, slots=True)
class Limits:
    """All limit headers of one answer."""

    windows: tuple[Window, ...] = ()
    status: str | None = None
    """The provider's overall word, as it wrote it (lower case)."""
    is_hard: bool = False
    """The status says: no more until the reset."""
    is_soft: bool = False
    """The status warns; the account goes on serving."""
    needs_payment: bool = False
    """Hard, and only the owner's money ends it."""
    is_model_limit: bool = False
    """Only windows of a group of models are used up: the account's other models go on."""
    reset_at: float | None = None
    """Unix seconds until which an account that was just refused rests; None: nothing usable was stated."""
    retry_after: float | None = None
    """Seconds from the answer, as stated."""
    should_retry: bool | None = None
    """The provider's own advice whether the same request may be tried again."""
