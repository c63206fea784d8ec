"""Settings that stand in the file as comments, as the first start writes them: one that is set is
uncommented where it stands, beside its description, and not added once more at the end."""

import re

from ruamel.yaml.error import YAMLError

from headgate.config.comparing import are_same_but_for

_MARK = "# "


def uncommented(text: str, steps: list[str]) -> str:
    """The text with the marks taken from the setting's line and from those of its sections.

    The same text where the setting has no such line, or where taking the marks away would change more than
    this one setting, or make it a broken file.
    """
    lines = text.splitlines(keepends=True)
    at, is_changed = 0, False
    for depth, step in enumerate(steps):
        found = _line_of(lines, at, depth, step)
        if found is None:
            return text
        if lines[found].startswith(_MARK):
            lines[found] = lines[found].removeprefix(_MARK)
            is_changed = True
        at = found + 1
    changed = "".join(lines)
    return changed if is_changed and _changes_only(steps, text, changed) else text


def _line_of(lines: list[str], at: int, depth: int, step: str) -> int | None:
    """The line of this name at this depth, before the section around it ends."""
    wanted = re.compile(rf"{'  ' * depth}{re.escape(step)}:(?:\s|$)")
    for number in range(at, len(lines)):
        line = lines[number].removeprefix(_MARK)
        if wanted.match(line):
            return number
        indent = len(line) - len(line.lstrip())
        if depth and (not line.strip() or indent < 2 * depth):
            return None
    return None


def _changes_only(steps: list[str], before: str, after: str) -> bool:
    try:
        return are_same_but_for([steps], before, after)
    except YAMLError:
        return False
