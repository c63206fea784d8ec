from itertools import pairwise
from typing import Any

import pytest

from headgate.testing.conversations import conversation
from headgate.testing.provider.prompt import PromptCache, count_tokens

_NOW = 1_000_000.0


def _block(text: str, ttl: str = "") -> dict[str, Any]:
    control = {"cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl != "5m" else {})}} if ttl else {}
    return {"type": "text", "text": text, **control}


def _body(*system: dict[str, Any], user: Any = "hi") -> dict[str, Any]:
    return {"model": "m", "system": list(system), "messages": [{"role": "user", "content": user}]}


def _figures(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    detail = usage["cache_creation"]
    read = usage["cache_read_input_tokens"]
    return (
        usage["input_tokens"],
        read,
        detail["ephemeral_5m_input_tokens"],
        detail["ephemeral_1h_input_tokens"],
    )


def test_without_breakpoints_nothing_is_cached() -> None:
    cache = PromptCache()
    assert _figures(cache.bill(_body(_block("a")), _NOW))[1:] == (0, 0, 0)
    assert _figures(cache.bill(_body(_block("a")), _NOW))[1:] == (0, 0, 0)


def test_prefix_is_written_once_and_read_afterwards() -> None:
    cache = PromptCache()
    body = _body(_block("long text", "5m"))
    plain, read, written, _ = _figures(cache.bill(body, _NOW))
    assert (read, plain + written) == (0, count_tokens(body))
    assert _figures(cache.bill(body, _NOW + 1)) == (plain, written, 0, 0)


def test_breakpoint_that_moves_on_keeps_the_prefix() -> None:
    """`cache_control` is no part of what is compared: clients move the mark with every turn."""
    cache = PromptCache()
    first = _figures(cache.bill(_body(_block("one", "5m")), _NOW))
    second = _figures(cache.bill(_body(_block("one"), _block("two", "5m")), _NOW))
    assert second[1] == first[2] and second[2] > 0


def test_times_to_live_are_billed_apart() -> None:
    cache = PromptCache()
    _, _, five, hour = _figures(cache.bill(_body(_block("a" * 400, "1h"), _block("b" * 40, "5m")), _NOW))
    assert hour > five > 0


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300), ("1h", 3600)])
def test_entry_ends_with_its_time_and_a_read_renews_it(ttl: str, seconds: int) -> None:
    cache = PromptCache()
    body = _body(_block("text", ttl))
    cache.bill(body, _NOW)
    assert _figures(cache.bill(body, _NOW + seconds - 1))[1] > 0
    assert _figures(cache.bill(body, _NOW + 2 * seconds - 2))[1] > 0
    assert _figures(cache.bill(body, _NOW + 4 * seconds))[1] == 0


def test_other_model_has_its_own_cache() -> None:
    cache = PromptCache()
    body = _body(_block("text", "5m"))
    cache.bill(body, _NOW)
    assert _figures(cache.bill(body | {"model": "n"}, _NOW))[1] == 0


def test_string_and_text_block_are_the_same_prompt() -> None:
    assert count_tokens(_body(user="hi")) == count_tokens(_body(user=[_block("hi")]))


def test_picture_costs_a_flat_figure() -> None:
    def with_picture(data: str) -> dict[str, Any]:
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return _body(user=[{"type": "image", "source": source}])

    assert count_tokens(with_picture("A" * 8)) == count_tokens(with_picture("A" * 80_000))


def test_conversation_reads_what_its_last_turn_wrote() -> None:
    cache = PromptCache()
    bills = [_figures(cache.bill(body, _NOW)) for body in conversation(seed=1, turns=4)]
    for (_, read, five, hour), (_, next_read, _, _) in pairwise(bills):
        assert next_read == read + five + hour
