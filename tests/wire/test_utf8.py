"""What is UTF-8 is told from what is not as Python's own decoder does, wherever the pieces are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.wire.utf8 import check_utf8

PIECE = 8_192


def passes(data: bytes) -> bool:
    try:
        check_utf8(data)
    except UnicodeDecodeError:
        return False
    return True


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("before", range(PIECE - 5, PIECE + 2))
@pytest.mark.parametrize("character", ["é", "€", "🦊"])
@pytest.mark.parametrize("rest", [b"", b"x", b"x" * PIECE])
def test_a_character_across_a_cut(before: int, character: str, rest: bytes) -> None:
    whole = character.encode()
    for first in (b"x", "ä".encode()):
        opening = first + b"x" * (before - len(first))
        assert passes(opening + whole + rest)
        assert not passes(opening + whole[:-1] + rest)
        assert not passes(opening + whole[1:] + rest)


def test_an_end_within_a_character_is_seen_in_the_last_of_many_pieces() -> None:
    text = "日本語のテキスト".encode() * 10_000
    assert passes(text)
    assert passes(bytearray(text))
    assert not passes(text[:-1])


@given(
    st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=6).map(str.encode)), max_size=8),
    st.integers(0, 12),
)
def test_the_same_as_python(parts: list[bytes], room: int) -> None:
    data = b"".join([b"x" * (PIECE - room), *parts])
    assert passes(data) == is_text(data)
    assert passes(b"".join(parts)) == is_text(b"".join(parts))
