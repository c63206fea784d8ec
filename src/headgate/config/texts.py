"""Text that no file, database or answer can hold: NUL, and halves of characters (lone surrogates).

JSON and YAML can spell them, and so do command lines and variables whose bytes are no UTF-8.
"""

import re

WORDS = "must hold no NUL and no half of a character (a lone surrogate, a byte that is no UTF-8)"

_BROKEN = re.compile("[\0\ud800-\udfff]")


def is_broken(text: str) -> bool:
    return _BROKEN.search(text) is not None


def shown(text: str) -> str:
    """Fit for a message, whatever it holds."""
    return _BROKEN.sub("\N{REPLACEMENT CHARACTER}", text)
