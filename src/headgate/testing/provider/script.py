"""What an account is asked to do: faults by rule, pacing, coding, limits, the form of replies."""

from typing import Literal

import msgspec

FaultName = Literal[
    "status",
    "429",
    "refuse",
    "hang",
    "cut",
    "drip",
    "garbage",
    "wrong_length",
    "error_first",
    "error_mid",
    "close_after",
    "early_answer",
    "big_headers",
    "redirect",
]
Stage = Literal[
    "",
    "accept",
    "head",
    "body",
    "mid_body",
    "mid_event",
    "mid_chunk",
    "mid_utf8",
    "before_message_stop",
]
LimitForm = Literal["unified", "dated", "retry_after", "retry_after_date", "bare", "model"]


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault, for the requests `after < n <= after + times` that match `path` and `model`.

    Which fields a fault reads is listed in docs/rooms/testing.md.
    """

    fault: FaultName
    after: int = 0
    times: int | None = None
    path: str = "/v1/"
    model: str = ""
    stage: Stage = ""
    status: int = 500
    message: str = ""
    error: str = ""
    limit: LimitForm = "retry_after"
    window: Literal["5h", "7d"] = "5h"
    seconds: float = 60.0
    event: int | None = None
    ending: Literal["close", "reset", "clean"] = "close"
    bytes: int = 1
    delay_ms: float = 0.0
    by: int = 10
    requests: int = 1
    location: str = "/v1/elsewhere"


class Pacing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    first_byte_ms: float = 0.0
    event_ms: float = 0.0


class Reply(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How replies look. `write_bytes` cuts an unpaced answer into socket writes of that size."""

    words: int = 24
    text: str = ""
    """Said instead of so many words; "": the words that make careless readers stumble."""
    unknown_events: bool = False
    pings: int = 1
    write_bytes: int = 0


class Limits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Sizes of the dated limit buckets, refilled evenly over `window_seconds`."""

    requests: int = 1_000_000
    input_tokens: int = 1_000_000_000
    output_tokens: int = 1_000_000_000
    window_seconds: float = 60.0


class Subscription(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Tokens an account may spend in each window; it then sends the unified headers, not the dated ones."""

    five_hour_tokens: int = 1_000_000
    seven_day_tokens: int = 10_000_000


class Script(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_sim/script`. A part left out stays as it was; `rules` replaces all rules."""

    key: str = "*"
    rules: list[Rule] | None = None
    pacing: Pacing | None = None
    reply: Reply | None = None
    coding: Literal["", "gzip", "br", "zstd", "deflate"] | None = None
    limits: Limits | None = None
    subscription: Subscription | None = None
    models: list[str] | None = None
    batch_seconds: float | None = None


class RuleBook:
    """The rules of one key with their counters. The first rule that applies wins."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._counts = [0] * len(rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, path: str, model: str) -> Rule | None:
        """Count this request with every rule that it matches, and name the fault it gets."""
        chosen: Rule | None = None
        for index, rule in enumerate(self._rules):
            is_early = rule.fault == "early_answer" or rule.stage == "accept"
            if is_early or not path.startswith(rule.path) or (rule.model and rule.model != model):
                continue
            if self._is_due(index, rule) and chosen is None:
                chosen = rule
        return chosen

    def match_accept(self) -> bool:
        """Whether this connection is refused before a byte of it is read."""
        due = [self._is_due(n, rule) for n, rule in enumerate(self._rules) if rule.stage == "accept"]
        return any(due)

    def match_early(self, path: str) -> Rule | None:
        """The rule that answers before the body is in; the model is not known then."""
        for index, rule in enumerate(self._rules):
            if rule.fault == "early_answer" and path.startswith(rule.path) and self._is_due(index, rule):
                return rule
        return None

    def _is_due(self, index: int, rule: Rule) -> bool:
        self._counts[index] += 1
        nth = self._counts[index] - rule.after
        return nth > 0 and (rule.times is None or nth <= rule.times)
