"""The tree of commands: every one explains itself, and none is forgotten on the page for users."""

import re
import shlex
from pathlib import Path

import pytest
from typer import Context
from typer.main import get_command

from headgate.cli.app import app
from headgate.cli.commands import ENTRIES, every_command
from tests.cli.conftest import Command

TREE = dict(every_command(get_command(app)))
GROUPS = {path: one for path, one in TREE.items() if hasattr(one, "commands")}
COMMANDS = {path: one for path, one in TREE.items() if path not in GROUPS}
WITHOUT_JSON = {("serve",), ("demo",), ("db", "upgrade")}
"""They run until they are stopped, or have nothing to tell a program but their exit code."""


def options_of(path: tuple[str, ...]) -> set[str]:
    shown = [one for one in TREE[path].params if not getattr(one, "hidden", False)]
    return {option for one in shown for option in one.opts if option.startswith("-")}


@pytest.mark.parametrize("path", TREE, ids=lambda path: " ".join(("headgate", *path)))
def test_everything_explains_itself(path: tuple[str, ...]) -> None:
    """A description, an example, and every option with its meaning."""
    command = TREE[path]
    assert command.help
    begin = f"Example: headgate {' '.join(path)}".rstrip()
    assert (command.epilog or "").startswith(begin)
    assert [one.name for one in command.params if not getattr(one, "help", None)] == []


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(("headgate", *path)))
def test_a_group_says_all_of_what_its_commands_are_for(path: tuple[str, ...]) -> None:
    """On a narrow terminal as well: on more lines."""
    shown = " ".join(
        TREE[path].get_help(Context(TREE[path], info_name="headgate", terminal_width=60)).split()
    )
    below = [one for one in TREE if one[:-1] == path and one]
    assert below
    for one in below:
        first = TREE[one].get_short_help_str(1000)
        assert f"{one[-1]} {first}" in shown


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_takes_settings_and_answers_programs(path: tuple[str, ...]) -> None:
    """`--config` on every one; `--json` on all that have something to tell."""
    assert "--config" in options_of(path)
    assert "--json" in options_of(path) or path in WITHOUT_JSON


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_example_works_as_written(path: tuple[str, ...]) -> None:
    """It is understood whole: no option in it that is not there, none left out that is needed."""
    written = TREE[path].epilog.removeprefix("Example: ").partition(" < ")[0].partition(" | ")[0]
    words = shlex.split(written)[1 + len(path) :]
    TREE[path].make_context(" ".join(path), words)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_table_says_what_the_command_says(entry: object) -> None:
    """The list under `headgate --help` is written down, so that it needs no command's module."""
    assert TREE[(entry.name,)].help.startswith(entry.summary)  # type: ignore[attr-defined]


def test_every_command_and_option_is_on_the_page_for_users() -> None:
    """docs/commands.md has a section for each command; a test of the repository keeps it up to date."""
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    sections = {section.partition("\n")[0]: section for section in page.split("\n### ")}
    for path in COMMANDS:
        title = next(title for title in sections if f"{title} ".startswith(f"headgate {' '.join(path)} "))
        missing = [
            name for name in options_of(path) - {"--help", "--config"} if f"`{name}`" not in sections[title]
        ]
        assert missing == []


async def test_a_command_that_is_nearly_right_is_named(headgate: Command) -> None:
    """What, why, mend; and 2."""
    group = await headgate("acount", "list")
    command = await headgate("account", "lst")
    option = await headgate("account", "list", "--jsn")
    assert (group.code, command.code, option.code) == (2, 2, 2)
    assert "Did you mean 'account'?" in group.err
    assert "Did you mean 'list'" in command.err
    assert "--json" in option.err
    assert " mend: headgate account --help shows what there is." in command.err


_PAGE = Path(__file__).parents[2] / "docs" / "from-other-guides.md"
NAMED = sorted(set(re.findall(r"`headgate ([^`]+)`", _PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("written", NAMED)
def test_every_command_on_the_page_of_the_guides_is_there(written: str) -> None:
    """docs/from-other-guides.md: whoever comes from another gateway can type what stands there."""
    words = shlex.split(written)
    path = max((one for one in TREE if tuple(words[: len(one)]) == one), key=len)
    assert path, f"headgate {written}: there is no such command"
    if path in GROUPS:
        assert list(path) == words
    else:
        TREE[path].make_context(" ".join(path), words[len(path) :])
