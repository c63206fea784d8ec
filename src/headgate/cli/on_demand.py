"""The heavy parts, loaded by the command that needs them: most commands need none of them.

Nowhere else do imports stand inside functions to save time. They hide no circle: import-linter reads
them like any others, and nothing that they load comes back here.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from headgate.cli.control import Control
    from headgate.cli.copying import Copy
    from headgate.cli.moving_report import Report
    from headgate.config.loading import Loaded, Origin
    from headgate.moving.found import Found
    from headgate.storage.database import Database
    from headgate.storage.location import Location
    from headgate.storage.relinking import Relinked
    from headgate.storage.transfer import Progress
    from headgate.storage.upkeep import Check, Info


def origin(flags: dict[str, Any], path: Path | None) -> "Origin":
    """See `config.loading.Origin`."""
    from headgate.config import environment, loading

    return loading.Origin(flags, environment.current(), path, Path.cwd())


def data_folder() -> Path:
    """Of this environment and the `.env` here, without reading any settings."""
    from headgate.config import env_file, environment, places

    real = environment.current()
    below = env_file.read(Path.cwd() / env_file.NAME, real).variables
    return places.data_folder(environment.with_upper_names({**below, **real}))


def passphrase_variable() -> tuple[str, str | None]:
    """Its name, and what it holds in this environment."""
    from headgate.config import environment, places

    return places.PASSPHRASE_VARIABLE, environment.current().get(places.PASSPHRASE_VARIABLE)


def sealed(content: bytes, passphrase: str) -> str:
    """See `moving.envelope.seal`."""
    from headgate.moving import envelope

    return envelope.seal(content, passphrase)


def unsealed(found: dict[str, Any], passphrase: str) -> bytes:
    """See `moving.envelope.open_sealed`."""
    from headgate.moving import envelope

    return envelope.open_sealed(found, passphrase)


def is_accounts_file(found: object) -> bool:
    """See `moving.account_files.is_accounts_file`."""
    from headgate.moving import account_files

    return account_files.is_accounts_file(found)


def carried_accounts(content: bytes) -> list[dict[str, Any]]:
    """See `moving.account_files.carried_accounts`."""
    from headgate.moving import account_files

    return account_files.carried_accounts(content)


def is_sealed(found: object) -> bool:
    """See `moving.envelope.is_sealed`."""
    from headgate.moving import envelope

    return envelope.is_sealed(found)


async def read_ccflare(path: Path, settings: Path | None) -> "Found":
    """See `moving.ccflare.read`."""
    from headgate.moving import ccflare

    return ccflare.read(path, settings)


async def read_claude_code_proxy(path: Path, environment: Path | None) -> "Found":
    """See `moving.claude_code_proxy.read`."""
    from headgate.moving import claude_code_proxy

    return claude_code_proxy.read(path, environment)


async def read_claude_nexus_proxy(sources: list[str]) -> "Found":
    """See `moving.claude_nexus_proxy.read`."""
    from headgate.moving import claude_nexus_proxy

    return await claude_nexus_proxy.read(sources)


async def read_cliproxyapi(path: Path, auth_folder: Path | None) -> "Found":
    """See `moving.cliproxyapi.read`."""
    from headgate.moving import cliproxyapi

    return cliproxyapi.read(path, auth_folder)


async def move_in(found: "Found", **how: Any) -> "Report":
    """See `moving_in.move_in`."""
    from headgate.cli import moving_in

    return await moving_in.move_in(found, **how)


def print_report(report: "Report", *, as_json: bool) -> None:
    """See `moving_report.print_report`."""
    from headgate.cli import moving_report

    moving_report.print_report(report, as_json=as_json)


def new_encryption_key() -> str:
    """As `storage.secrets` takes it."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def accounts_json_of(accounts: Any) -> str:
    """See `sources.carrying.accounts_json_of`."""
    from headgate.sources import carrying

    return carrying.accounts_json_of(accounts)


def control_address(folder: Path) -> "AbstractContextManager[str]":
    """Where a gateway on this data folder listens for commands, as `connect` takes it."""
    from headgate.config import places

    return places.short_path(folder / places.CONTROL_SOCKET)


def setting_names() -> tuple[str, ...]:
    """Those that a command can set by name."""
    from headgate.config import table

    return tuple(row.path for row in table.rows() if row.variable and table.ANY_NAME not in row.path)


def strategies() -> tuple[str, ...]:
    from headgate.config.settings import STRATEGIES

    return STRATEGIES


def database_to_come(start: "Origin", setting: str) -> Path | None:
    """Where the first start will make a database, of a gateway that has nothing yet: none was ever made, no
    setting names another one, and `setting` brings nothing in. None: ask it."""
    from headgate.config import places

    folder = start.data_folder()
    file = folder / "headgate.db"
    if file.exists() or (folder / places.CONTROL_SOCKET).exists():
        return None  # as it is nearly always: without a look at the settings

    from headgate.config import table
    from headgate.config.sources import SourceSettings
    from headgate.errors import SettingsError

    try:
        settings = start.load().settings
    except SettingsError:
        return None  # whoever asks next says what is wrong
    brings_some = table.value_at(settings, setting) or settings.sources != SourceSettings()
    return None if settings.storage.url is not None or brings_some else file


