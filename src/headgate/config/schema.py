"""The table of settings for other programs: as JSON Schema, and row by row."""

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from headgate.config import table
from headgate.config.settings import Settings


def document() -> dict[str, Any]:
    """For editors. The file takes more spellings than it says, such as one text for a list."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of Headgate",
        **{name: part for name, part in Settings.model_json_schema().items() if name != "title"},
    }


def described(row: table.Row) -> dict[str, Any]:
    return {
        "path": row.path,
        "variable": row.variable,
        "default": json.loads(json.dumps(row.default)),
        "required": row.is_required,
        "unit": row.unit,
        "meaning": row.description,
        "secret": row.is_secret,
        "in_effect": not row.is_later,
        "needs_restart": row.needs_restart,
    }


def read_value(text: str) -> Any:
    """One value as the file would have it. Raises ValueError in words without the value."""
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        place = f"column {error.problem_mark.column + 1}" if error.problem_mark else "it"
        raise ValueError(f"{place} cannot be read") from None
    except (YAMLError, ValueError, RecursionError):
        raise ValueError("it cannot be read") from None
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):  # a date, a set: no setting has such a value, so a text is meant
        return text
