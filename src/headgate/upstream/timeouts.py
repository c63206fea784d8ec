"""How long each stage of one attempt may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None or 0 is no limit. Each one that runs out raises UpstreamTimedOut."""

    connect: float | None = None
    """Name look-up, TCP and TLS together."""
    first_byte: float | None = None
    """From the request handed to the socket until the answer's head is in; interim (1xx) answers do
    not prolong it."""
    beginning: float | None = None
    """From the request handed to the socket until enough of the body is here to judge the answer by:
    holds for `Answer.look` alone."""
    idle: float | None = None
    """Between two pieces of an answer, while somebody waits for one; and while the far side takes no
    more of a streamed request body."""
    total: float | None = None
    """The whole attempt, from `send` to the answer's end."""
