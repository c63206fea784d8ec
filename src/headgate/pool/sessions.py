"""Which account a conversation stays on, and since when."""

from collections import Counter


class Sessions:
    """Session key -> account id. Bounded: when full, the conversation that began first is forgotten.

    Entries stand in the order of their beginning, so the expired ones are always in front.
    """

    def __init__(self, seconds: float, capacity: int = 100_000) -> None:
        self.seconds = seconds
        """How long a conversation stays, from its first use."""
        self._capacity = capacity
        self._entries: dict[str, tuple[int, float]] = {}
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def account_of(self, key: str, now: float) -> int | None:
        """The account's id, None when the conversation is new or its time is over."""
        entry = self._entries.get(key)
        if entry is None or now - entry[1] >= self.seconds:
            return None
        return entry[0]

    def bind(self, key: str, account_id: int, now: float) -> None:
        """From now on the conversation stays on this account, for `seconds`."""
        self.forget(key)
        self.expire(now)
        if len(self._entries) >= self._capacity:
            self.forget(next(iter(self._entries)))
        self._entries[key] = (account_id, now)
        self._counts[account_id] += 1

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
