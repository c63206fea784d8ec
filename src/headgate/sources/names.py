"""Names for accounts that come from elsewhere: fit for a path, a header and a log line, and each one once."""

import re
from collections.abc import Iterable

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@+-]+")
_MOST_CHARACTERS = 128


def near_name(text: str) -> str:
    """What is left when everything is taken out that no name may hold; empty when that is nothing."""
    return _NOT_IN_NAMES.sub("-", text).strip("._@+-")[:_MOST_CHARACTERS]


class Names:
    """Gives each out once: the second `work` is `work-2`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}
        """The last number given out: thousands may want the same name."""

    def name_for(self, text: str, *, otherwise: str = "account") -> str:
        wanted = near_name(text) or near_name(otherwise)
        name, number = wanted, self._last.get(wanted, 1)
        while name in self._taken:
            number += 1
            tail = f"-{number}"
            name = wanted[: _MOST_CHARACTERS - len(tail)] + tail
        self._last[wanted] = number
        self._taken.add(name)
        return name
