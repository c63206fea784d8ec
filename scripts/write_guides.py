"""The table of kept promises, read from the guide tests: `docs/guides.md`, written by `make docs`.

A test of `tests/guides/` is named after the row that it keeps (`test_h1_…`); the first line of its
docstring is the promise in our words.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests" / "guides"

TEXTS = Path(__file__).resolve().with_name("guide_texts.toml")

_NAME = re.compile(r"test_([a-z])(\d+)_\w+")

_HEAD = """\
# What the guides promise

Generated from `tests/guides/` by `make docs`.

Five troubleshooting guides of gateways like this one tell their readers what to type, what is answered, which
error text appears and what mends it. Headgate keeps those promises. Each one below is kept by the test beside
it, which drives the running program from outside: over HTTP, over raw sockets, with the `headgate` command.
`[x]` stands for a value; quoted texts stand in the message as they are. One test alone:
`make test ARGS="tests/guides -k NAME"`.
"""

_TEXTS_HEAD = """
## Every error text of the guides

Whoever searches for a message finds it here, also one that cannot occur or that another program prints. `[x]`
stands for a value. Those that Headgate says are looked for in its sources by a test.
"""

KINDS = {
    "said": "said in these words",
    "other": "said as `{ours}`",
    "passed": "the provider's, passed on",
    "never": "cannot occur",
    "foreign": "another program's",
    "later": "not in this version",
}
"""What becomes of a guide's text here; see `guide_texts.toml`."""

SECTIONS = {
    "h": "Health and status",
    "a": "Accounts",
    "r": "Rotation, limits, retries",
    "c": "Callers",
    "d": "Data",
    "s": "Service and logs",
    "f": "Settings",
    "p": "Places it runs",
    "w": "What the owner sees",
}
"""By the letter that a row's id begins with, in the order of the page."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the table."""

    letter: str
    number: int
    words: str
    test: str
    file: str


def page() -> str:
    promises = list(read_promises())
    kept = "".join(_section(letter, promises) for letter in SECTIONS)
    return _HEAD + kept + _TEXTS_HEAD + "".join(_group(group) for group in read_groups())


def read_groups(file: Path = TEXTS) -> list[dict[str, Any]]:
    """The guides' error texts, by what they are about. KeyError for one that does not say all it should."""
    groups: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["group"]
    return groups


def _group(group: dict[str, Any]) -> str:
    lines = "".join(_text_line(text) for text in group["text"])
    return f"\n### {group['title']}\n\n| text | here | cause | mend |\n|---|---|---|---|\n{lines}"


def _text_line(text: dict[str, str]) -> str:
    here = KINDS[text["kind"]].format(ours=text.get("ours"))
    cells = (f"`{text['text']}`", here, text["cause"], text["mend"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def read_promises(folder: Path = TESTS) -> Iterator[Promise]:
    """In the order of files and lines. ValueError for a test that keeps no row or says nothing."""
    for file in sorted(folder.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield _promise(node, file)


def _promise(test: ast.FunctionDef | ast.AsyncFunctionDef, file: Path) -> Promise:
    named, words = _NAME.fullmatch(test.name), ast.get_docstring(test)
    if named is None or named[1] not in SECTIONS or not words:
        raise ValueError(
            f"{file.name}: {test.name} needs a row's id in its name and the promise as docstring"
        )
    return Promise(named[1], int(named[2]), words.splitlines()[0], test.name, file.name)


def _section(letter: str, promises: list[Promise]) -> str:
    rows = sorted((one for one in promises if one.letter == letter), key=lambda one: one.number)
    lines = "".join(_line(one) for one in rows)
    return f"\n## {SECTIONS[letter]}\n\n| id | promise | test |\n|---|---|---|\n{lines}" if rows else ""


def _line(promise: Promise) -> str:
    words = promise.words.replace("|", "\\|")
    test = f"[`{promise.test}`](../tests/guides/{promise.file})"
    return f"| {promise.letter.upper()}{promise.number} | {words} | {test} |\n"
