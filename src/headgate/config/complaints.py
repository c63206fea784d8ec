"""What is wrong with settings, in words and with its place. A value is never repeated: it may be a secret."""

from dataclasses import dataclass

from pydantic_core import ErrorDetails

from headgate.config import table
from headgate.config.files import Position
from headgate.config.settings import Settings

_NAME_ITSELF = "[key]"
"""Pydantic's step to the name of a map's entry, where that is what is wrong."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong."""

    path: str
    """Dotted; empty where it is not about one setting."""
    words: str
    source: str = ""
    """`file PATH`, `environment variable NAME` …"""
    position: Position | None = None
    """In the settings file."""
    lacks_variable: bool = False
    """Not the file is wrong: the environment of this process lacks what `${NAME}` stands for."""

    def __str__(self) -> str:
        what = f"{self.path}: {self.words}" if self.path else self.words
        return f"{self.position}: {what}" if self.position else what


def path_of(error: ErrorDetails) -> str:
    return ".".join(str(step) for step in error["loc"] if step != _NAME_ITSELF)


def words_of(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown setting" + _suggestion(error["loc"])
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a section with settings below it"
        case "tuple_type":
            return "must be a list"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "must be a whole number"
        case "float_parsing" | "float_type":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "string_type":
            return "must be a text (put it in quotes)"
        case "json_invalid" | "json_type":
            return "is not a valid JSON " + _form(error)
        case _:
            words = error["msg"].removeprefix("Value error, ")
            return words.replace("Input should be", "must be")


def _form(error: ErrorDetails) -> str:
    row = table.row_of(path_of(error))
    return "map" if row is not None and isinstance(row.default, dict) else "list"


def _suggestion(loc: tuple[int | str, ...]) -> str:
    """The valid name that was probably meant: at the top of the file that of a setting without its
    section too; elsewhere what may stand there."""
    *groups, name = (str(step) for step in loc)
    paths = [row.path for row in table.rows()]
    if not groups and (full := next((path for path in paths if path.rpartition(".")[2] == name), None)):
        return f", did you mean {full}?"
    beside = names_below(".".join(groups)) if groups else list(Settings.model_fields)
    near = table.nearest(name, beside)
    return f", did you mean {near}?" if near else f"; there are {', '.join(beside)}"


def names_below(group: str) -> list[str]:
    """What may stand in a concrete group, sections too: `server`, `providers.anthropic`."""
    depth = group.count(".") + 1
    found = [
        steps[depth]
        for row in table.rows()
        if len(steps := row.path.split(".")) > depth and table.matches(".".join(steps[:depth]), group)
    ]
    return list(dict.fromkeys(found))
