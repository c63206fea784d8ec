"""Where Headgate keeps its files on this platform.

`HEADGATE_CONFIG` names another settings file, `HEADGATE_DATA_DIR` another data folder.
"""

from collections.abc import Mapping
from pathlib import Path

import platformdirs

CONFIG_VARIABLE = "HEADGATE_CONFIG"
DATA_VARIABLE = "HEADGATE_DATA_DIR"

CONTROL_SOCKET = "headgate.sock"
"""Name of the Unix socket (0600) in the data folder, by which commands reach a running gateway."""


def config_file(environ: Mapping[str, str]) -> Path:
    """The settings file in force when no flag names one. It need not exist."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named).expanduser()
    return platformdirs.user_config_path("headgate", appauthor=False) / "config.yaml"


def data_folder(environ: Mapping[str, str]) -> Path:
    """Database, encryption key, journal and control socket live here. Made by whoever writes first."""
    if named := environ.get(DATA_VARIABLE):
        return Path(named).expanduser().absolute()
    return platformdirs.user_data_path("headgate", appauthor=False)
