"""The text of a settings file as it may be shown, and such a text taken back.

Of a secret only that there is one is left (`***`), of a client key how its digest begins. In a text that is
sent back both stand for what the file has there.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from headgate.config import first_file, table
from headgate.config.fields import ClientKeyDigest
from headgate.config.other_names import NAMES
from headgate.config.shown import MASK
from headgate.errors import SettingsError
from headgate.log import redact

_KEYS = "access.api_keys"
_ACCOUNTS = "accounts"
_DIGITS = 8
"""Of a key's digest: as many as the records of requests name it by."""
_KEY_SHOWN = re.compile(rf"sha256:([0-9a-f]{{{_DIGITS}}})(?:…|\.\.\.)")
_MOST_VALUES = 100_000
"""A text of anchors may stand for more values than any memory holds."""
_DEEPEST = 100
_OPEN_OR_CLOSED = re.compile(r"[\[\]{}]")
_DIGEST: TypeAdapter[str] = TypeAdapter(ClientKeyDigest)

_REFERENCE = re.compile(r"\s*(?:\$\{[^}]*\}|file:.*)\s*", re.DOTALL)
"""Where a secret is found, not the secret."""
_ANCHOR = re.compile(r"(?:[&!]\S*\s+)*")
_COMMENT = re.compile(r"#[^\n]*")
_COMMENTED_SECRET = re.compile(
    r"((?:key|token|secret|password|credential|url|proxy)s?[\"']?\s*[:=]|#\s*-(?=\s))\s*\S[^\n]*",
    re.IGNORECASE,
)
_GROUPS = {row.path[:at] for row in table.rows() for at, sign in enumerate(row.path) if sign == "."}
"""What has settings below it; a list of sections is a setting itself."""
_OUR_COMMENTS = frozenset(first_file.text().splitlines())


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of the text. `place` is its path, in which an account has its name for its number."""

    path: str
    place: str
    text: str
    start: int
    end: int
    is_null: bool


def shown_key(digest: str) -> str:
    """A client key as it may be shown: the digits by which the records of requests name it."""
    return digest[: len("sha256:") + _DIGITS] + "…"


def is_shown_key(text: str, digest: str) -> bool:
    """Whether somebody means this key by what `shown_key` gave out."""
    found = _KEY_SHOWN.fullmatch(text.strip().lower())
    return found is not None and digest.startswith(f"sha256:{found[1]}")


def looks_shown(text: str) -> bool:
    return text.strip() == MASK or _KEY_SHOWN.fullmatch(text.strip().lower()) is not None


def masked_text(text: str) -> str:
    """Raises SettingsError for a text in which nobody can tell what is secret."""
    try:
        values = list(_values_in(text))
    except YAMLError:
        raise SettingsError(
            "The settings file cannot be shown: it is no YAML, so nobody can tell what in it is secret",
            hint="`headgate config check` says what is wrong with it, and where.",
        ) from None
    pieces = {(one.start, one.end): text[one.start : one.end] for one in values}
    for one in values:
        if _is_masked(one):
            pieces[one.start, one.end] = _in_place_of(text[one.start : one.end], _mask_of(one))
    shown, at = "", 0
    for (start, end), piece in sorted(pieces.items()):
        shown += _COMMENT.sub(_comment, text[at:start]) + piece
        at = end
    return shown + _COMMENT.sub(_comment, text[at:])


def unmasked_text(sent: str, current: str | None) -> str:
    """What was shown becomes what it stood for. `current` is the text of the file, None where there is none.

    Raises SettingsError where the file has nothing that it could stand for. A text that is no YAML comes back
    as it is: whoever reads it says why.
    """
    try:
        values = list(_values_in(sent))
    except YAMLError:
        return sent
    masks = [one for one in values if looks_shown(one.text) and _is_masked(one)]
    if not masks:
        return sent
    secrets = _Secrets(current or "")
    pieces = {(one.start, one.end): secrets.meant_by(one) for one in masks}
    text, at = "", 0
    for (start, end), secret in sorted(pieces.items()):
        text += sent[at:start] + _in_place_of(sent[start:end], secret)
        at = end
    return text + sent[at:]


class _Secrets:
    """Those of a text, by where they stand; client keys by their digests, wherever they stand."""

    def __init__(self, text: str) -> None:
        try:
            found = [one for one in _values_in(text) if _is_masked(one)]
        except YAMLError:
            found = []
        self._by_place = {one.place: one.text for one in found}
        self._keys = {
            shown_key(d): one.text for one in found if _is_key(one.path) and (d := _digest(one.text))
        }

    def meant_by(self, mask: _Value) -> str:
        """Raises SettingsError."""
        shown = _KEY_SHOWN.fullmatch(mask.text.strip().lower())
        secret = self._by_place.get(mask.place)
        if shown is not None:
            secret = self._keys.get(shown_key(f"sha256:{shown[1]}"))
        if secret is None:
            raise SettingsError(
                f"{mask.path} is {mask.text.strip()!r}: it stands for a secret that the file does not have",
                hint="Put the secret itself, or file: and a path, in its place.",
            )
        return secret


# ---- what is secret --------------------------------------------------------------------------------


def _is_masked(value: _Value) -> bool:
    """Whatever is not known to be harmless: a misspelt name may hold a secret."""
    if value.is_null or not value.text.strip() or _REFERENCE.fullmatch(value.text):
        return False
    row = _row_of(value.path)
    return row is None or row.is_secret


def _row_of(path: str) -> table.Row | None:
    """The setting that a value belongs to; None where there is none, or it holds others."""
    while path:
        if (row := table.row_of(path)) is not None:
            return None if row.path in _GROUPS else row
        path = path.rpartition(".")[0]
    return None


def _mask_of(value: _Value) -> str:
    digest = _digest(value.text) if _is_key(value.path) else None
    return MASK if digest is None else shown_key(digest)


def _is_key(path: str) -> bool:
    """One of several: a single text may hold more than one key."""
    return path.startswith(_KEYS + ".")


def _digest(text: str) -> str | None:
    try:
        return _DIGEST.validate_python(text)
    except ValidationError:
        return None


def _comment(found: re.Match[str]) -> str:
    """A setting that is a comment may hold a secret too; free text is looked through like a log line."""
    comment = found[0]
    if comment in _OUR_COMMENTS:
        return comment
    return redact(_COMMENTED_SECRET.sub(rf"\1 {MASK}", comment))


# ---- the text --------------------------------------------------------------------------------------


def _values_in(text: str) -> Iterator[_Value]:
    """Raises YAMLError; SettingsError for a text that would become too much."""
    _refuse_depth(text)
    try:
        tree = YAML(typ="rt", pure=True).compose(text)
        if tree is not None:
            _size_of(tree, {})
            yield from _values_of(tree, "", "")
    except RecursionError:
        raise YAMLError("the nesting is too deep") from None
    except ValueError as error:
        raise YAMLError("a value cannot be read") from error


def _values_of(node: Node, path: str, place: str) -> Iterator[_Value]:
    if isinstance(node, ScalarNode):
        is_null = str(node.tag).endswith(":null")
        yield _Value(path, place, str(node.value), node.start_mark.index, node.end_mark.index, is_null)
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            name = _name_in(item) if path == _ACCOUNTS else None
            yield from _values_of(item, f"{path}.{number}", f"{place}.{name or number}")
    elif isinstance(node, MappingNode):
        for key, item in node.value:
            if str(key.tag).endswith(":merge"):
                yield from _values_of(item, path, place)
                continue
            yield _Value("", "", "", key.start_mark.index, key.end_mark.index, True)
            yield from _values_of(item, _below(path, key), _below(place, key))


def _below(path: str, key: Node) -> str:
    """By our name, whatever it is called there."""
    path = f"{path}.{key.value}" if path else str(key.value)
    return NAMES.get(path, path)


def _name_in(item: Any) -> str | None:
    pairs = item.value if isinstance(item, MappingNode) else []
    return next((str(value.value) for key, value in pairs if key.value == "name"), None)


def _in_place_of(old: str, text: str) -> str:
    """In quotes, which JSON and YAML write alike; anchors stay, and so does the end of the line."""
    anchors = _ANCHOR.match(old)
    end = "\n" if old.endswith("\n") else ""
    return (anchors[0] if anchors else "") + json.dumps(text, ensure_ascii=False) + end


def _refuse_depth(text: str) -> None:
    """The parser's time grows with the square of it, and more."""
    depth = 0
    for found in _OPEN_OR_CLOSED.finditer(text):
        depth = depth + 1 if found[0] in "[{" else max(depth - 1, 0)
        if depth > _DEEPEST:
            raise SettingsError(
                f"The text nests deeper than {_DEEPEST} brackets", hint="No setting needs more than five."
            )


def _size_of(node: Node, known: dict[int, int]) -> int:
    """How many values it stands for, each anchor as often as it is used."""
    if (size := known.get(id(node))) is None:
        known[id(node)] = _MOST_VALUES  # until it is known: what holds itself has no end
        inner = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else []
        inner = node.value if isinstance(node, SequenceNode) else inner
        size = known[id(node)] = 1 + sum(_size_of(part, known) for part in inner)
    if size > _MOST_VALUES:
        raise SettingsError(
            f"The text stands for more than {_MOST_VALUES} values, or for itself",
            hint="An anchor (&) that is used again (*) counts each time.",
        )
    return size
