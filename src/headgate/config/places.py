"""Where Headgate keeps its files on this platform.

`HEADGATE_CONFIG` names another settings file, `HEADGATE_DATA_DIR` another data folder.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from headgate.config import texts
from headgate.errors import SettingsError

CONFIG_VARIABLE = "HEADGATE_CONFIG"
DATA_VARIABLE = "HEADGATE_DATA_DIR"
SECRET_KEY_VARIABLE = "HEADGATE_SECRET_KEY"
"""The encryption key itself; without it the key lies in a file beside the database."""
PASSPHRASE_VARIABLE = "HEADGATE_PASSPHRASE"
"""Of a sealed export, for the commands that write and read one."""

_LONGEST_SOCKET_PATH = 103
"""Bytes: macOS's limit, the smaller one."""
_OPENED_FOLDERS = Path("/proc/self/fd")

CONTROL_SOCKET = "headgate.sock"
"""Name of the Unix socket (0600) in the data folder, by which commands reach a running gateway."""


def path_of(text: str) -> Path:
    """`~` stands for a home, as in a shell; that of a user who is none stays as it is written."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def named(environ: Mapping[str, str], variable: str) -> Path | None:
    """The path that a variable holds. SettingsError for one that could not be told to anybody."""
    text = environ.get(variable)
    if text and texts.is_broken(text):
        raise SettingsError(
            f"The environment variable {variable} {texts.WORDS}.", hint="Name a path that is UTF-8 text."
        )
    return path_of(text).absolute() if text else None


def config_file(environ: Mapping[str, str]) -> Path:
    """The settings file in force when no flag names one. It need not exist."""
    return (
        named(environ, CONFIG_VARIABLE)
        or platformdirs.user_config_path("headgate", appauthor=False) / "config.yaml"
    )


def data_folder(environ: Mapping[str, str]) -> Path:
    """Database, encryption key, journal and control socket live here. Made by whoever writes first."""
    return named(environ, DATA_VARIABLE) or platformdirs.user_data_path("headgate", appauthor=False)


@contextmanager
def short_path(socket_path: Path) -> Iterator[str]:
    """A path to a Unix socket that fits the system's limit, good while the context is open.

    Linux takes 107 bytes (unix(7)); a longer path is walked from its opened folder. Where there is no
    such detour the path comes back as it is, and the system says that it is too long.
    """
    path = str(socket_path)
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH or not _OPENED_FOLDERS.is_dir():
        yield path
        return
    folder = os.open(socket_path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(_OPENED_FOLDERS / str(folder) / socket_path.name)
    finally:
        os.close(folder)
