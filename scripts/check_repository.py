"""The repository's own rules, those that no linter knows: `python -m scripts.check_repository`.

Each check takes the root of a checkout and yields one sentence for each thing that is wrong.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts import generate_docs

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 400
MOST_BYTES = 500_000
MOST_SIGN_LINES = 12

_FREE_TEST_FOLDERS = frozenset({"clients", "guides", "hostile", "journeys"})
"""Tests of the whole program: they mirror promises, not modules."""
_FOLDERS_BESIDE_SOURCES = frozenset({"bench"})
_REPOSITORY_TESTS = frozenset({"test_repository.py"})

_MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:work|root)/\w")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._/-]+")
_UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")
_TEXT_ENDINGS = frozenset({".py", ".md", ".toml", ".txt", ".sh", ".yaml", ".yml", ".lua", ""})


def files_of(root: Path) -> list[Path]:
    """The files that are, or are about to be, part of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return [file for name in sorted(set(names.split("\0"))) if name if (file := root / name).is_file()]


def check_names(root: Path) -> Iterator[str]:
    """A name that not every system can hold is most often what a test left behind."""
    for file in files_of(root):
        if not _PLAIN_NAME.fullmatch(name := file.relative_to(root).as_posix()):
            yield f"{name!r}: a name of letters, digits and . _ - is what every system can hold"


def check_sizes(root: Path) -> Iterator[str]:
    for file in files_of(root):
        if (size := file.stat().st_size) > MOST_BYTES:
            yield f"{file.relative_to(root)}: {size} bytes; what somebody wrote is smaller"
        if file.suffix == ".py" and (lines := _line_count(file)) > MOST_LINES:
            yield f"{file.relative_to(root)}: {lines} lines; {MOST_LINES} is the end: find its second subject"


def check_tests_mirror_sources(root: Path) -> Iterator[str]:
    """`tests/<room>/test_<module>.py` tests `src/headgate/<room>/<module>.py`; so with `bench/`."""
    tests, sources = root / "tests", root / "src" / "headgate"
    for test in sorted(tests.rglob("test_*.py")):
        place = test.relative_to(tests)
        is_free = place.parts[0] in _FREE_TEST_FOLDERS or str(place) in _REPOSITORY_TESTS
        source = (
            (root if place.parts[0] in _FOLDERS_BESIDE_SOURCES else sources)
            / place.parent
            / place.name.removeprefix("test_")
        )
        if not is_free and not source.exists() and not source.with_suffix("").is_dir():
            yield f"tests/{place}: there is no {source.relative_to(root)} that it could mirror"


def check_rooms(root: Path) -> Iterator[str]:
    """Every room has a sign (its `__init__.py`: words only, short) and a page that names its modules."""
    for sign in sorted((root / "src" / "headgate").glob("*/__init__.py")):
        text, name = sign.read_text(encoding="utf-8").strip(), sign.relative_to(root)
        if not (text.startswith('"""') and text.endswith('"""') and text.count('"""') == 2):
            yield f"{name}: a room sign is one docstring and nothing else"
        if len(text.splitlines()) > MOST_SIGN_LINES:
            yield f"{name}: a room sign has at most {MOST_SIGN_LINES} lines"
        page = root / "docs" / "rooms" / f"{sign.parent.name}.md"
        if not page.exists():
            yield f"{page.relative_to(root)}: missing, but there is a room {sign.parent.name}"
            continue
        known = page.read_text(encoding="utf-8")
        for module in sorted(sign.parent.glob("[!_]*.py")):
            if f"`{module.name}`" not in known:
                yield f"{page.relative_to(root)}: says nothing of {module.name}"


def check_words(root: Path) -> Iterator[str]:
    for file in files_of(root):
        if file.suffix not in _TEXT_ENDINGS:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if _MACHINE_PATH.search(line):
                yield f"{file.relative_to(root)}:{number}: names a path of one machine"
            if _UNFINISHED.search(line):
                yield f"{file.relative_to(root)}:{number}: finish it, or leave it out"


def check_constraints(root: Path) -> Iterator[str]:
    """Versions only: an address or a hash would tie the repository to one registry."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not _PINNED.fullmatch(line):
            yield f"constraints.txt:{number}: expected name==version"
    if lines != sorted(lines, key=str.lower):
        yield "constraints.txt: not in order"


def check_generated_pages(root: Path) -> Iterator[str]:
    for path, text in generate_docs.pages().items():
        name = path.relative_to(generate_docs.DOCS.parent)
        page = root / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            yield f"{name}: not what the code says; run make docs"


CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (
    check_names,
    check_sizes,
    check_tests_mirror_sources,
    check_rooms,
    check_words,
    check_constraints,
    check_generated_pages,
)


def _line_count(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def main() -> int:
    wrong = [sentence for check in CHECKS for sentence in check(ROOT)]
    print("\n".join(wrong) if wrong else "The repository is in order.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
