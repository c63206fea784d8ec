import pytest

from headgate.config import schema, table
from headgate.config.schema import read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("null", None),
        ("[a, b]", ["a", "b"]),
        ("a b", "a b"),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_a_value_is_read_as_the_file_would_have_it(text: str, value: object) -> None:
    """What no setting has, such as a date, is the text it looks like."""
    assert read_value(text) == value


@pytest.mark.parametrize("text", ["[s3cret", "{s3cret", "*s3cret", "'s3cret"])
def test_what_cannot_be_read_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read_value(text)
    assert "s3cret" not in str(caught.value)


def test_every_row_is_described() -> None:
    """In plain values, as JSON has them."""
    assert [schema.described(row)["path"] for row in table.rows()] == [row.path for row in table.rows()]
