"""Batches, files and models: what lives in one account, and how lists page."""

import json
from collections.abc import Iterator

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, OTHER_KEY, ask, events, fetch, post


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
def other(client: anthropic.Anthropic) -> anthropic.Anthropic:
    return client.with_options(api_key=OTHER_KEY)


def _requests() -> list[dict[str, object]]:
    return [
        {"custom_id": "good", "params": ask()},
        {"custom_id": "bad", "params": {"model": "claude-opus-5"}},
    ]


def test_batch_ends_with_results_by_custom_id(client: anthropic.Anthropic) -> None:
    created = client.messages.batches.create(requests=_requests())
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
    created = client.messages.batches.create(requests=_requests())
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(created.id)
    assert client.messages.batches.cancel(created.id).processing_status == "canceling"
    assert client.messages.batches.retrieve(created.id).request_counts.canceled == 2
    assert client.messages.batches.delete(created.id).type == "message_batch_deleted"
    assert list(client.messages.batches.list()) == []


def test_batch_belongs_to_its_account(client: anthropic.Anthropic, other: anthropic.Anthropic) -> None:
    created = client.messages.batches.create(requests=_requests())
    with pytest.raises(anthropic.NotFoundError) as caught:
        other.messages.batches.retrieve(created.id)
    assert caught.value.body["error"]["type"] == "not_found_error"
    assert list(other.messages.batches.list()) == []


def test_batch_without_requests_is_refused(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="requests"):
        client.messages.batches.create(requests=[])
    twice = [_requests()[0], _requests()[0]]
    with pytest.raises(anthropic.BadRequestError, match="unique"):
        client.messages.batches.create(requests=twice)


def test_file_comes_back_byte_for_byte(client: anthropic.Anthropic) -> None:
    """Binary content that holds line ends and what looks like a boundary."""
    content = bytes(range(256)) * 300 + b"\r\n--boundary--\r\n\r\n"
    uploaded = client.beta.files.upload(file=("naïve name.bin", content, "application/x-thing"))
    assert (uploaded.size_bytes, uploaded.mime_type) == (len(content), "application/x-thing")
    assert client.beta.files.download(uploaded.id).read() == content
    assert client.beta.files.retrieve_metadata(uploaded.id).id == uploaded.id


def test_file_belongs_to_its_account(client: anthropic.Anthropic, other: anthropic.Anthropic) -> None:
    uploaded = client.beta.files.upload(file=("a.txt", b"text", "text/plain"))
    for call in (other.beta.files.retrieve_metadata, other.beta.files.download, other.beta.files.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(uploaded.id)
    assert client.beta.files.delete(uploaded.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata(uploaded.id)


def test_upload_without_a_file_is_refused(provider: SimulatedProvider) -> None:
    kind = b"content-type: multipart/form-data; boundary=x\r\n"
    assert fetch(provider.url, post(b"--x--", "/v1/files", extra=kind))[0] == 400


def test_files_page_by_cursor(client: anthropic.Anthropic) -> None:
    """Newest first; the SDK's own paging sees every file once."""
    ids = [client.beta.files.upload(file=(f"{n}", b"x", "text/plain")).id for n in range(5)]
    assert [file.id for file in client.beta.files.list(limit=2)] == ids[::-1]
    with pytest.raises(anthropic.BadRequestError, match="page: Invalid cursor"):
        client.beta.files.list(page="page_unknown")


def test_batches_page_in_both_directions(client: anthropic.Anthropic) -> None:
    ids = [client.messages.batches.create(requests=_requests()).id for _ in range(5)]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == ids[::-1]
    newer = client.messages.batches.list(limit=2, before_id=ids[0])
    assert ([batch.id for batch in newer.data], newer.has_more) == ([ids[2], ids[1]], True)


def test_models_are_listed_and_shown(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    models = [model.id for model in client.models.list(limit=3)]
    assert len(models) == len(set(models)) > 10
    assert client.models.retrieve(models[0]).display_name
    with pytest.raises(anthropic.NotFoundError, match="model: claude-99"):
        client.models.retrieve("claude-99")
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        client.models.list(limit=0)


def test_account_sees_its_own_models(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    provider.script(KEY, models=["claude-opus-5", "claude-new"])
    assert [model.id for model in client.models.list()] == ["claude-opus-5", "claude-new"]


def test_legacy_completion_plain_and_streamed(provider: SimulatedProvider) -> None:
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": "\n\nHuman: hello\n\nAssistant:"}
    whole = json.loads(fetch(provider.url, post(body, "/v1/complete"))[2])
    assert (whole["type"], whole["stop_reason"]) == ("completion", "max_tokens")
    streamed = events(fetch(provider.url, post(body | {"stream": True}, "/v1/complete"))[2])
    assert {name for name, _ in streamed} == {"ping", "completion"}
    assert "".join(data.get("completion", "") for _, data in streamed) == whole["completion"]


def test_legacy_completion_needs_its_turns(provider: SimulatedProvider) -> None:
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": "hello"}
    assert fetch(provider.url, post(body, "/v1/complete"))[0] == 400


@pytest.mark.parametrize("line", [b"GET /v1/nothing", b"DELETE /v1/messages", b"GET /", b"PUT /v1/files/x/y"])
def test_unknown_route_is_404(provider: SimulatedProvider, line: bytes) -> None:
    rest = b" HTTP/1.1\r\nhost: s\r\nx-api-key: sk-ant-sim-one\r\nanthropic-version: 2023-06-01\r\n\r\n"
    status, _, body = fetch(provider.url, line + rest)
    assert (status, b"not_found_error" in body) == (404, True)
