from pathlib import Path

import pytest

from headgate.errors import SettingsError
from headgate.storage.location import locate


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
