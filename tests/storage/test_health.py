from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.health import HealthStore


async def test_health_of_an_account_that_is_gone_is_not_loaded(database: Database) -> None:
    """A record may arrive after the removal; it is stored and means nothing."""
    row = {"account_id": 77, "at_ms": 1, "state": {"until": 5.0}}
    await write_batch(database, Step("j", "s", 0, 1), Rows(health=[row]))
    assert await HealthStore(database).load() == {}
