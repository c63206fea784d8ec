"""The table of what is survived, read from the tests of a hostile world: `docs/security.md`, by `make docs`.

A file of `tests/hostile/` is a section, headed by the first line of its docstring. The first line of a test's
docstring is `case → outcome`; the `id` of each of its parameters is a way in which the case was tried, as is
each key of a table of the file that its parameters are taken from.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests" / "hostile"

_ARROW = " → "

_HEAD = """\
# What is survived

Generated from `tests/hostile/` by `make docs`.

Strangers and providers send what they like. Each case below has its outcome, and a test that drives the
running program from outside and sees it. One test alone: `make test ARGS="tests/hostile -k NAME"`.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    words: str
    outcome: str
    ways: tuple[str, ...]
    test: str


def page() -> str:
    return _HEAD + "".join(_section(file) for file in sorted(TESTS.glob("test_*.py")))


def read_cases(file: Path) -> Iterator[Case]:
    """In the order of the file. ValueError for a test that does not say its case and outcome."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    tables = dict(_tables(module))
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            words, arrow, outcome = first.partition(_ARROW)
            if not arrow:
                raise ValueError(f"{file.name}: the docstring of {node.name} must be `case{_ARROW}outcome`")
            yield Case(words, outcome, tuple(_ways(node, tables)), node.name)


def _tables(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The dictionaries of a file, with their keys."""
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            yield ast.unparse(node.target), [str(key) for key in keys]


def _ways(test: ast.FunctionDef | ast.AsyncFunctionDef, tables: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The ids of its parameters, in the order of the decorators."""
    for decorator in test.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Name):
                yield from tables.get(node.id, ())
            elif isinstance(node, ast.keyword) and node.arg == "id" and isinstance(node.value, ast.Constant):
                yield str(node.value.value)


def _section(file: Path) -> str:
    title = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    lines = "".join(_line(case, file) for case in read_cases(file))
    return f"\n## {title.rstrip('.')}\n\n| case | tried as | outcome | test |\n|---|---|---|---|\n{lines}"


def _line(case: Case, file: Path) -> str:
    ways = ", ".join(f"`{_cell(way)}`" for way in case.ways) or "–"
    test = f"[`{case.test}`](../tests/hostile/{file.name})"
    return f"| {_cell(case.words)} | {ways} | {_cell(case.outcome)} | {test} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
