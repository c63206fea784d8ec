"""How the lists of the API page."""

import anthropic
import pytest

from tests.testing.wire import ask


def test_files_page_by_cursor(client: anthropic.Anthropic) -> None:
    """Newest first; the SDK's own paging sees every file once."""
    ids = [client.beta.files.upload(file=(f"{n}", b"x", "text/plain")).id for n in range(5)]
    assert [file.id for file in client.beta.files.list(limit=2)] == ids[::-1]
    with pytest.raises(anthropic.BadRequestError, match="page: Invalid cursor"):
        client.beta.files.list(page="page_unknown")


def test_batches_page_in_both_directions(client: anthropic.Anthropic) -> None:
    ids = [
        client.messages.batches.create(requests=[{"custom_id": "one", "params": ask()}]).id for _ in range(5)
    ]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == ids[::-1]
    newer = client.messages.batches.list(limit=2, before_id=ids[0])
    assert ([batch.id for batch in newer.data], newer.has_more) == ([ids[2], ids[1]], True)
