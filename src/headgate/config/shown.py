"""Settings as they may be shown: each value with its source, secrets masked."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from headgate.config import table
from headgate.config.loading import Loaded
from headgate.config.merging import Source

MASK = "***"
_DATABASE = "storage.url"
_FILE = re.compile(r"(sqlite(\+\w+)?://)?[^@:?]*")
"""A path has no secret. A server's address without its scheme may have one: `user:password@host`."""


class SettingView(BaseModel):
    """One setting in force."""

    path: str
    value: Any
    default: Any
    source: str = Field(description="`default`, or where the value comes from in words.")
    line: int | None = Field(default=None, description="In the settings file.")
    column: int | None = None
    in_effect: bool = Field(default=True, description="False: this release takes no notice of it.")
    needs_restart: bool = False
    waiting: Any = Field(
        default=None, description="The value that the next start takes, where that is another."
    )


def shown(loaded: Loaded, waiting: Mapping[str, Any] | None = None) -> Iterator[SettingView]:
    """All settings in the order of the table, those in lists and maps by number and name."""
    for path, value in table.values(loaded.settings):
        row = table.row_of(path)
        if row is None:  # a map or list of sections without any
            row = next((one for one in table.rows() if one.path.startswith(path + ".")), None)
        if row is not None:
            source = loaded.sources.get(path)
            if source is None and value != row.default:  # set with the whole list or map that holds it
                source = loaded.source_of(path)
            yield _view(path, value, row, source, waiting or {})


def _view(
    path: str, value: Any, row: table.Row, source: Source | None, waiting: Mapping[str, Any]
) -> SettingView:
    is_row = table.matches(row.path, path)
    return SettingView(
        path=path,
        value=masked(value, is_secret=is_row and row.is_secret, path=path),
        default=masked(row.default, is_secret=False) if is_row else {},
        source=source.description if source else "default",
        line=source.position.line if source and source.position else None,
        column=source.position.column if source and source.position else None,
        in_effect=not row.is_later,
        needs_restart=row.needs_restart,
        waiting=masked(waiting[path], is_secret=row.is_secret, path=path) if path in waiting else None,
    )


def masked(value: Any, *, is_secret: bool, path: str = "") -> Any:
    """What may leave: of a secret only that there is one, and of an address how it begins. `path`: of the
    setting, where one is asked for by its name."""
    if value is None:
        return None
    if isinstance(value, SecretStr) and path == _DATABASE and _FILE.fullmatch(value.get_secret_value()):
        return value.get_secret_value()
    if isinstance(value, SecretStr):
        scheme = urlsplit(value.get_secret_value()).scheme
        is_address = "://" in value.get_secret_value() and scheme
        return f"{scheme}://{MASK}" if is_address else MASK
    if isinstance(value, tuple):
        return [masked(item, is_secret=is_secret) for item in value]
    if isinstance(value, BaseModel):
        return {name: masked(getattr(value, name), is_secret=False) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {name: masked(item, is_secret=is_secret) for name, item in value.items()}
    return MASK if is_secret else value
