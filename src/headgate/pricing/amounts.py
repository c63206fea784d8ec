"""Sums of money in words, the same in refusals and in tables."""


def usd(amount: float) -> str:
    """Cents, but where those would say that a small sum is none at all: `$0.00135`."""
    return f"${amount:.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.3g}"
