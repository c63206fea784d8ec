"""What a batch used is counted once, on both databases: whoever fetches its results, and however often."""

from typing import Any

import pytest
import sqlalchemy as sa

from headgate.dialects.usage import Part, Usage
from headgate.pricing.rates import NANO
from headgate.record.events import RequestRecord
from headgate.record.rows import to_rows
from headgate.storage.batch import Step, write_batch
from headgate.storage.batch_usage import CountedResults
from headgate.storage.database import Database
from headgate.storage.requests import RequestStore
from headgate.storage.rollup_check import differing_days
from headgate.storage.schema import key_days, key_windows, objects, provider_sums, rollups
from headgate.storage.spending import SpendingStore
from tests.record.samples import attempt, request

MILLION = 1_000_000
DAY_MS = 86_400_000
AT_MS = 1_700_000_000_000
OPUS, HAIKU = "claude-opus-5", "claude-haiku-4-5"


def fetched(name: str, *, batch: str = "msgbatch_1", **models: int) -> RequestRecord:
    """Results with so many million tokens in and out, of as many requests."""
    names = {"opus": OPUS, "haiku": HAIKU, "new": "claude-new-9"}
    parts = tuple(
        Part(names[one], Usage(count * MILLION, count * MILLION, service_tier="batch", requests=count * 1000))
        for one, count in models.items()
    )
    millions = sum(models.values())
    total = Usage(
        millions * MILLION,
        millions * MILLION,
        service_tier="batch",
        requests=millions * 1000,
        parts=parts,
    )
    return request(
        name,
        at_ms=AT_MS,
        method="GET",
        path=f"/v1/messages/batches/{batch}/results",
        model=None,
        key_id=5,
        caller="laptop",
        usage=total,
        duration_ms=2_000.0,
        attempts=(attempt("work"),),
    )


class Writing:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._steps = 0

    async def __call__(self, *records: RequestRecord) -> None:
        step = Step("j", "s", self._steps, self._steps + 1)
        await write_batch(self._database, step, to_rows(records))
        self._steps += 1


async def by_model(database: Database) -> dict[str, tuple[int, int, int]]:
    """Requests, input and nano-USD in the sums by day."""
    c = rollups.c
    its = (c.resolution == 86_400) & (c.by_key == 0)
    sums = sa.select(c.model, *(sa.func.sum(one) for one in (c.requests, c.input_tokens, c.nano_usd)))
    async with database.read() as connection:
        rows = (await connection.execute(sums.where(its).group_by(c.model))).all()
    return {model: (int(count), int(tokens), int(nano)) for model, count, tokens, nano in rows}


async def test_a_batch_is_counted_once_by_model_and_at_half_price(database: Database) -> None:
    """Fetched three times: the rows say which of them counted, the sums know it once."""
    write = Writing(database)
    await write(fetched("a", opus=2, haiku=1), fetched("b", opus=2, haiku=1))
    await write(fetched("c", opus=2, haiku=1), fetched("other", batch="msgbatch_2", haiku=1))
    assert await by_model(database) == {
        OPUS: (1, 2 * MILLION, 30 * NANO),
        HAIKU: (2, 2 * MILLION, 6 * NANO),
        "": (2, 0, 0),
    }
    store = RequestStore(database)
    first, more, again = [await store.get(name) for name in ("a", "a-2", "c")]
    assert first is not None and more is not None and again is not None
    assert (first["model"], first["nano_usd"], first["other_usage"]) == (OPUS, 30 * NANO, {"requests": 2000})
    assert (more["model"], more["nano_usd"], more["service_tier"]) == (HAIKU, 3 * NANO, "batch")
    assert (more["response_bytes"], more["attempts"]) == (0, [])
    assert (again["model"], again["input_tokens"], again["other_usage"]) == (
        None,
        None,
        {"counted_before": 3000},
    )


async def test_half_a_download_counts_as_half(database: Database) -> None:
    """Lines come in any order: what is on top of all that was seen is added, and never more."""
    write = Writing(database)
    await write(fetched("a", opus=1))
    await write(fetched("b", haiku=1, opus=1))
    await write(fetched("c", haiku=2))
    await write(fetched("d", opus=3, haiku=2, new=1))
    await write(fetched("e", opus=3, haiku=2, new=1))
    counted = {model: found[1:] for model, found in (await by_model(database)).items() if model}
    assert counted == {
        OPUS: (3 * MILLION, 45 * NANO),
        HAIKU: (2 * MILLION, 6 * NANO),
        "claude-new-9": (MILLION, 0),
    }
    known = await CountedResults(database).load(10)
    assert sum(part.usage.requests or 0 for part in known["msgbatch_1"]) == 6000


async def test_what_is_written_twice_is_counted_twice_by_nobody(database: Database) -> None:
    """Of two recorders with the same part of a journal one wins; a crash before the commit leaves nothing."""
    step, rows = Step("j", "s", 0, 1), to_rows([fetched("a", opus=1)])

    async def fail(_: Any) -> None:
        raise RuntimeError("killed")

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await write_batch(database, step, to_rows([fetched("a", opus=1)]), fail)
    assert await by_model(database) == {}
    await write_batch(database, step, rows)
    assert await by_model(database) == {OPUS: (1, MILLION, 15 * NANO)}


async def test_every_sum_says_the_same_and_no_speed_is_reckoned(database: Database) -> None:
    """Budgets count the money, and as many requests as the batch had; five hours of tokens are untouched."""
    write = Writing(database)
    earlier = request("b", at_ms=AT_MS - DAY_MS, key_id=None, attempts=())
    await write(fetched("a", opus=2, haiku=1), earlier)
    await write(fetched("c", opus=2, haiku=1))
    async with database.read() as connection:
        assert await differing_days(connection) == []
        sums = (await connection.execute(sa.select(provider_sums))).one()
        days = (await connection.execute(sa.select(key_days))).one()
        assert (await connection.execute(sa.select(key_windows))).all() == []
        spoken = (await connection.exec_driver_sql("SELECT max(spoken_tokens) FROM rollup_times")).scalar()
        its = (await connection.execute(sa.select(objects.c.account_id, objects.c.at_ms))).one()
    assert (sums.input_tokens, sums.nano_usd) == (3 * MILLION, 33 * NANO)
    assert (days.requests, days.nano_usd) == (3000, 33 * NANO)
    assert spoken is not None and spoken < 1000
    assert tuple(its) == (1, AT_MS), "a batch that was made elsewhere is known from now on"
    assert await SpendingStore(database).means(AT_MS / 1000) == {5: 33 * NANO // 3000}
