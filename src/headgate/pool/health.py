"""Whether an account can serve: its rests, per account and per model, and what ends them.

Rules, beside the table in `faults.py`:
- A rest ends by the clock alone: nothing has to run for an account to come back.
- An answer never shortens a longer rest, and answers that arrive during a rest (the others that
  were in flight) do not climb the ladder: one burst is one failure.
- A good answer ends a passing rest at once. It does not end any other open rest, because it may
  belong to a request that was sent before the refusal; it resets the ladder once the rest is over.
- When a rest ends that the provider gave no time for, one request at a time finds out (`begin_probe`).
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from headgate.pool.faults import (
    FOR_THE_OWNER,
    FORBIDDEN_COUNT,
    FORBIDDEN_SECONDS,
    LADDERS,
    MEMORY_SECONDS,
    OF_ONE_MODEL,
    PASSING,
    Fault,
)
from headgate.pool.rests import Rest, read_state, write_state
from headgate.providers.limits import Source

MOST_MODELS = 256
"""Models remembered per account: more than any provider has, fewer than would fill memory."""

_OF_TOKENS = frozenset({Fault.REFUSED, Fault.TOKEN_ENDED})


class Health:
    """The state of one account. Every change is told through `on_change`, after it happened."""

    def __init__(self, random: Random, on_change: Callable[[], None]) -> None:
        self.served: set[str] = set()
        """Models that this account has answered for."""
        self.on_record: dict[tuple[Fault, str | None], Rest] = {}
        """On record, also those that are over; none: nothing else needs to be asked."""
        self._forbidden_at: list[float] = []
        self._accepted_at = 0.0
        self._random = random
        self._on_change = on_change

    # ---- what happened -----------------------------------------------------------------------------

    def apply(
        self,
        fault: Fault,
        *,
        model: str | None = None,
        until: float | None = None,
        source: Source = Source.HEADER,
        reason: str = "",
        now: float,
    ) -> float | None:
        """Note a failed attempt; `until` is the provider's own time, `source` where it said so. Returns
        until when the account, or the model, now rests (Unix seconds, infinite until somebody acts), None
        when it goes on serving.
        """
        if fault in OF_ONE_MODEL and model is None:
            fault = Fault.LIMITED
        if fault is Fault.FORBIDDEN and not self._is_forbidden_often(now):
            return None
        self._forget_where(lambda rest: rest.until + MEMORY_SECONDS < now)
        key = (fault, model if fault in OF_ONE_MODEL else None)
        before = self.on_record.get(key)
        if before is not None and before.is_open(now):
            return self._extend(before, until, source, reason, now)
        level = 0 if before is None else before.level + 1
        end, source = self._end_of_rest(fault, level, until, source, now)
        self.on_record[key] = Rest(fault, key[1], end, level, now, reason, source)
        self._on_change()
        return end

    def succeeded(self, model: str | None, now: float) -> None:
        """A good answer came. Called for every request: the usual case returns at once."""
        if model is not None and model not in self.served and len(self.served) < MOST_MODELS:
            self.served.add(model)
            self._on_change()
        if self.on_record:
            self._forget_where(lambda rest: rest.is_refuted_by(model, now))
        if self._forbidden_at:
            self._forbidden_at.clear()

    def join(self, state: dict[str, Any], now: float, *, newer_than: float) -> None:
        """Take over rests that another process noted, where they last longer than ours. What it noted before
        `newer_than`, or of a credential before the last one, is void."""
        rests, _, _ = read_state(state)
        is_news = False
        for rest in rests:
            is_voidable = rest.fault in _OF_TOKENS or rest.fault in FOR_THE_OWNER
            void_before = max(newer_than, self._accepted_at) if is_voidable else newer_than
            ours = self.on_record.get((rest.fault, rest.model))
            is_longer = ours is None or not ours.is_open(now) or rest.until > ours.until
            if rest.is_open(now) and rest.since >= void_before and is_longer:
                self.on_record[rest.fault, rest.model] = rest
                is_news = True
        if is_news:
            self._on_change()

    def begin_probe(self, model: str | None, now: float) -> list[Rest]:
        """A request goes to the account. What it finds out about, until `end_probe`: the others for which
        that matters pass the account by. Empty: there is nothing to find out."""
        probed = [
            rest
            for rest in self.on_record.values()
            if (rest.model is None or rest.model == model) and not rest.is_probed and rest.awaits_probe(now)
        ]
        for rest in probed:
            rest.is_probed = True
        return probed

    def end_probe(self, probed: Iterable[Rest]) -> None:
        """The request is over, whatever became of it: a success or a failure has been told before."""
        for rest in probed:
            rest.is_probed = False

    def resume(self, now: float) -> None:
        """The owner says it is mended: what waited for the owner is forgotten, stated limits are not."""
        self._accepted_at = now
        self._forbidden_at.clear()
        self._forget_where(lambda rest: rest.fault in FOR_THE_OWNER)

    def accepted(self, now: float) -> None:
        """The provider took the credential, or gave out a new one: refusals are over."""
        self._accepted_at = now
        self._forget_where(lambda rest: rest.fault in _OF_TOKENS)

    def ask_for_tokens_again(self) -> None:
        """Another client id or address: what kept new tokens away may be mended."""
        self._forget_where(lambda rest: rest.fault is Fault.TOKEN_ENDED)

    def goes_another_way(self) -> None:
        """Another proxy, or none: what was not reached may be."""
        self._forget_where(lambda rest: rest.fault is Fault.UNREACHABLE)

    def forget(self) -> None:
        """Another credential or address: nothing that was learnt holds for it."""
        self._forbidden_at.clear()
        self.served.clear()
        self._forget_where(lambda rest: True)

    # ---- what follows ------------------------------------------------------------------------------

    @property
    def waits_for_owner(self) -> bool:
        """The provider refused the credential: only another one ends that."""
        return any(rest.fault is Fault.REFUSED for rest in self.on_record.values())

    def rests(self, now: float) -> list[Rest]:
        """All rests in force, also those of single models."""
        return [rest for rest in self.on_record.values() if rest.is_open(now)]

    def open_rest(self, model: str | None, now: float) -> Rest | None:
        """The weightiest rest in force for a request with `model`."""
        rests = [rest for rest in self.on_record.values() if rest.concerns(model, now)]
        return max(rests, key=Rest.weight, default=None)

    def unavailable_until(self, model: str | None, now: float) -> float | None:
        """Unix seconds, infinite until somebody acts, None when it can serve now."""
        untils = [max(rest.until, now) for rest in self.on_record.values() if rest.concerns(model, now)]
        return max(untils, default=None)

    def why(self, model: str | None, now: float) -> str | None:
        """The weightiest rest in words, None when it can serve now."""
        rest = self.open_rest(model, now)
        if rest is None:
            return None
        return (
            rest.in_words()
            if rest.is_open(now)
            else f"{rest.in_words()}; a request finds out if that is over"
        )

    # ---- across restarts ---------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """JSON-able; `from_state` reads it."""
        return write_state(self.on_record.values(), self._forbidden_at, self.served)

    def from_state(self, state: dict[str, Any]) -> None:
        """Take over what an earlier life wrote. Unknown keys and broken entries are passed over."""
        rests, self._forbidden_at, self.served = read_state(state)
        self.on_record = {(rest.fault, rest.model): rest for rest in rests}

    # ---- inside ------------------------------------------------------------------------------------

    def _extend(self, rest: Rest, stated: float | None, source: Source, reason: str, now: float) -> float:
        """During a rest only a later time of the provider's own counts."""
        if stated is not None and stated > rest.until:
            end, source = self._end_of_rest(rest.fault, rest.level, stated, source, now)
            if end > rest.until:
                rest.until, rest.reason, rest.source = end, reason, source
                self._on_change()
        return rest.until

    def _end_of_rest(
        self, fault: Fault, level: int, stated: float | None, source: Source, now: float
    ) -> tuple[float, Source]:
        ladder = LADDERS[fault]
        if stated is None or stated <= now or fault is Fault.REFUSED:
            return now + ladder.rest(level, self._random), Source.ESTIMATE
        # A hint with a passing trouble is about this moment: it is no ban of hours.
        return (min(stated, now + ladder.top) if fault in PASSING else stated), source

    def _is_forbidden_often(self, now: float) -> bool:
        recent = [moment for moment in self._forbidden_at if abs(now - moment) < FORBIDDEN_SECONDS]
        self._forbidden_at = [*recent, now][-FORBIDDEN_COUNT:]
        return len(self._forbidden_at) >= FORBIDDEN_COUNT

    def _forget_where(self, is_over: Callable[[Rest], bool]) -> None:
        gone = [key for key, rest in self.on_record.items() if is_over(rest)]
        for key in gone:
            del self.on_record[key]
        if gone:
            self._on_change()
