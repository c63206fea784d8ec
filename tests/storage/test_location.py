from pathlib import Path

import pytest

from headgate.errors import SettingsError, StorageError
from headgate.storage.location import locate, make_data_folder, prepare_file


@pytest.mark.parametrize("url", ["/var/lib/headgate/x.db", "sqlite:////var/lib/headgate/x.db"])
def test_a_path_and_a_sqlite_address_mean_the_same(url: str) -> None:
    assert locate(url, None).path == Path("/var/lib/headgate/x.db")


def test_nothing_means_a_file_in_the_data_folder(tmp_path: Path) -> None:
    assert locate(None, tmp_path).path == tmp_path / "headgate.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_word_for_postgresql_is_understood(scheme: str) -> None:
    location = locate(f"{scheme}://me:pass@db.example:6543/gate?sslmode=require", None)
    assert location.url.drivername == "postgresql+asyncpg"
    assert location.url.query == {"ssl": "require"}
    assert location.shown == "postgresql://db.example:6543/gate"
    assert location.path is None


@pytest.mark.parametrize(
    "url", ["mysql://u:pass@h/d", "sqlite://", "sqlite:///:memory:", "://", "http://x:y:z"]
)
def test_other_addresses_are_refused_with_the_forms_we_know(url: str) -> None:
    """An in-memory database would be another one in the recorder's process."""
    with pytest.raises(SettingsError) as caught:
        locate(url, None)
    assert "postgresql://" in caught.value.hint
    assert "pass" not in caught.value.message


def test_a_data_folder_that_cannot_be_made_names_its_variable(tmp_path: Path) -> None:
    """Also where the database lies elsewhere; what is there already is left alone."""
    make_data_folder(tmp_path / "a" / "b")
    make_data_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(StorageError, match=f"Cannot make the data folder: {folder}: ") as caught:
            make_data_folder(folder)
        assert "HEADGATE_DATA_DIR" in caught.value.hint


def test_the_mend_names_what_chose_the_place(tmp_path: Path) -> None:
    """The data folder's variable, unless a setting names the database."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file"
    for location, named in (
        (locate(None, folder), "HEADGATE_DATA_DIR"),
        (locate(folder / "x.db", None), "storage.url"),
    ):
        with pytest.raises(StorageError, match="Cannot create database") as caught:
            prepare_file(location, create=True)
        assert named in caught.value.hint
