"""One account of the provider, known by its API key: what it is scripted to do and what it has used."""

from typing import Any

from headgate.testing.provider.answer import Headers
from headgate.testing.provider.limits import DatedLimits, UnifiedLimits
from headgate.testing.provider.models import ALL_MODELS
from headgate.testing.provider.prompt import PromptCache
from headgate.testing.provider.script import Limits, Pacing, Reply, RuleBook, Script


class Account:
    """A new account takes over what is scripted for `*`; the rules of `*` count for all together."""

    def __init__(self, key: str, number: int, now: float, defaults: list[Script]) -> None:
        self.key = key
        self.organization_id = f"5e1f0000-0000-4000-8000-{number:012x}".encode()
        self.rules = RuleBook([])
        self.pacing, self.reply, self.coding = Pacing(), Reply(), ""
        self.models = ALL_MODELS
        self.batch_seconds = 0.0
        self.prompt_cache = PromptCache()
        self.containers: set[str] = set()
        self.limits: DatedLimits | UnifiedLimits = DatedLimits(Limits(), now)
        for script in defaults:
            self.apply(script, now)

    def apply(self, script: Script, now: float) -> None:
        """Take over every part that the script names."""
        if script.rules is not None and script.key != "*":
            self.rules = RuleBook(script.rules)
        self.pacing = script.pacing or self.pacing
        self.reply = script.reply or self.reply
        self.coding = self.coding if script.coding is None else script.coding
        self.models = self.models if script.models is None else frozenset(script.models)
        self.batch_seconds = self.batch_seconds if script.batch_seconds is None else script.batch_seconds
        if script.limits is not None:
            self.limits = DatedLimits(script.limits, now)
        if script.subscription is not None:
            self.limits = UnifiedLimits(script.subscription)

    def spend(self, usage: dict[str, Any], now: float) -> None:
        """Cached reads are free of the limits, as the documentation has it."""
        fresh = usage["input_tokens"] + usage["cache_creation_input_tokens"]
        self.limits.spend(fresh, usage["output_tokens"], now)

    def headers(self, now: float) -> Headers:
        return self.limits.headers(now)
