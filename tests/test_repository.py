"""The repository's own rules hold, and the checks that say so would notice."""

import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from headgate.config import table
from scripts import check_repository, generate_docs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository in order: one room, its page, its test, the generated pages."""
    files = {
        "src/headgate/pool/__init__.py": '"""The accounts we spend."""\n',
        "src/headgate/pool/health.py": "LIMIT = 1\n",
        "tests/pool/test_health.py": "",
        "tests/journeys/test_anything.py": "",
        "docs/rooms/pool.md": "# pool\n\n`health.py`\n",
        "constraints.txt": "anyio==4.1\nHttpx==0.28.1\n",
        **{str(path.relative_to(ROOT)): text for path, text in generate_docs.pages().items()},
    }
    for name, text in files.items():
        write(tmp_path / name, text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def complaints(root: Path) -> list[str]:
    return [sentence for check in check_repository.CHECKS for sentence in check(root)]


def test_a_repository_in_order_has_no_complaints(checkout: Path) -> None:
    """What the next test breaks is whole before."""
    assert complaints(checkout) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("odd name.txt", "x\n", "what every system can hold"),
        ("\N{GRINNING FACE}", "x\n", "what every system can hold"),
        ("a$b", "x\n", "what every system can hold"),
        ("src/headgate/pool/long.py", "x = 1\n" * 401, "401 lines"),
        ("bench/tool.whl", "x" * 500_001, "500001 bytes"),
        ("tests/pool/test_gone.py", "", "no src/headgate/pool/gone.py"),
        ("tests/bench/test_gone.py", "", "no bench/gone.py"),
        ("src/headgate/pool/__init__.py", "X = 1\n", "a room sign is one docstring"),
        ("src/headgate/pool/__init__.py", '"""A\n' + "b\n" * 12 + '"""\n', "at most 12 lines"),
        ("src/headgate/relay/__init__.py", '"""The way."""\n', "docs/rooms/relay.md: missing"),
        ("src/headgate/pool/windows.py", "X = 1\n", "docs/rooms/pool.md: says nothing of windows.py"),
        ("docs/rooms/pool.md", "see /wo" + "rk/x\n", "docs/rooms/pool.md:1: names a path"),
        ("src/headgate/pool/health.py", "# TO" + "DO\n", "health.py:1: finish it"),
        ("constraints.txt", "anyio @ https://example.com/a.whl\n", "constraints.txt:1: expected"),
        ("constraints.txt", "b==1\na==1\n", "not in order"),
        ("docs/settings.md", "old\n", "docs/settings.md: not what the code says"),
        ("docs/errors.md", "old\n", "docs/errors.md: not what the code says"),
    ],
)
def test_each_rule_is_noticed_when_broken(checkout: Path, name: str, text: str, words: str) -> None:
    """A check that cannot fail guards nothing."""
    write(checkout / name, text)
    assert any(words in sentence for sentence in complaints(checkout)), complaints(checkout)


@pytest.mark.parametrize("check", check_repository.CHECKS, ids=lambda check: check.__name__)
def test_this_repository_is_in_order(check: Callable[[Path], Iterator[str]]) -> None:
    """The same that `make lint` asks."""
    assert list(check(ROOT)) == []


def test_the_settings_page_has_every_setting() -> None:
    """And every alias."""
    page = generate_docs.settings_page()
    assert [row.path for row in table.rows() if f"| `{row.path}` |" not in page] == []
    assert "`CCPROXY_ROTATION_ENABLED`" in page


def test_every_error_says_what_it_means() -> None:
    """A code without a meaning sends its reader to the source; a code used twice to the wrong place."""
    kinds = list(generate_docs.family())
    assert [kind.__name__ for kind in kinds if not vars(kind).get("__doc__")] == []
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    """constraints.txt and the record of the stack keep up with pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    lines = project["project"]["dependencies"] + groups["test"] + groups["lint"]
    names = {Requirement(line).name for line in lines}
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    reasons = (ROOT / "docs" / "decisions" / "0001-stack.md").read_text()
    assert {name for name in names if name.lower() not in pinned} == set()
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", reasons)} == set()


def test_the_changes_name_the_version_or_are_unreleased() -> None:
    """Version and notes stay together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) == 1 or headings[1].startswith(project["project"]["version"])


def test_make_help_names_every_target() -> None:
    """What a newcomer types first."""
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [name for name in phony[1].split() if f"make {name} " not in shown] == []
