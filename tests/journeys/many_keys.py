"""Clients with keys, and a plain model of what their limits let in and what they are counted.

For moments at which no time passes: then how many of so many at once are let in is a matter of counting.
"""

import hashlib
import json
from fractions import Fraction
from random import Random

from tests.journeys.wire import ask, request

MODEL = "claude-haiku-4-5"
_NANO_INPUT, _NANO_OUTPUT = 1_000, 5_000
"""Nano-USD for a token of that model, as the provider lists it."""
MOST_WORDS = 30
_LIMITS = ("rpm", "tpm", "window_tokens", "daily_usd", "weekly_usd", "total_usd")
NANO = 1_000_000_000


class Client:
    """All its requests use the same, which is known beforehand. It begins each life of the gateway with a
    single one, by which the gateway knows what the next will use."""

    def __init__(self, number: int, used: dict[int, tuple[int, int]], dice: Random) -> None:
        """`used`: input and output tokens by the number of words that are asked for."""
        self.name = f"client-{number}"
        self.secret = f"hg_{dice.randbytes(12).hex()}"
        words = dice.choice(sorted(used))
        body = ask(f"say {words} words", model=MODEL, stream=dice.random() < 0.1)
        self.request = request(body=body, key=self.secret)
        self.tokens = sum(used[words])
        self.nano = cost_of(*used[words])
        self.limits = {
            kind: self._limit(kind, dice) for kind in dice.sample(_LIMITS, dice.choice([1, 1, 1, 2, 3]))
        }
        """Money in nano-USD."""
        self.served = 0
        self._levels: dict[str, Fraction] = {}
        self.begin_life()

    def _limit(self, kind: str, dice: Random) -> int:
        if kind == "rpm":
            return dice.randint(1, 9)
        each = self.nano if kind.endswith("usd") else self.tokens
        # Often just what some requests use: then one more would be one too many.
        return each * dice.randint(1, 8) + dice.choice([0, 0, 1, -1, dice.randrange(each)])

    @property
    def row(self) -> tuple[str, str, str]:
        """Digest, name and limits, as the database has them."""
        limits = {
            kind: limit / NANO if kind.endswith("usd") else limit for kind, limit in self.limits.items()
        }
        return hashlib.sha256(self.secret.encode()).hexdigest(), self.name, json.dumps(limits)

    def let_in(self, asked: int) -> int:
        """How many of so many at once."""
        return min(asked, *(self._room(kind, limit) for kind, limit in self.limits.items()))

    def _room(self, kind: str, limit: int) -> int:
        if kind == "rpm":
            return int(self._levels[kind])
        if kind == "tpm":
            return max(0, int(self._levels[kind] / min(self.tokens, limit)))
        each = self.nano if kind.endswith("usd") else self.tokens
        return max(0, -(-(limit - self.served * each) // each))

    def note(self, served: int) -> None:
        self.served += served
        for kind in self._levels:
            self._levels[kind] -= served * (1 if kind == "rpm" else self.tokens)

    def pass_time(self, seconds: int) -> None:
        for kind, level in self._levels.items():
            limit = self.limits[kind]
            self._levels[kind] = min(Fraction(limit), level + Fraction(limit * seconds, 60))

    def begin_life(self) -> None:
        """Rates a minute begin anew with a process; what was used does not."""
        self._levels = {
            kind: Fraction(limit) for kind, limit in self.limits.items() if kind in ("rpm", "tpm")
        }


def cost_of(input_tokens: int, output_tokens: int) -> int:
    return input_tokens * _NANO_INPUT + output_tokens * _NANO_OUTPUT
