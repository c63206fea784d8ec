"""The commands by name. The module of one is loaded when it is called: help of the whole needs none.

The name is also that of the module. The module of a group has `app`, another one a function of its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `headgate --help`."""

    name: str
    summary: str
    """What its own help begins with; a test compares the two."""
    example: str = ""
    """Of a single command; those of a group have their own."""
    module: str = ""
    """Where it is not named like the command."""
    function: str = ""
    """One command of a group's module, under a name of its own."""


ENTRIES = (
    Entry(
        "serve",
        "Run the gateway. SIGINT or SIGTERM ends it after the requests that run.",
        "headgate serve --port 9000",
    ),
    Entry("demo", "Show the gateway at work, with no account and no network.", "headgate demo --once"),
    Entry("status", "Show what the running gateway does.", "headgate status --json"),
    Entry("account", "The accounts that requests are spent on.", module="accounts"),
    Entry("key", "The keys that clients show to come in.", module="keys"),
    Entry("import", "Move in from another gateway: accounts, keys, settings, history.", module="moving"),
    Entry(
        "requests",
        "Show the latest requests, with --follow those to come as well; with ID one and its attempts.",
        "headgate requests --status error --limit 20",
    ),
    Entry(
        "conversations",
        "Show the latest conversations; with ID one as a tree.",
        "headgate conversations --since 7d",
    ),
    Entry(
        "usage",
        "Show what was used: requests, errors, tokens and cost, in sums and in all.",
        "headgate usage --since 7d --by model",
    ),
    Entry(
        "prices",
        "Show what models cost, in USD per million tokens: prices of the owner, fetched ones, shipped ones.",
        "headgate prices claude-opus-4-5",
    ),
    Entry(
        "logs",
        "Print the last lines of the log file, those of gateway and recorder alike.",
        "headgate logs --follow --level warn",
    ),
    Entry("audit", "Show what the owner changed, newest first.", "headgate audit --action account.remove"),
    Entry("strategy", "How an account is chosen among those that can serve."),
    Entry("config", "The settings: where they are, what is in force, and changes to them."),
    Entry("db", "The database that accounts and history are kept in."),
    Entry("history", "What was asked and how it ended."),
    Entry("stats", "The counters of the accounts."),
    Entry(
        "clear-history",
        "Delete requests with their attempts and sums. Accounts, counters and settings stay.",
        "headgate clear-history --before 30d --yes",
        module="history",
        function="clear",
    ),
    Entry(
        "reset-stats",
        "Set every account's counters to zero. The history stays.",
        "headgate reset-stats",
        module="stats",
        function="reset",
    ),
    Entry(
        "doctor",
        "Look at settings, database and gateway, and say what mends it. Exit code 1 when one is wrong.",
        "headgate doctor",
    ),
    Entry(
        "openapi",
        "Print the OpenAPI document of the owner's routes.",
        "headgate openapi | jq '.paths | keys'",
    ),
    Entry("version", "Print the version.", "headgate version"),
)
_BY_NAME = {entry.name: entry for entry in ENTRIES}
_LONGEST_SUMMARY = 300


class Group(TyperGroup):
    """Says of each command what it is for, whole sentences on as many lines as they take."""

    def summary_of(self, name: str) -> str:
        return str(self.commands[name].get_short_help_str(_LONGEST_SUMMARY))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary_of(name)) for name in self.commands])


class CommandTree(Group):
    """The top of the tree: knows all names, loads what is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        registered = dict(self.commands)
        # Typer looks among these names for near ones; what they stand for comes from `get_command`.
        self.commands = {entry.name: registered.get(entry.name) for entry in ENTRIES} | registered  # type: ignore[assignment]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self.commands.get(cmd_name) is None and (entry := _BY_NAME.get(cmd_name)) is not None:
            self.commands[cmd_name] = load(entry)
        return self.commands.get(cmd_name)

    def summary_of(self, name: str) -> str:
        """From the table: nothing is loaded for it."""
        return _BY_NAME[name].summary if name in _BY_NAME else super().summary_of(name)


def load(entry: Entry) -> Any:
    """The command or group itself, as if it had been registered from the start."""
    module = import_module(f"headgate.cli.{entry.module or entry.name}")
    parent = typer.Typer(rich_markup_mode=None, add_completion=False, callback=_nothing)
    if not entry.function and isinstance(group := getattr(module, "app", None), typer.Typer):
        parent.add_typer(group, name=entry.name, cls=Group)
    else:
        parent.command(entry.name, epilog=f"Example: {entry.example}")(
            getattr(module, entry.function or entry.name)
        )
    return typer.main.get_group(parent).commands[entry.name]


def _nothing() -> None:
    """With a callback a group of one command stays a group."""


def every_command(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and command of all that can be called, and of the groups on the way, the top first."""
    yield path, group
    for name in getattr(group, "commands", ()):
        yield from every_command(group.get_command(None, name), (*path, name))
