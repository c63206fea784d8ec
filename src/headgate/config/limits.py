"""Settings of the limits of client keys, where nothing else is said of one, and of the queue before them."""

from headgate.config.fields import MOST_THINGS, Section, milliseconds, setting

MOST_USD = 1_000_000_000
MOST_TOKENS = 1_000_000_000_000
MOST_WAITING = 10_000
"""As many as connections are open by default: more could not be told of their turn any faster."""
MOST_QUEUE_WEIGHT = 1_000


class LimitSettings(Section):
    """Of every client key that has no such limit of its own; null: none."""

    rpm: int | None = setting(None, "Requests a minute.", unit="requests", ge=1, le=MOST_THINGS)
    tpm: int | None = setting(
        None,
        "Tokens a minute, without those read from the prompt cache.",
        unit="tokens",
        ge=1,
        le=MOST_TOKENS,
    )
    concurrency: int | None = setting(None, "Requests at one time.", unit="requests", ge=1, le=MOST_THINGS)
    window_tokens: int | None = setting(
        None, "Tokens in five hours from a first request.", unit="tokens", ge=1, le=MOST_TOKENS
    )
    daily_usd: float | None = setting(None, "Money a day (UTC).", unit="USD", ge=0, le=MOST_USD)
    weekly_usd: float | None = setting(None, "Money a week from Monday (UTC).", unit="USD", ge=0, le=MOST_USD)
    total_usd: float | None = setting(None, "Money in all.", unit="USD", ge=0, le=MOST_USD)
    queue_weight: int | None = setting(
        None,
        "Waiting requests that go at a time when it is the key's turn; null: one.",
        unit="requests",
        ge=1,
        le=MOST_QUEUE_WEIGHT,
    )


class QueueSettings(Section):
    """Requests that wait instead of being refused: for the limits of their key, for an account that is busy,
    or for one whose limit ends in time."""

    max_waiting: int = setting(
        0, "Requests that may wait at one time; 0: none waits.", unit="requests", ge=0, le=MOST_WAITING
    )
    timeout_ms: int = milliseconds(10_000, "How long one waits before it is refused.")
