"""Settings of the limits that client keys have where nothing else is said of one."""

from headgate.config.fields import MOST_THINGS, Section, setting

MOST_USD = 1_000_000_000
MOST_TOKENS = 1_000_000_000_000


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
