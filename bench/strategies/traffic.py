"""The conversations of one day: when they begin, how long they last, what they send.

Assumed, after what coding agents send: arrivals follow the working day (a main peak in the late morning,
another in the afternoon, a few at night); the number of turns is heavy-tailed (Pareto, most under ten, some
hundreds); a turn follows the last answer within seconds while the agent works and after minutes when its
user thinks; prompts begin at tens of thousands of tokens and grow by every turn until they are compacted.
"""

import math
from dataclasses import dataclass
from random import Random

DAY_SECONDS = 86_400.0

_LONGEST_PROMPT = 180_000
"""Tokens; then the client compacts."""
_COMPACTED_TO = 30_000
_TOKENS_PER_SECOND = 80.0
"""In which an answer streams."""


@dataclass(frozen=True, slots=True)
class Turn:
    after_seconds: float
    """Since the last answer ended."""
    prompt_tokens: int
    answer_tokens: int
    is_compacted: bool
    """The prompt begins anew: nothing of it is in a cache."""

    @property
    def seconds(self) -> float:
        return 1.0 + self.answer_tokens / _TOKENS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Conversation:
    key: str
    begins_at: float
    """Seconds of the day."""
    turns: tuple[Turn, ...]


def conversations(random: Random, count: int) -> list[Conversation]:
    """Of one day, in the order of their beginning."""
    begins = sorted(_moment(random) for _ in range(count))
    return [Conversation(f"talk-{n}", at, _turns(random)) for n, at in enumerate(begins)]


def _moment(random: Random) -> float:
    """By rejection from the day's curve."""
    while True:
        at = random.uniform(0, DAY_SECONDS)
        if random.random() < _liveliness(at / 3600):
            return at


def _liveliness(hour: float) -> float:
    """0 to 1."""
    morning = math.exp(-(((hour - 10.5) / 2.0) ** 2))
    afternoon = 0.9 * math.exp(-(((hour - 15.5) / 2.2) ** 2))
    evening = 0.35 * math.exp(-(((hour - 21.0) / 1.5) ** 2))
    return min(0.06 + morning + afternoon + evening, 1.0)


def _turns(random: Random) -> tuple[Turn, ...]:
    count = min(int(4 * random.paretovariate(1.2)), 400)
    prompt = int(random.lognormvariate(math.log(22_000), 0.35))
    turns = []
    for n in range(count):
        answer = int(min(random.lognormvariate(math.log(350), 0.9), 16_000))
        is_compacted = prompt > _LONGEST_PROMPT
        if is_compacted:
            prompt = _COMPACTED_TO
        turns.append(Turn(_pause(random) if n else 0.0, prompt, answer, is_compacted))
        prompt += answer + int(random.lognormvariate(math.log(900), 1.0))
    return tuple(turns)


def _pause(random: Random) -> float:
    """An agent that works, a user who reads, a user who went to lunch."""
    kind = random.random()
    if kind < 0.80:
        return random.lognormvariate(math.log(4), 0.8)
    if kind < 0.95:
        return random.lognormvariate(math.log(75), 0.8)
    return random.lognormvariate(math.log(900), 0.9)
