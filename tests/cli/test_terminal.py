"""What commands print."""

import io
import json

import pytest
from rich.console import Console

from headgate.cli import terminal
from headgate.errors import SettingsError, StorageError


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (340.4, "340 ms"),
        (1200, "1.2 s"),
        (65_000, "1 min 5 s"),
        (3_600_000 * 2 + 60_000 * 3, "2 h 3 min"),
        (86_400_000 * 3 + 3_600_000 * 4, "3 d 4 h"),
    ],
)
def test_a_span_shows_the_two_units_that_matter(milliseconds: float, words: str) -> None:
    """Nobody reads 97200000 ms."""
    assert terminal.span(milliseconds) == words


def test_a_time_of_another_day_has_its_date() -> None:
    """A reset next week must not read like one in an hour; no time is a dash."""
    assert terminal.clock_time(0.0).startswith(("1970-", "1969-"))
    assert terminal.clock_time(None) == "-"


def test_a_time_beyond_the_calendar_is_said_too() -> None:
    """A clock may be wrong, and an owner may say `--before 9999-12-31T23:59:59Z` east of Greenwich."""
    assert terminal.clock_time(1e12) == "after 9999"
    assert terminal.clock_time(-1e12) == "before 0001"


@pytest.mark.parametrize("width", [40, 60, 120])
def test_a_table_fits_the_terminal_and_loses_nothing(width: int) -> None:
    """Long cells fold: every character is still there, no line is wider than the terminal."""
    written = io.StringIO()
    console = Console(file=written, width=width)
    console.print(terminal.table(("name", "#count"), [("account-" + "x" * 100, 7), ("[red]not markup", 8)]))
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert written.getvalue().count("x") == 100
    assert "[red]not markup" in written.getvalue()


def test_a_failure_says_what_why_and_mend(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error alone, and as it was written: no word of it is taken for markup."""
    terminal.print_failure(terminal.CommandFailed("Cannot do it", "the [bold] disk is full", "make room"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "error: Cannot do it",
        "  why: the [bold] disk is full",
        " mend: make room",
    ]


def test_json_is_one_document_whatever_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Long values are not wrapped and text that looks like markup stays."""
    data = {"key": "ü" * 500, "other": "[bold]x[/bold]"}
    terminal.print_json(data)
    terminal.print_json_line(data)
    document, line = capsys.readouterr().out.rsplit("}\n{", 1)
    assert json.loads(document + "}") == json.loads("{" + line) == data


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("most", [0, 100])
def test_what_is_no_text_on_standard_input_is_said(
    monkeypatch: pytest.MonkeyPatch, errors: str, most: int
) -> None:
    """However the locale reads it: a key that PowerShell has saved in UTF-16 ends in no traceback."""
    for content in (b"\xff\xfek\x00", "k€\n".encode()):
        typed = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors=errors)
        monkeypatch.setattr("sys.stdin", typed)
        if content.startswith(b"k"):
            assert terminal.read_stdin("Cannot", most=most) == "k€\n"
            continue
        with pytest.raises(terminal.CommandFailed, match="not UTF-8 text") as refused:
            terminal.read_stdin("Cannot", most=most)
        assert refused.value.exit_code == 2


def test_a_strangers_words_do_not_command_the_terminal() -> None:
    """A caller names the model; escape sequences and line ends in it are shown as marks."""
    grid = terminal.table(("model",), [("a\x1b]0;title\x07\nforged",)])
    assert terminal.printable("claude-sonnet-5-5 ü") == "claude-sonnet-5-5 ü"
    assert [str(cell) for cell in grid.columns[0].cells] == ["a\ufffd]0;title\ufffd\ufffdforged"]


def test_what_could_not_be_done_is_named_but_for_settings() -> None:
    """A cause below the command gets the command's words; wrong settings keep their own and exit code 2."""
    with pytest.raises(terminal.CommandFailed) as failed, terminal.failing_as("Cannot list"):
        raise StorageError("The disk is full", hint="Make room.")
    assert (failed.value.what, failed.value.why) == ("Cannot list", "The disk is full")
    assert (failed.value.mend, failed.value.exit_code) == ("Make room.", 1)
    with pytest.raises(SettingsError), terminal.failing_as("Cannot list"):
        raise SettingsError("No such strategy")


def test_a_failure_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What a provider said of a sign-in is quoted there; lines of our own stay lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal, "err", Console(stderr=True, highlight=False))
        terminal.print_failure(terminal.CommandFailed("No\nsign-in", "he said \x1b[2J\r\x9b31m", "again\x07"))
    said = capsys.readouterr().err
    assert "No\nsign-in" in said and "he said" in said
    assert said.replace("\n", "").isprintable()
