"""Every file and folder that a gateway on these settings uses."""

from pathlib import Path

from headgate import log
from headgate.config import env_file
from headgate.config.loading import Origin
from headgate.config.places import CONTROL_SOCKET
from headgate.errors import SettingsError
from headgate.storage.location import locate, state_folder
from headgate.storage.secrets import FILE_NAME


def all_places(start: Origin) -> dict[str, Path]:
    """By what it is. Where the settings are wrong, what hangs on them is left out."""
    folder = start.data_folder()
    found = {"settings file": start.file()}
    if start.folder is not None:
        found[".env"] = start.folder / env_file.NAME
    found |= {"data folder": folder, "control socket": folder / CONTROL_SOCKET}
    try:
        settings = start.load().settings
        database = locate(settings.storage.address, folder).path
    except SettingsError:
        return found
    state = state_folder(database, folder)
    if database is not None:
        found["database"] = database
    sources = settings.sources
    if sources.accounts_path is not None:
        found["accounts file"] = sources.accounts_path
    if sources.credentials_path is not None:
        found["credentials folder"] = sources.credentials_path
    if sources.auth_path is not None:
        found["auth folder"] = sources.auth_path
    found |= {"journal": state / "journal", "encryption key": state / FILE_NAME}
    if file := log.file_of(settings.log.file):
        found["log file"] = file
    return found
