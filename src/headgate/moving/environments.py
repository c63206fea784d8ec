"""Settings out of another gateway's environment: a `.env` file, and a table of what its names are here."""

from collections.abc import Callable, Mapping
from pathlib import Path

from headgate.config import env_file
from headgate.errors import ForeignDataUnreadable
from headgate.moving.found import SETTING, Found, FoundSetting
from headgate.moving.reading import switch, text_of, words

Counterpart = tuple[Callable[[str], object], tuple[str, ...]]
"""How a value is read, None when it is none, and the settings that it becomes."""


def whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 12 else None


def text(value: str) -> str | None:
    return words(value, 2000)


def address(value: str) -> str | None:
    """As our own settings have one, so that the same is the same."""
    return value.rstrip("/") if "://" in value else None


def level(value: str) -> str | None:
    near = {"trace": "debug", "warning": "warn", "critical": "error"}
    return near.get(value.lower(), value.lower())


def listed(value: str) -> list[str]:
    return value.replace(",", " ").split()


def required(value: str) -> str | None:
    """`true` asks for it; `false` leaves it to us, which is what an unset one does."""
    return "required" if switch(value) else "auto"


def variables_of(file: Path) -> dict[str, str]:
    """Upper-case names; what the process's own environment holds does not count."""
    text_of(file)  # says why it cannot be read, which `env_file` only warns of
    read = env_file.read(file, {})
    if read.warnings and not read.variables:
        raise ForeignDataUnreadable(read.warnings[0], hint="Give the .env file of the other program.")
    return {name.upper(): value for name, value in read.variables.items() if value.strip()}


def take_settings(found: Found, variables: Mapping[str, str], table: Mapping[str, Counterpart]) -> None:
    """`table`: by their name."""
    for name, (form, paths) in table.items():
        if name not in variables:
            continue
        value = form(variables[name].strip())
        if value is None:
            found.could_not_read(SETTING, name, "its value is not what it should be")
        else:
            found.settings += [FoundSetting(path, value, name) for path in paths]
