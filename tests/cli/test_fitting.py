"""Tables that fit the terminal, and what is said of the rest."""

import io

import pytest
from rich.console import Console

from headgate.cli import terminal
from headgate.cli.fitting import fitting_table, print_fitting

COLUMNS = ("name", "=status", "rate_limit_status|limit", "=expires", "#requests")
ROWS = [
    ("x" * 50, terminal.state("rate_limited"), "limited", "-", 7),
    ("short", terminal.state("active"), "-", "-", 1234),
]


def drawn(width: int) -> tuple[list[str], list[str]]:
    """Its lines, and what is left out."""
    written = io.StringIO()
    grid, left_out = fitting_table(COLUMNS, ROWS, width)
    Console(file=written, width=width).print(grid)
    return [line.rstrip() for line in written.getvalue().splitlines()], left_out


@pytest.mark.parametrize(
    ("width", "headings", "left_out"),
    [
        (120, "name status rate_limit_status expires requests", []),
        (90, "name status limit requests", []),
        (50, "name status limit requests", []),
        (34, "name status limit", ["requests"]),
        (24, "name status", ["rate_limit_status", "requests"]),
    ],
)
def test_headings_are_shortened_then_columns_left_out(width: int, headings: str, left_out: list[str]) -> None:
    """Those without a word in them go first, then the last; no line is too wide, and no name is lost."""
    lines, missing = drawn(width)
    assert lines[0].split() == headings.split()
    assert missing == left_out
    assert max(map(len, lines)) <= width
    assert "".join(lines).count("x") == 50 + headings.count("expires")


@pytest.mark.parametrize("width", [24, 34, 50, 90, 120])
def test_a_status_is_never_folded(width: int) -> None:
    """`rate_limit / ed` is no word."""
    lines, _ = drawn(width)
    assert sum("rate_limited" in line.split() for line in lines) == 1


@pytest.mark.parametrize("width", [40, 200])
def test_a_column_that_may_say_nothing_is_there_when_it_says_something(width: int) -> None:
    """However wide the terminal is; numbers and words alike."""
    grid, left_out = fitting_table(("name", "?#weight", "?models"), [("work", "-", "all")], width)
    assert ([str(one.header) for one in grid.columns], left_out) == (["name", "models"], [])


def test_an_empty_table_keeps_its_headings() -> None:
    grid, left_out = fitting_table(("name", "#count"), [], 80)
    assert ([str(one.header) for one in grid.columns], left_out) == (["name", "count"], [])


def test_what_is_left_out_is_said_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where it can be seen; a table that is whole has no such line."""
    for width, last in ((24, "--json also shows: rate_limit_status, requests"), (120, "1234")):
        monkeypatch.setattr(terminal.out, "width", width)
        print_fitting(COLUMNS, ROWS)
        assert " ".join(capsys.readouterr().out.split()).endswith(last)
