"""The requests in a database of claude-nexus-proxy."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving.nexus_history import PastOfNexus
from tests.moving import theirs


async def test_what_a_request_was(empty_postgres_url: str) -> None:
    """Every row once, the oldest first, in pieces."""
    await theirs.nexus_database(empty_postgres_url, rows=5, domain="team.example.com", account_id="acc_1")
    history = await PastOfNexus.of(empty_postgres_url)
    assert history is not None
    assert history.total == 5
    batches = [batch async for batch in history.batches(2)]
    assert [len(batch) for batch in batches] == [2, 2, 1]
    newest = batches[-1][-1]
    assert (newest.at_ms, newest.account_key) == (theirs.NOW_MS - 1000, "acc_1")
    assert (newest.caller, newest.user_agent) == ("team.example.com", "claude-cli/1.0")
    assert (newest.status, newest.error, newest.duration_ms) == (200, None, 1200)
    assert (newest.input_tokens, newest.cache_read_tokens, newest.cache_write_tokens) == (100, 7, 5)
    assert newest.session is not None


async def test_a_database_of_older_migrations_is_read_too(empty_postgres_url: str) -> None:
    """With what it has; an empty one has no history."""
    connection = await asyncpg.connect(empty_postgres_url)
    await connection.execute(
        "CREATE TABLE api_requests (request_id uuid, domain text, timestamp timestamptz, model text)"
    )
    assert await PastOfNexus.of(empty_postgres_url) is None
    await connection.execute(
        "INSERT INTO api_requests VALUES (gen_random_uuid(), 'd', now(), 'm'), (NULL, 'd', now(), 'm'),"
        " (gen_random_uuid(), 'd', NULL, 'm')"
    )
    await connection.close()
    history = await PastOfNexus.of(empty_postgres_url)
    assert history is not None
    batches = [batch async for batch in history.batches(10)]
    assert [(one.model, one.account_key, one.status) for one in batches[0]] == [("m", None, 200)]
    assert history.unreadable == 2


async def test_another_database_is_refused(empty_postgres_url: str) -> None:
    """It has no such table, or there is none of that name: each with its mend."""
    with pytest.raises(ForeignDataUnreadable, match="api_requests"):
        await PastOfNexus.of(empty_postgres_url)
    name = urlsplit(empty_postgres_url).path
    with pytest.raises(ForeignDataUnreadable, match="does not exist") as refused:
        await PastOfNexus.of(empty_postgres_url.replace(name, f"{name}_no"))
    assert refused.value.hint.startswith("See how the database is called in DATABASE_URL")
