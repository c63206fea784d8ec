"""Whether two texts of a settings file say the same but for some settings."""

from collections.abc import Collection
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError


def are_same_but_for(paths: Collection[list[str]], one: str, other: str) -> bool:
    """`paths`: settings by their steps. Raises YAMLError for a broken text."""
    return bool(_without(_plain(_loaded(one)), paths) == _without(_plain(_loaded(other)), paths))


def _loaded(text: str) -> Any:
    return YAML(typ="rt").load(text)


def _plain(node: Any) -> Any:
    """To compare: scalars as the words that they are."""
    try:
        if isinstance(node, CommentedMap):
            return {str(name): _plain(value) for name, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [_plain(item) for item in node]
    except RecursionError:
        raise YAMLError("it holds itself") from None
    return f"{type(node).__name__} {node}"


def _without(tree: Any, paths: Collection[list[str]]) -> Any:
    """The rest; a section in which nothing else stands counts as none."""
    for steps in paths:
        groups = [tree]
        for step in steps[:-1]:
            groups.append(groups[-1].get(step) if isinstance(groups[-1], dict) else None)
        for group, step in zip(reversed(groups), reversed(steps), strict=True):
            if isinstance(group, dict) and (step == steps[-1] or _is_nothing(group.get(step))):
                group.pop(step, None)
    return {} if _is_nothing(tree) else tree


def _is_nothing(section: Any) -> bool:
    return section in (None, {}, "NoneType None")
