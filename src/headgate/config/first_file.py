"""The settings file that a first start makes: what takes effect, each as a comment with its default."""

import json
from typing import Any

from headgate.config import table

_HEADER = """\
# Settings of Headgate. Every line is a comment and shows the default: take the "# " away to change one,
# together with the "# " of its section. docs/settings.md says more about each.
"""


def text() -> str:
    settable = [
        row for row in table.rows() if row.variable and table.ANY_NAME not in row.path and not row.is_later
    ]
    lines: list[str] = []
    open_groups: list[str] = []
    for row in settable:
        *groups, name = row.path.split(".")
        if groups != open_groups:
            shared = _shared(groups, open_groups)
            if not shared:
                lines.append("\n")
            lines += [f"# {'  ' * depth}{groups[depth]}:\n" for depth in range(shared, len(groups))]
            open_groups = groups
        elif not groups:
            lines.append("\n")
        about = f"{row.description} ({row.unit})" if groups else row.description
        lines.append(f"# {'  ' * len(groups)}{name}: {as_yaml(row.default)}  # {about}\n")
    return _HEADER + "".join(lines)


def _shared(groups: list[str], before: list[str]) -> int:
    """How many groups, from the outside, are the same."""
    return next(
        (n for n, (one, other) in enumerate(zip(groups, before, strict=False)) if one != other),
        min(len(groups), len(before)),
    )


def as_yaml(value: Any) -> str:
    """JSON is YAML; the defaults that are words need no quotes."""
    dumped = json.dumps(value)
    return dumped.strip('"') if isinstance(value, str) else dumped
