"""Settings of the files in which other programs keep accounts."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from headgate.config.fields import Section, setting


def _check_path(value: str | None) -> str | None:
    if value is not None:
        if not value.strip() or "\0" in value:
            raise ValueError("must be a path")
        try:
            Path(value).expanduser()
        except RuntimeError:
            raise ValueError("names the folder of a user that there is not") from None
    return value


SourcePath = Annotated[str | None, AfterValidator(_check_path)]


class SourceSettings(Section):
    """Accounts that other programs keep in files."""

    accounts_file: SourcePath = setting(
        None, "File that lists accounts (accounts.json); null: none.", unit="path"
    )
    credentials_dir: SourcePath = setting(
        None,
        "Folder of DOMAIN.credentials.json; the Host that a client calls picks the account. null: none.",
        unit="path",
    )
    auth_dir: SourcePath = setting(
        None, "Folder of files with one sign-in each, as cliproxyapi keeps it; null: none.", unit="path"
    )
    hot_reload: bool = setting(True, "Follow changes of these files.", unit="true or false")

    @property
    def accounts_path(self) -> Path | None:
        return _path(self.accounts_file)

    @property
    def credentials_path(self) -> Path | None:
        return _path(self.credentials_dir)

    @property
    def auth_path(self) -> Path | None:
        return _path(self.auth_dir)

    @property
    def is_used(self) -> bool:
        return any((self.accounts_file, self.credentials_dir, self.auth_dir))


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value).expanduser().absolute()
