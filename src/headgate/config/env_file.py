"""`.env` in the folder where the process starts: variables below those of the real environment.

The syntax is python-dotenv's (quotes, `export`, comments, `${NAME}`); a line that is none is a warning.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from headgate.config.reading import SETTINGS_BYTES, read_bytes

NAME = ".env"


@dataclass(frozen=True, slots=True, repr=False)
class EnvFile:
    """What such a file says."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read(path: Path, environ: Mapping[str, str]) -> EnvFile:
    """A missing file says nothing; `${NAME}` is the real environment's, else an earlier line's."""
    try:
        text = read_bytes(path, SETTINGS_BYTES).decode("utf-8-sig")
    except (
        FileNotFoundError,
        IsADirectoryError,
        NotADirectoryError,
    ):  # a folder: somebody's virtual environment
        return EnvFile(path)
    except UnicodeDecodeError:
        return EnvFile(path, warnings=(f"{path} is not UTF-8 text: nothing of it is used",))
    except OSError as error:
        return EnvFile(path, warnings=(f"Cannot read {path}: {error.strerror}; nothing of it is used",))
    return _parsed(path, text, environ)


def _parsed(path: Path, text: str, environ: Mapping[str, str]) -> EnvFile:
    variables: dict[str, str] = {}
    warnings = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            warnings.append(f"{path}: line {binding.original.line} is no NAME=value and is not used")
        elif binding.key is not None and binding.value is not None:
            known = {**variables, **environ}
            variables[binding.key] = "".join(part.resolve(known) for part in parse_variables(binding.value))
    return EnvFile(path, variables, tuple(warnings))