def is_short(key: str) -> bool:
    """See `config.exposure.is_short`."""
    from headgate.config import exposure

    return exposure.is_short(key)


def openapi_document() -> dict[str, Any]:
    """See `admin.app.openapi_document`."""
    from importlib.metadata import version

    from headgate.admin import app

    return app.openapi_document(version("headgate"))


def read_yaml(text: str) -> Any:
    """Plain values; JSON is YAML as well. ValueError with line and column."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        words = error.problem if isinstance(error, MarkedYAMLError) else str(error)
        raise ValueError(f"{place}{words}") from error


def open_control(config: Path | None, *, writes: bool) -> "AbstractAsyncContextManager[Control]":
    """See `control.open_control`."""
    from headgate.cli import control

    return control.open_control(config, writes=writes)


def running_gateway(folder: Path) -> "AbstractAsyncContextManager[Control | None]":
    """See `control.running_gateway`."""
    from headgate.cli import control

    return control.running_gateway(folder)


def is_ending(loaded: "Loaded") -> bool:
    """Nobody answers any more, or not yet, but a gateway or its recorder is at work on this folder.

    A gateway that stops closes its doors first and finishes its answers then; its recorder ends last.
    """
    from headgate.record.lock import INSTANCE_LOCK, FolderLock, is_locked

    with suppress(OSError):  # another user's folder: nothing of it can be known
        journal = journal_folder(loaded)
        return is_locked(journal.parent / INSTANCE_LOCK) or is_locked(journal / FolderLock.FILE_NAME)
    return False


def control_socket(folder: Path) -> Path:
    """By which commands reach a gateway on this data folder."""
    from headgate.config import places

    return folder / places.CONTROL_SOCKET


def cut_off() -> type[Exception]:
    """See `control.CutOff`."""
    from headgate.cli import control

    return control.CutOff


def run_gateway(loaded: "Loaded") -> int:
    """See `assembly.process.run`."""
    from headgate.assembly import process

    return process.run(loaded)


def open_app(loaded: "Loaded", *, may_create: bool) -> "AbstractAsyncContextManager[ASGIApp]":
    """See `stopped.open_app`."""
    from headgate.cli import stopped

    return stopped.open_app(loaded, may_create=may_create)


def journal_folder(loaded: "Loaded") -> Path:
    """Where the journal of a gateway on these settings lies."""
    from headgate.storage import location

    return location.state_folder(database_location(loaded).path, loaded.data_folder) / "journal"


def database_location(loaded: "Loaded") -> "Location":
    """See `storage.location.locate`."""
    from headgate.storage import location

    return location.locate(loaded.settings.storage.address, loaded.data_folder)


def journal_lag(loaded: "Loaded") -> int:
    """Bytes in the journal that are not known to be in the database."""
    from headgate.record.replay import unread_bytes
    from headgate.record.state import read_state, stored_positions

    folder = journal_folder(loaded)
    return unread_bytes(folder, stored_positions(read_state(folder)))


async def open_database(loaded: "Loaded", *, create: bool = True) -> "Database":
    """The database that the settings name; see `storage.database.open_database`."""
    from headgate.storage import database

    return await database.open_database(loaded.settings.storage.address, loaded.data_folder, create=create)


def copy_database(source: Path, target: Path, *, force: bool) -> int:
    """See `storage.copies.copy_database`."""
    from headgate.storage import copies

    return copies.copy_database(source, target, force=force)


async def copy_all(loaded: "Loaded", to: str, *, replace: bool, progress: "Progress") -> "Copy":
    """See `copying.copy_all`."""
    from headgate.cli import copying

    return await copying.copy_all(loaded, to, replace=replace, progress=progress)


async def database_info(database: "Database") -> "Info":
    """See `storage.upkeep.info`."""
    from headgate.storage import upkeep

    return await upkeep.info(database)


async def schema_revisions(database: "Database") -> tuple[str | None, str]:
    """The one that it has, and the newest that there is."""
    from headgate.storage.migrations.revision import revisions

    async with database.read() as connection:
        return await connection.run_sync(revisions)


async def check_database(database: "Database") -> "Check":
    """See `storage.upkeep.check`."""
    from headgate.storage import upkeep

    return await upkeep.check(database)


async def vacuum_database(database: "Database") -> tuple[int, int]:
    """See `storage.upkeep.vacuum`."""
    from headgate.storage import upkeep

    return await upkeep.vacuum(database)


async def relink_database(database: "Database") -> "Relinked":
    """See `storage.relinking`."""
    from headgate.storage import relinking

    return await relinking.relink(database)
