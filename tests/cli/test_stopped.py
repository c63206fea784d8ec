"""The owner's side on the database alone."""

from pathlib import Path

import pytest

from headgate.cli.stopped import open_owner
from headgate.config.loading import Loaded, load_settings
from headgate.errors import StorageError
from headgate.pool.accounts import Credential
from headgate.pool.faults import Fault
from headgate.storage.drafts import AccountDraft


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load_settings({}, {"HEADGATE_DATA_DIR": str(tmp_path / "data")}, tmp_path / "config.yaml")


async def test_health_that_a_command_changes_is_kept(loaded: Loaded) -> None:
    """A resume without a running gateway must still hold when one starts."""
    async with open_owner(loaded, may_create=True) as owner:
        draft = AccountDraft(name="work", provider="anthropic", secret=Credential("sk-ant-1"))
        owner.pool.put(await owner.accounts.add(draft))
        living = owner.pool.by_name("work")
        assert living is not None
        living.health.apply(Fault.REFUSED, reason="invalid x-api-key", now=owner.clock.now())
    for expected in ("needs_reauth", "active"):
        async with open_owner(loaded, may_create=False) as owner:
            living = owner.pool.by_name("work")
            assert living is not None
            assert str(living.status) == expected
            owner.pool.resume("work")


async def test_reading_makes_no_database(loaded: Loaded) -> None:
    """Neither file nor folder: a look at the wrong place must not look like an empty gateway."""
    with pytest.raises(StorageError, match="Database file not found"):
        async with open_owner(loaded, may_create=False):
            pass
    assert not loaded.data_folder.exists()
