"""Has a file changed? Looking costs less than a watch of the system's would, and it sees what editors put in
another's place, the links of mounted secrets, and folders on the network."""

from collections.abc import Iterable, Mapping
from pathlib import Path

Fingerprint = tuple[int, ...]
"""What is another one when the file is another one, or is gone."""


def of(paths: Iterable[Path]) -> Mapping[Path, Fingerprint]:
    return {path: _of(path) for path in paths}


def _of(path: Path) -> Fingerprint:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    except ValueError:  # a NUL: no file can have such a name
        return ()
    return found.st_ino, found.st_dev, found.st_mtime_ns, found.st_size
