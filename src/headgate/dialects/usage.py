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


_FIELDS = Usage.__struct_fields__

USUAL = _FIELDS[: _FIELDS.index("speed")]
"""What most answers say, and what is worth a column. The last is a word, the others are counts."""
OTHERS = _FIELDS[len(USUAL) :]
"""What few answers say."""

_COUNTS = _FIELDS[: _FIELDS.index("reasoning_tokens")]


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


def with_more(usage: Usage, more: Usage) -> Usage:
    """`usage` with the tokens of what was done beside it."""
    sums = {
        name: (getattr(usage, name) or 0) + (getattr(more, name) or 0)
        for name in _COUNTS
        if getattr(usage, name) is not None or getattr(more, name) is not None
    }
    return msgspec.structs.replace(usage, **sums)


def word(said: str | None) -> str | None:
    """A provider's word that a record may keep: short, and none that a database refuses."""
    return said if said is None or (len(said) <= 32 and said.isprintable()) else None
