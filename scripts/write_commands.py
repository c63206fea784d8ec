"""The reference at the end of `docs/commands.md`, read from the command line itself: `make docs`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from headgate.cli.app import app
from headgate.cli.commands import every_command

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

_HEAD = """\
## Reference

Generated from the command line by `make docs`. Each command also takes `--config PATH` (another settings
file) and `--help`.
"""
_SPOKEN_OF = frozenset({"--help", "--config", "--install-completion", "--show-completion"})


def page(file: Path = PAGE) -> str:
    """What is written by hand stays; what follows the heading of the reference is made anew."""
    by_hand = file.read_text(encoding="utf-8").partition(_HEAD.splitlines()[0])[0]
    return by_hand + _HEAD + "".join(reference())


def reference() -> Iterator[str]:
    for path, command in every_command(get_command(app)):
        if not hasattr(command, "commands"):
            yield _section(path, command)


def _section(path: tuple[str, ...], command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    called = " ".join(("headgate", *path, *(_argument(one) for one in arguments)))
    rows = [(f"`{_argument(one)}`", one.help) for one in arguments]
    rows += [(_option(one), one.help) for one in options if _is_listed(one)]
    lines = "".join(f"| {name} | {_cell(words)} |\n" for name, words in rows)
    table = f"\n| option | meaning |\n|---|---|\n{lines}" if rows else ""
    words = " ".join((command.help or "").split())
    example = command.epilog.removeprefix("Example: ")
    return f"\n### {called}\n\n{words}\n\n```\n{example}\n```\n{table}"


def _is_listed(option: Any) -> bool:
    return not (option.hidden or _SPOKEN_OF & {*option.opts})


def _argument(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper()).strip("[]")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = "" if option.is_flag else f" {option.metavar}"
    return f"{names}{metavar}{'…' if option.multiple else ''}"


def _cell(words: str | None) -> str:
    return " ".join((words or "").split()).replace("|", "\\|")
