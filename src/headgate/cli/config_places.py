"""Every file and folder that a gateway on these settings uses, and what a start would find wrong there."""

from pathlib import Path

from headgate import log
from headgate.config import env_file
from headgate.config.loading import Loaded, Origin
from headgate.config.places import CONTROL_SOCKET
from headgate.config.reading import refuse_other_kinds
from headgate.errors import HeadgateError, SettingsError
from headgate.log_output import why_not
from headgate.sources.survey import Survey, take_survey
from headgate.storage.location import locate, state_folder
from headgate.storage.secrets import FILE_NAME, SecretBox


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


def found_wrong(loaded: Loaded) -> tuple[list[str], list[str]]:
    """What keeps a gateway on these settings from starting, and what it would warn of. Nothing is made, and
    no server is asked."""
    wrong, warnings = [], []
    folder = loaded.data_folder
    if folder.exists() and not folder.is_dir():
        wrong.append(f"The data folder {folder} is not a folder")
    try:
        database = locate(loaded.settings.storage.address, folder).path
        if database is not None and database.exists():
            refuse_other_kinds(database)
        SecretBox.open_or_create(state_folder(database, folder), loaded.secret_key).refuse_broken()
    except HeadgateError as error:
        wrong.append(error.message)
    except OSError as error:
        wrong.append(f"The database {database} cannot be used: {error.strerror}")
    sources = take_survey(loaded.settings.sources, Survey())
    wrong += [one.what for one in sources.troubles() if not _is_made_by_a_start(one.path)]
    file = log.file_of(loaded.settings.log.file)
    if file is not None and (reason := why_not(file)) is not None:
        warnings.append(f"log.file: nothing can be written to {file}: {reason}")
    return wrong, warnings


def _is_made_by_a_start(folder: Path) -> bool:
    """Of the sources' folders: one that is not there. One that is a file, or closed to us, stays so."""
    try:
        return not folder.exists() and not folder.is_symlink()
    except OSError:
        return False
