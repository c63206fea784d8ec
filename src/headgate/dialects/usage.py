"""What an answer used, the same for every dialect."""

import msgspec


class Usage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """As the provider counted it. None: the provider did not say.

    Travels in the journal as an array: a new field goes to the end, with a default.
    """

    input_tokens: int | None = None
    """Without what the prompt cache gave or took, whatever the dialect counts them in."""
    output_tokens: int | None = None
    """With the reasoning."""
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    """Also of a provider that has one kind."""
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Of the output."""
    service_tier: str | None = None
    """The provider's word for what served the request: `standard`, `priority`, `batch`, `flex` …"""
    speed: str | None = None
    """`fast`, where the provider has such a mode."""
    inference_geo: str | None = None
    """Where the model ran, when that is told."""
    audio_input_tokens: int | None = None
    """Of the input, as the next one; the two after them of the output."""
    image_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    web_search_requests: int | None = None
    """Tools that the provider ran itself."""
    web_fetch_requests: int | None = None
    code_execution_requests: int | None = None
    requests: int | None = None
    """Of so many requests this is the sum; None: of one."""
    parts: "tuple[Part, ...] | None" = None
    """What of it was told apart. The rest is the model's that was asked for."""
    tool_calls: int | None = None
    """Tools that the answer called, the client's and the provider's own. None: none was seen."""


class Part(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one model used within an answer: charged by itself, at that model's price."""

    model: str | None
    """None: the one that was asked for."""
    usage: Usage


_FIELDS = Usage.__struct_fields__

USUAL = _FIELDS[: _FIELDS.index("speed")]
"""What most answers say, and what is worth a column. The last is a word, the others are counts."""
OTHERS = _FIELDS[len(USUAL) : -1]
"""What few answers say. Behind them stands `tool_calls`, which has a column as well."""

_WORDS = ("service_tier", "speed", "inference_geo")
COUNTS = tuple(name for name in _FIELDS if name not in (*_WORDS, "requests", "parts", "tool_calls"))

MOST = 2**60
"""Of anything in a sum: a provider's nonsense must not grow beyond what a journal and a database hold."""


def merged(earlier: Usage | None, later: Usage) -> Usage:
    """Counts in a stream are cumulative: a later number replaces an earlier one, silence does not."""
    if earlier is None:
        return later
    chosen = {
        name: value if (value := getattr(later, name)) is not None else getattr(earlier, name)
        for name in _FIELDS
    }
    # A later total without the split must not add to an earlier split.
    if earlier.cache_write_1h_tokens is not None and later.cache_write_1h_tokens is None:
        chosen["cache_write_5m_tokens"] = earlier.cache_write_5m_tokens
    return Usage(**chosen)


def summed(one: Usage, more: Usage) -> dict[str, int]:
    """The counts of both that either of them told."""
    sums: dict[str, int] = {}
    for name in COUNTS:
        here, there = getattr(one, name), getattr(more, name)
        if here is not None or there is not None:
            sums[name] = min(MOST, (here or 0) + (there or 0))
    return sums


def shares_of(usage: Usage) -> list[Part]:
    """What each price is to be reckoned of: the parts, and what is in none of them."""
    parts = list(usage.parts or ())
    left: dict[str, int] = {}
    for name in COUNTS:
        told = sum(getattr(part.usage, name) or 0 for part in parts)
        left[name] = max(0, (getattr(usage, name) or 0) - told)
    if any(left.values()):
        parts.append(Part(None, msgspec.structs.replace(usage, **left, requests=None, parts=None)))
    return parts


def word(said: str | None) -> str | None:
    """A provider's word that a record may keep: short, and none that a database refuses."""
    return said if said is None or (len(said) <= 32 and said.isprintable()) else None
