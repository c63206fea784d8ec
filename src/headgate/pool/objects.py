"""In which account an object lives (a file, a batch, a container): rotation must not turn it into a 404."""

from collections import OrderedDict
from collections.abc import Iterable


class Objects:
    """Object id -> account id. Bounded: the least recently used goes first; the database keeps all."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._accounts: OrderedDict[str, int] = OrderedDict()
        self.is_complete = True
        """Everything ever remembered is here: an id that is missing is in no database either."""

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def is_used(self) -> bool:
        """False: no body needs to be searched for object ids."""
        return bool(self._accounts) or not self.is_complete

    def account_of(self, object_id: str) -> int | None:
        account_id = self._accounts.get(object_id)
        if account_id is not None:
            self._accounts.move_to_end(object_id)
        return account_id

    def remember(self, object_id: str, account_id: int) -> bool:
        """True when this is news, which the caller then puts on record."""
        is_news = self._accounts.get(object_id) != account_id
        self._accounts[object_id] = account_id
        self._accounts.move_to_end(object_id)
        if len(self._accounts) > self._capacity:
            self._accounts.popitem(last=False)
            self.is_complete = False
        return is_news

    def load(self, known: Iterable[tuple[str, int]], *, is_complete: bool) -> None:
        """What the database holds, oldest first; `is_complete`: it held no more than this."""
        self.is_complete = is_complete
        for object_id, account_id in known:
            self.remember(object_id, account_id)
