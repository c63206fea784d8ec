"""The heavy parts, loaded by the command that needs them: most commands need none of them.

Nowhere else do imports stand inside functions to save time. They hide no circle: import-linter reads
them like any others, and nothing that they load comes back here.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from headgate.cli.control import Control
    from headgate.config.loading import Loaded, Origin
    from headgate.storage.database import Database


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


def control_address(folder: Path) -> "AbstractContextManager[str]":
    """Where a gateway on this data folder listens for commands, as `connect` takes it."""
    from headgate.config import places

    return places.short_path(folder / places.CONTROL_SOCKET)


def strategies() -> tuple[str, ...]:
    from headgate.config.settings import STRATEGIES

    return STRATEGIES


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


def open_control(loaded: "Loaded", *, writes: bool) -> "AbstractAsyncContextManager[Control]":
    """See `control.open_control`."""
    from headgate.cli import control

    return control.open_control(loaded, writes=writes)


def running_gateway(folder: Path) -> "AbstractAsyncContextManager[Control | None]":
    """See `control.running_gateway`."""
    from headgate.cli import control

    return control.running_gateway(folder)


def is_ending(loaded: "Loaded") -> bool:
    """See `control.is_ending`."""
    from headgate.cli import control

    return control.is_ending(loaded)


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

    url = loaded.settings.storage.url
    database = location.locate(url.get_secret_value() if url else None, loaded.data_folder).path
    return location.state_folder(database, loaded.data_folder) / "journal"


async def open_database(loaded: "Loaded") -> "Database":
    """The database that the settings name; see `storage.database.open_database`."""
    from headgate.storage import database

    url = loaded.settings.storage.url
    return await database.open_database(url.get_secret_value() if url else None, loaded.data_folder)
