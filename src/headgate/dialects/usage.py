"""What an answer cost in tokens, the same for every dialect."""

import msgspec


class Usage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Tokens as the provider counted them. None: the provider did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
