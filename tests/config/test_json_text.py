import json

import pytest

from headgate.config.json_text import changed


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_stays_json(indent: int | str | None) -> None:
    """Order, indents and the end of the file too; sections that are missing are made."""
    before = {"retry": {"attempts": 2}, "name": "größe", "list": [1, 2.5]}
    text = json.dumps(before, indent=indent, ensure_ascii=False) + "\n"
    after = changed(text, ["retry", "attempts"], 4)
    assert after == text.replace('"attempts": 2', '"attempts": 4')
    more = changed(text, ["log", "level"], "debug")
    assert more is not None
    assert json.loads(more) == before | {"log": {"level": "debug"}}


@pytest.mark.parametrize(
    "text", ["", "# mine\n{}", "retry: {attempts: 2}", '{"a": 1, "a": 2}', '{"retry": 5}', "[1]", "3"]
)
def test_what_is_no_such_json_is_left_to_the_other_writer(text: str) -> None:
    """Comments and double names would be lost; a section that is none is told of there."""
    assert changed(text, ["retry", "attempts"], 4) is None
