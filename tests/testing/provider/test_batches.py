"""Batches: what they end with, and to whom they belong."""

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, ask


def two_requests() -> list[dict[str, object]]:
    return [
        {"custom_id": "good", "params": ask()},
        {"custom_id": "bad", "params": {"model": "claude-opus-5"}},
    ]


def test_batch_ends_with_results_by_custom_id(client: anthropic.Anthropic) -> None:
    created = client.messages.batches.create(requests=two_requests())
    assert (created.processing_status, created.request_counts.processing) == ("in_progress", 2)
    ended = client.messages.batches.retrieve(created.id)
    assert (ended.processing_status, ended.request_counts.succeeded, ended.request_counts.errored) == (
        "ended",
        1,
        1,
    )
    results = {line.custom_id: line.result for line in client.messages.batches.results(created.id)}
    assert results["good"].message.usage.service_tier == "batch"
    assert results["bad"].error.error.type == "invalid_request_error"


def test_batch_can_be_cancelled_while_it_works(
    provider: SimulatedProvider, client: anthropic.Anthropic
) -> None:
    provider.script(KEY, batch_seconds=1000)
    created = client.messages.batches.create(requests=two_requests())
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(created.id)
    assert client.messages.batches.cancel(created.id).processing_status == "canceling"
    assert client.messages.batches.retrieve(created.id).request_counts.canceled == 2
    assert client.messages.batches.delete(created.id).type == "message_batch_deleted"
    assert list(client.messages.batches.list()) == []


def test_batch_belongs_to_its_account(client: anthropic.Anthropic, other: anthropic.Anthropic) -> None:
    created = client.messages.batches.create(requests=two_requests())
    with pytest.raises(anthropic.NotFoundError) as caught:
        other.messages.batches.retrieve(created.id)
    assert caught.value.body["error"]["type"] == "not_found_error"
    assert list(other.messages.batches.list()) == []


def test_batch_without_requests_is_refused(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="requests"):
        client.messages.batches.create(requests=[])
    twice = [two_requests()[0], two_requests()[0]]
    with pytest.raises(anthropic.BadRequestError, match="unique"):
        client.messages.batches.create(requests=twice)
