"""Tables that fit the terminal: shorter headings first, then no empty columns, then folded cells, then
fewer columns. What is left out is said below.

How a column is written: `#name` holds numbers, `=name` words that make no sense in pieces (a status, an
id); neither is ever folded. `name|short` has a shorter heading for a narrow terminal. `?name`, before those
marks, is left out however wide the terminal is where no cell says anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.table import Table

from headgate.cli.terminal import out, table

_GAP = 2
"""Characters between two columns."""

_NARROWEST = 10
"""Cells that are folded more than this cannot be read: then a column is left out."""

_NOTHING = frozenset({"", "-"})
"""Cells that say nothing."""


@dataclass
class _Column:
    name: str
    heading: str
    cells: list[Any]
    is_number: bool
    is_whole: bool
    width: int = 0

    @property
    def natural(self) -> int:
        return max(len(self.heading), *(cell_len(str(cell)) for cell in self.cells), 0)

    @property
    def least(self) -> int:
        return self.natural if self.is_whole else max(len(self.heading), min(self.natural, _NARROWEST))

    @property
    def is_empty(self) -> bool:
        return all(str(cell) in _NOTHING for cell in self.cells)


def print_fitting(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, more: str = "A wider terminal or --json"
) -> None:
    """`more` begins the sentence about what is left out: it says where else it can be seen."""
    grid, left_out = fitting_table(columns, rows, out.width)
    out.print(grid)
    if left_out:
        out.print(f"{more} also shows: {', '.join(left_out)}", style="dim", markup=False)


def fitting_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int
) -> tuple[Table, list[str]]:
    """The table, and the names of the columns that are missed in it. The last ones go first."""
    everything = [_column(column, list(cells)) for column, *cells in zip(columns, *rows, strict=True)]
    shown = _that_fit(everything, columns, width)
    _share(shown, width)
    kept = [everything.index(column) for column in shown]
    marked = [("#" if column.is_number else "") + column.heading for column in shown]
    grid = table(marked, [[row[at] for at in kept] for row in rows])
    for drawn, column in zip(grid.columns, shown, strict=True):
        drawn.width = column.width
    return grid, [column.name for column in everything if column not in shown and not column.is_empty]


def _column(written: str, cells: list[Any]) -> _Column:
    marked = written.removeprefix("?")
    name = marked.lstrip("#=").partition("|")[0]
    return _Column(name, name, cells, is_number=marked[0] == "#", is_whole=marked[0] in "#=")


def _that_fit(everything: list[_Column], written: Sequence[str], width: int) -> list[_Column]:
    shown = [
        column
        for column, one in zip(everything, written, strict=True)
        if not (one.startswith("?") and column.is_empty)
    ]
    if _sum([column.natural for column in shown]) <= width:
        return shown
    for column, one in zip(everything, written, strict=True):
        column.heading = one.partition("|")[2] or column.name
    for column in [one for one in reversed(everything) if one.is_empty]:
        if column in shown and _sum([one.natural for one in shown]) > width:
            shown.remove(column)
    while len(shown) > 1 and _sum([column.least for column in shown]) > width:
        shown.pop()
    return shown


def _share(shown: list[_Column], width: int) -> None:
    """Every column its own width; where that is too much the widest that may be folded gives way."""
    for column in shown:
        column.width = column.natural
    while _sum([column.width for column in shown]) > width:
        yielding = [column for column in shown if column.width > column.least]
        if not yielding:
            return
        max(yielding, key=lambda column: column.width).width -= 1


def _sum(widths: list[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)
