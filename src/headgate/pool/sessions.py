"""Which account a conversation stays on, and since when."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_RENEWED_EVERY = 0.02
"""Part of its time after which a conversation is renewed: not with each of its requests."""


@dataclass(frozen=True, slots=True)
class Running:
    """The conversations of one account. Unix seconds."""

    count: int
    since: float
    """When the first of them began."""
    until: float
    """When the last of them may go elsewhere, unless it is renewed."""


class Sessions:
    """Session key -> account id. Bounded: when full, the conversation that waits longest is forgotten.

    Entries stand in the order of their ends, so the expired ones are always in front.
    """

    def __init__(self, seconds: float, capacity: int = 100_000) -> None:
        self.seconds = seconds
        """How long a conversation stays, from its first use or from its renewal."""
        self._capacity = capacity
        self._entries: dict[str, tuple[int, float, float]] = {}
        """Account, renewed at, began at."""
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def account_of(self, key: str, now: float) -> int | None:
        """The account's id, None when the conversation is new or its time is over."""
        entry = self._entries.get(key)
        if entry is None or now - entry[1] >= self.seconds:
            return None
        return entry[0]

    def ends_at(self, key: str) -> float | None:
        """Unix seconds; None: it is nowhere."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1] + self.seconds

    def bind(self, key: str, account_id: int, now: float) -> None:
        """From now on the conversation stays on this account, for `seconds`."""
        self.forget(key)
        self.expire(now)
        if len(self._entries) >= self._capacity:
            self.forget(next(iter(self._entries)))
        self._entries[key] = (account_id, now, now)
        self._counts[account_id] += 1

    def renew(self, key: str, now: float) -> None:
        """It goes on: its time begins anew."""
        account_id, renewed_at, began_at = self._entries[key]
        if now - renewed_at >= _RENEWED_EVERY * self.seconds:
            del self._entries[key]
            self._entries[key] = (account_id, now, began_at)

    def forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._counts[entry[0]] -= 1

    def forget_account(self, account_id: int) -> None:
        """The account is gone: its conversations begin anew."""
        for key in [key for key, entry in self._entries.items() if entry[0] == account_id]:
            self.forget(key)
        del self._counts[account_id]

    def expire(self, now: float) -> None:
        while self._entries:
            key = next(iter(self._entries))
            if now - self._entries[key][1] < self.seconds:
                return
            self.forget(key)

    def count(self, account_id: int) -> int:
        """Conversations on this account, as of the last `expire`."""
        return self._counts[account_id]

    def running(self, now: float) -> Mapping[int, Running]:
        """By account id, of those that have any."""
        self.expire(now)
        found: dict[int, Running] = {}
        for account_id, renewed_at, began_at in self._entries.values():
            until = renewed_at + self.seconds
            before = found.get(account_id)
            if before is None:
                found[account_id] = Running(1, began_at, until)
            else:
                since = min(before.since, began_at)
                found[account_id] = Running(before.count + 1, since, max(before.until, until))
        return found
