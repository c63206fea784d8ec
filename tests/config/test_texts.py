import pytest

from headgate.config import texts


@pytest.mark.parametrize("text", ["\0", "a\ud800b", "\udfff", "caf\udcff"])
def test_what_nothing_can_hold_is_broken(text: str) -> None:
    """And what is shown of it can be written anywhere."""
    assert texts.is_broken(text)
    assert not texts.is_broken(texts.shown(text))
    texts.shown(text).encode()


@pytest.mark.parametrize("text", ["", "café", "\N{GRINNING FACE}", "a\tb\n"])
def test_other_text_is_whole(text: str) -> None:
    """Characters beyond the basic plane are pairs only in JSON's own spelling."""
    assert not texts.is_broken(text)
    assert texts.shown(text) == text
