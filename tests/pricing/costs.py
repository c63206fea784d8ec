"""What things cost by the list that comes with the program, for tests of others."""

from headgate.dialects.usage import Usage
from headgate.pricing.prices import shipped_table
from headgate.pricing.rates import NANO

__all__ = ["NANO", "cost_of", "known_cost_of"]


def cost_of(model: str, usage: Usage) -> int:
    """Nano-USD, as a budget counts it."""
    return shipped_table().budget_cost_of("anthropic", model, usage)


def known_cost_of(model: str | None, usage: Usage) -> int | None:
    return shipped_table().known_cost_of("anthropic", model, usage)
