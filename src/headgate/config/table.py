"""The table of settings, row by row: for the environment, for hints, and for the generated page."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from headgate.config.settings import Settings

ANY_NAME = "*"
"""Stands in a path where the owner chooses the name (`providers.*.base_url`)."""
ANY_ITEM = "[]"
"""Stands in a path where a list has its items (`accounts.[].name`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. `path` is dotted, as commands and messages show it; `unit` may be a list of choices."""

    path: str
    description: str
    unit: str
    default: Any
    is_required: bool
    is_secret: bool
    is_later: bool
    """Nothing obeys it yet."""
    needs_restart: bool
    """A running gateway keeps the value that it began with."""

    @property
    def variable(self) -> str | None:
        """The environment variable; None inside a list, which the environment sets as a whole."""
        return None if ANY_ITEM in self.path else "HEADGATE_" + self.path.upper().replace(".", "__")


@cache
def rows() -> tuple[Row, ...]:
    """Every setting, in the order of the table."""
    return tuple(_rows_of(Settings, ""))


def _rows_of(section: type[BaseModel], prefix: str) -> Iterator[Row]:
    for name, field in section.model_fields.items():
        path = prefix + name
        inner, step = section_within(field.annotation)
        is_set_as_a_whole = inner is None or step == "." + ANY_ITEM
        if is_set_as_a_whole:
            yield _row(path, field)
        if inner is not None:
            yield from _rows_of(inner, path + step + ".")


def _row(path: str, field: FieldInfo) -> Row:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    choices = [choice for choice in types_within(field.annotation) if isinstance(choice, str)]
    return Row(
        path=path,
        description=field.description or "",
        unit=", ".join(choices) or str(extra.get("unit", "")),
        default=None if field.is_required() else field.default,
        is_required=field.is_required(),
        is_secret=SecretStr in types_within(field.annotation) or path == "access.api_keys",
        is_later=bool(extra.get("later")),
        needs_restart=bool(extra.get("restart")),
    )


def section_within(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a field holds, and the step to it: none, into a list, or into a map."""
    step = {tuple: "." + ANY_ITEM, dict: "." + ANY_NAME}.get(get_origin(annotation), "")
    for inner in types_within(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, step
    return None, ""


def types_within(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return types_within(get_args(annotation)[0])
    parts = get_args(annotation)
    return [found for part in parts for found in types_within(part)] if parts else [annotation]


@lru_cache(maxsize=1024)
def row_of(path: str) -> Row | None:
    """The setting that a concrete path names: `providers.anthropic.base_url`, `accounts.0.name`."""
    steps = path.split(".")
    # Every start looks up every setting: only what can be meant is compared.
    candidates = _rows_by_beginning().get((len(steps), steps[0]), ())
    return next((row for row in candidates if matches(row.path, path)), None)


@cache
def _rows_by_beginning() -> dict[tuple[int, str], list[Row]]:
    """By the number of steps and the first of them, which is never the owner's own name."""
    found: dict[tuple[int, str], list[Row]] = {}
    for row in rows():
        steps = row.path.split(".")
        found.setdefault((len(steps), steps[0]), []).append(row)
    return found


def matches(wanted: str, path: str) -> bool:
    """Whether a path of the table stands for a concrete one, step by step."""
    steps, found = wanted.split("."), path.split(".")
    free = (ANY_NAME, ANY_ITEM)
    return len(steps) == len(found) and all(w in (f, *free) for w, f in zip(steps, found, strict=True))


def value_at(section: BaseModel, path: str) -> Any:
    """The value in force of a concrete path; the default where the owner's own name is not there."""
    value: Any = section
    for step in path.split("."):
        if isinstance(value, BaseModel):
            value = getattr(value, step)
        elif isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, tuple) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            row = row_of(path)
            return row.default if row is not None else None
    return value


def values(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting in force with its concrete path: those in lists and maps too, by number and name.

    A list or map of sections that is empty stands itself.
    """
    for name in type(section).model_fields:
        yield from _values_at(prefix + name, getattr(section, name))


def _values_at(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        yield from values(value, path + ".")
        return
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, tuple):
        items = list(enumerate(value))
    if items and isinstance(items[0][1], BaseModel):
        for step, item in items:
            yield from _values_at(f"{path}.{step}", item)
    else:
        yield path, value


def nearest(name: str, valid: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The valid name that was probably meant."""
    found = difflib.get_close_matches(name, list(valid), n=1, cutoff=likeness)
    return found[0] if found else None
