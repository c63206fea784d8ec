"""`headgate logs` finds the file and its end."""

from pathlib import Path

from tests.cli.conftest import Command


def _configure(headgate: Command, file: Path | str) -> None:
    headgate.config.write_text(f"log: {{file: {file}}}\n")


async def test_the_last_lines_are_printed(headgate: Command) -> None:
    """Those at the end, in order, as they stand in the file; markup in them means nothing."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("".join(f"[Proxy] line {number} [bold]\n" for number in range(10)))
    shown = await headgate("logs", "--lines", "2")
    assert shown.out == "[Proxy] line 8 [bold]\n[Proxy] line 9 [bold]\n"
    assert (await headgate("logs", "-n", "1", "--json")).json()["lines"] == ["[Proxy] line 9 [bold]"]


async def test_a_long_file_is_read_from_its_end(headgate: Command) -> None:
    """Of a line that began before the part that was read nothing is shown."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("x" * 2_000_000 + "\nthe last\n")
    assert (await headgate("logs")).out == "the last\n"


async def test_no_file_is_explained(headgate: Command) -> None:
    """Missing, or switched off: what, why, mend and exit code 1."""
    file = headgate.folder / "nowhere.log"
    _configure(headgate, file)
    missing = await headgate("logs")
    assert (missing.code, str(file) in missing.err) == (1, True)
    _configure(headgate, "null")
    off = await headgate("logs", "--path")
    assert (off.code, "log.file is null" in off.err) == (1, True)
