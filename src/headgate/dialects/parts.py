"""Usage of several calls in one answer, by what its price depends on: model, tier, size of a prompt.

Of iterations within an answer, and of the results of a batch. Bounded: however many calls there are, the sums
of a few models are kept.
"""

from bisect import bisect_left
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from headgate.dialects.usage import COUNTS, MOST, Part, Usage, summed

_STEPS = (100_000, 128_000, 200_000, 256_000, 272_000, 512_000)
"""Tokens of a prompt above which price lists know other prices: what lies between two may be summed."""
_MOST_GROUPS = 64
OTHERS = "(other models)"
"""Stands for every model beyond those that are kept apart: no price is known of it."""
_LONGEST_NAME = 128

_counts = attrgetter(*COUNTS)

Key = tuple[str | None, str | None, str | None, str | None, int]


def key_of(part: Part) -> Key:
    """Two parts with one key cost together what they cost apart."""
    usage = part.usage
    prompt = (usage.input_tokens or 0) + (usage.cache_read_tokens or 0)
    prompt += (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    size = 0 if part.model == OTHERS else bisect_left(_STEPS, prompt // (usage.requests or 1))
    return part.model, usage.service_tier, usage.speed, usage.inference_geo, size


class Sums:
    """Adds up calls."""

    def __init__(self) -> None:
        self._groups: dict[Key, list[int]] = {}

    def add(self, model: str | None, usage: Usage) -> None:
        """One call, or the sum of several alike."""
        if model is not None and (len(model) > _LONGEST_NAME or not model.isprintable()):
            model = OTHERS
        key = key_of(Part(model, usage))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _MOST_GROUPS:
                key = (OTHERS, None, None, None, 0)
            group = self._groups.setdefault(key, [0] * (len(COUNTS) + 1))
        for place, count in enumerate(_counts(usage)):
            if count:
                group[place] = min(MOST, group[place] + count)
        group[-1] = min(MOST, group[-1] + (usage.requests or 1))

    def parts(self) -> tuple[Part, ...]:
        return tuple(
            Part(model, _usage(counts, tier, speed, geo))
            for (model, tier, speed, geo, _), counts in self._groups.items()
        )


def _usage(counts: list[int], tier: str | None, speed: str | None, geo: str | None) -> Usage:
    """What is nothing was not told."""
    told: dict[str, Any] = {name: count for name, count in zip(COUNTS, counts, strict=False) if count}
    return Usage(
        **{"input_tokens": 0, "output_tokens": 0, **told},
        service_tier=tier,
        speed=speed,
        inference_geo=geo,
        requests=counts[-1],
    )


def sum_of(parts: tuple[Part, ...]) -> Usage:
    """Of nothing but these."""
    whole = Usage()
    for part in parts:
        whole = msgspec.structs.replace(whole, **summed(whole, part.usage))
    return msgspec.structs.replace(whole, parts=parts)


# ---- what came on top -------------------------------------------------------------------------------------


def on_top(parts: tuple[Part, ...], known: tuple[Part, ...]) -> tuple[Part, ...]:
    """What these have more than those that are known, which may be of another part of the same whole."""
    before = {key_of(part): part.usage for part in known}
    found = []
    for part in parts:
        earlier = before.get(key_of(part))
        more = part.usage if earlier is None else _less(part.usage, earlier)
        if any(getattr(more, name) for name in COUNTS):
            found.append(Part(part.model, more))
    return tuple(found)


def joined(parts: tuple[Part, ...], known: tuple[Part, ...]) -> tuple[Part, ...]:
    """The larger of both, count by count: `on_top` of it has nothing of either."""
    found = {key_of(part): part for part in known}
    for part in parts:
        key = key_of(part)
        earlier = found.get(key)
        found[key] = part if earlier is None else Part(part.model, _larger(part.usage, earlier.usage))
    return tuple(found.values())


def _less(usage: Usage, known: Usage) -> Usage:
    left: dict[str, Any] = {
        name: max(0, told - (getattr(known, name) or 0))
        for name in (*COUNTS, "requests")
        if (told := getattr(usage, name)) is not None
    }
    return msgspec.structs.replace(usage, **left)


def _larger(one: Usage, other: Usage) -> Usage:
    larger: dict[str, Any] = {}
    for name in (*COUNTS, "requests"):
        here, there = getattr(one, name), getattr(other, name)
        if here is not None or there is not None:
            larger[name] = max(here or 0, there or 0)
    return msgspec.structs.replace(one, **larger)


# ---- iterations of an answer ------------------------------------------------------------------------------


class Beside(NamedTuple):
    """What an answer says of its calls, beside the totals."""

    parts: tuple[Part, ...] = ()
    """Calls that the totals leave out and that are charged."""
    served_by: str | None = None
    """The model that the totals are of; None: the one that was asked for."""


def completed(usage: Usage, beside: Beside) -> Usage:
    """`usage`, an answer's totals, with what was done beside them."""
    sums = Sums()
    whole = usage
    if beside.served_by is not None:
        sums.add(beside.served_by, usage)
    for part in beside.parts:
        whole = msgspec.structs.replace(whole, **summed(whole, part.usage))
        # An answer says once how it was served. Only its own model has a fast mode.
        speed = usage.speed if part.model is None else None
        words = {"service_tier": usage.service_tier, "inference_geo": usage.inference_geo, "speed": speed}
        sums.add(part.model, msgspec.structs.replace(part.usage, **words))
    return msgspec.structs.replace(whole, parts=sums.parts())


# ---- as JSON, in the database ---------------------------------------------------------------------------


def parts_to_json(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [{"model": part.model, **_told(part.usage)} for part in parts]


def parts_from_json(stored: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(
        Part(one.get("model"), Usage(**{name: value for name, value in one.items() if name in _NAMES}))
        for one in stored
    )


_NAMES = frozenset(Usage.__struct_fields__) - {"parts"}


def _told(usage: Usage) -> dict[str, Any]:
    return {name: value for name in _NAMES if (value := getattr(usage, name)) is not None}
