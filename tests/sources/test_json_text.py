import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.sources.json_text import JsonText, Malformed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("content", "line", "column", "words"),
    [
        (b"", 1, 1, "Expecting value"),
        (b'{"a": 1,\n  "b": }', 2, 8, "Expecting value"),
        (b'{"a": 1', 1, 8, "delimiter"),
        (b'{"a": NaN}', 1, 1, "NaN is no JSON"),
        (b'{"a":\n "\xff"}', 2, 3, "not UTF-8"),
        (b'{"a": 1,\n "a": 2}', 2, 2, "the same name"),
        (b"[" * 100_000, 1, 1, "too deep"),
        (b"[" * 70 + b"]" * 70, 1, 66, "too deep"),
        (b"[" + b"1" * 5000 + b"]", 1, 1, "digits"),
    ],
)
def test_what_is_wrong_has_its_place(content: bytes, line: int, column: int, words: str) -> None:
    with pytest.raises(Malformed, match=words) as found:
        JsonText(content)
    assert (found.value.line, found.value.column) == (line, column)


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_any_value_is_read_and_has_its_places(value: Any, indent: Any) -> None:
    """What stands at the place of a value is that value."""
    text = JsonText(json.dumps({"x": value}, indent=indent).encode())
    assert text.value == {"x": value}
    changed = JsonText(text.changed({("x",): "new"}))
    assert changed.value == {"x": "new"}


def test_a_change_leaves_all_else_as_it_is() -> None:
    content = '{ "a" : 1.50 ,\n\t"b":{"c":"\\u00e9","d" : [1 , 2]}, "e": 1e3}\r\n'
    changed = JsonText(content.encode()).changed({("b", "c"): "new", ("e",): 7})
    assert changed.decode() == '{ "a" : 1.50 ,\n\t"b":{"c":"new","d" : [1 , 2]}, "e": 7}\r\n'


@pytest.mark.parametrize(
    ("content", "changed"),
    [
        ("{}", '{"x": 1}'),
        ('{"a": 1}', '{"a": 1,"x": 1}'),
        ('{\n  "a": 1,\n  "b": 2\n}\n', '{\n  "a": 1,\n  "b": 2,\n  "x": 1\n}\n'),
        ('{ "a": {"b": 1} }', '{ "a": {"b": 1}, "x": 1 }'),
    ],
)
def test_a_field_that_is_new_comes_behind_the_last(content: str, changed: str) -> None:
    assert JsonText(content.encode()).changed({("x",): 1}).decode() == changed


def test_a_byte_order_mark_stays() -> None:
    text = JsonText(b'\xef\xbb\xbf{"a": 1}')
    assert text.changed({("a",): 2}) == b'\xef\xbb\xbf{"a": 2}'
