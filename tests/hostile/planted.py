"""Secrets planted in a gateway's world, and the search for them in all that it wrote and said."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_UNENCODED_EDGE = 4
"""Characters of a base64 text next to a neighbour that depend on it as well."""


@dataclass
class Planted:
    """Each secret has a mark of its own, which no spelling for addresses changes."""

    marks: dict[str, str] = field(default_factory=dict)
    """Mark to what it is."""

    def mark(self, what: str) -> str:
        """Twenty letters and digits that stand nowhere else."""
        mark = f"zQ7{len(self.marks):02d}xK9vPlanted8wR"
        self.marks[mark] = what
        return mark

    def found_in(self, where: str, data: bytes) -> Iterator[str]:
        """A sentence for each secret in the data: plain (in an address too), or in base64."""
        for mark, what in self.marks.items():
            if mark.encode() in data:
                yield f"{where}: {what}, plain"
            for spelt in _in_base64(mark):
                if spelt in data:
                    yield f"{where}: {what}, in base64"

    def found_in_files(self, folder: Path, *, but: Iterable[Path]) -> list[str]:
        """Database, its log, the journal, logs old and new, backups: whatever lies there."""
        allowed = set(but)
        files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file not in allowed]
        assert files, "Nothing was written, so nothing could be found."
        return [
            found
            for file in files
            for found in self.found_in(str(file.relative_to(folder)), file.read_bytes())
        ]


def _in_base64(mark: str) -> Iterator[bytes]:
    """What stands in any base64 text that holds the mark, wherever it begins there."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + mark.encode()).rstrip(b"=")
        yield encoded[_UNENCODED_EDGE if shift else 0 : -_UNENCODED_EDGE]
