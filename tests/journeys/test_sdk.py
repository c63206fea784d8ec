"""The official `anthropic` SDK with nothing changed but its base URL and its key."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.journeys.wire import MODEL

ACCOUNTS = ("one", "two", "three")
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """Back to normal; files and batches stay, because ids are never given twice."""
    for key in ("*", *(f"sk-ant-sim-{name}" for name in ACCOUNTS)):
        running_provider.script(key, rules=[], pacing={}, batch_seconds=0)
    return running_provider


@pytest.fixture(scope="module")
def gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("sdk")
    with Gateway(folder, provider=running_provider.url, accounts=ACCOUNTS) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway, provider: SimulatedProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(
    gateway: Gateway, provider: SimulatedProvider
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0) as made:
        yield made


def _ask(text: str = "say 30 words") -> Any:
    return {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": text}]}


# ---- messages ------------------------------------------------------------------------------------


def test_a_message(client: anthropic.Anthropic, gateway: Gateway) -> None:
    """The answer parses, and its usage is the record's."""
    raw = client.messages.with_raw_response.create(**_ask())
    message = raw.parse()
    assert message.usage.output_tokens == 30
    assert message._request_id == raw.headers["request-id"]
    record = gateway.record_of(raw.headers["x-headgate-request-id"])
    assert record["provider_request_id"] == raw.headers["request-id"]
    assert record["usage"]["input_tokens"] == message.usage.input_tokens
    assert record["usage"]["output_tokens"] == message.usage.output_tokens
    assert record["user_agent"].startswith("Anthropic/Python")


def test_a_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**_ask()) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert message.content[0].type == "text"
    assert message.content[0].text == text
    assert message.usage.output_tokens == 30


async def test_a_message_and_a_stream_asynchronously(async_client: anthropic.AsyncAnthropic) -> None:
    message = await async_client.messages.create(**_ask())
    async with async_client.messages.stream(**_ask()) as stream:
        streamed = await stream.get_final_message()
    told: Any = message.content[0]
    streamed_block: Any = streamed.content[0]
    assert streamed_block.text == told.text
    assert streamed.usage.output_tokens == message.usage.output_tokens == 30


@pytest.mark.parametrize("streams", [False, True])
def test_a_conversation_with_a_tool(
    client: anthropic.Anthropic, provider: SimulatedProvider, streams: bool
) -> None:
    """The model calls, the caller answers, the model speaks; all on one account."""
    asked = _ask('use tool get_weather {"place": "Zürich"}') | {"tools": [TOOL]}

    def take_turn() -> Any:
        if not streams:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            return stream.get_final_message()

    first = take_turn()
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"place": "Zürich"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "14 °C"}
    asked["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result, {"type": "text", "text": "say 8 words"}]},
    ]
    second = take_turn()
    assert second.stop_reason == "end_turn"
    assert second.usage.output_tokens == 8
    keys = [row["key"] for row in list(provider.books()["requests"].values())[-2:]]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("streams", [False, True])
def test_thinking(client: anthropic.Anthropic, streams: bool) -> None:
    """A thinking block with its signature comes before the text."""
    asked = _ask() | {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    if streams:
        with client.messages.stream(**asked) as stream:
            message: Any = stream.get_final_message()
    else:
        message = client.messages.create(**asked)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking
    assert message.content[0].signature


def test_count_tokens(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    assert counted.input_tokens > 0


def test_models(client: anthropic.Anthropic) -> None:
    """Listed over all pages, and one by name."""
    names = [model.id for model in client.models.list(limit=2)]
    assert MODEL in names
    assert len(names) > 2
    assert client.models.retrieve(MODEL).id == MODEL


# ---- files and batches: they live in the account that made them ----------------------------------


def _everywhere(list_objects: Callable[..., Iterable[Any]]) -> set[str]:
    """A list is one account's: asked of each."""
    wishes = [{"x-headgate-account": name} for name in ACCOUNTS]
    return {found.id for wish in wishes for found in list_objects(extra_headers=wish)}


def test_files(client: anthropic.Anthropic) -> None:
    """Uploaded once, found again by id although other accounts stand beside; then gone."""
    content = bytes(range(256)) * 500
    files = client.beta.files
    stored = [files.upload(file=(f"{n}.bin", content, "application/octet-stream")) for n in range(4)]
    for file in stored:
        assert files.retrieve_metadata(file.id).size_bytes == len(content)
        assert files.download(file.id).read() == content
    assert _everywhere(files.list) >= {file.id for file in stored}
    for file in stored:
        assert files.delete(file.id).id == file.id
        with pytest.raises(anthropic.NotFoundError):
            files.retrieve_metadata(file.id)


async def test_files_asynchronously(async_client: anthropic.AsyncAnthropic) -> None:
    stored = await async_client.beta.files.upload(file=("a.txt", b"text", "text/plain"))
    downloaded = await async_client.beta.files.download(stored.id)
    assert await downloaded.read() == b"text"


def test_batches(client: anthropic.Anthropic, provider: SimulatedProvider, gateway: Gateway) -> None:
    """Created, looked at, cancelled; the address of the results leads to the gateway."""
    batches = client.messages.batches
    made = batches.create(requests=[{"custom_id": f"c{n}", "params": _ask("say 3 words")} for n in range(3)])
    seen = batches.retrieve(made.id)
    assert (seen.processing_status, seen.request_counts.succeeded) == ("ended", 3)
    assert seen.results_url == f"{gateway.url}/v1/messages/batches/{made.id}/results"
    assert {result.custom_id for result in batches.results(made.id)} == {"c0", "c1", "c2"}
    assert made.id in _everywhere(batches.list)
    for account in ACCOUNTS:
        provider.script(f"sk-ant-sim-{account}", batch_seconds=3600)
    waiting = batches.create(requests=[{"custom_id": "c", "params": _ask()}])
    assert batches.retrieve(waiting.id).processing_status == "in_progress"
    assert batches.cancel(waiting.id).processing_status in ("canceling", "ended")
    assert batches.retrieve(waiting.id).request_counts.canceled == 1
    assert batches.delete(made.id).id == made.id


# ---- errors --------------------------------------------------------------------------------------

PROVIDERS_OWN: list[tuple[int, type[anthropic.APIStatusError]]] = [
    (400, anthropic.BadRequestError),
    (413, anthropic.APIStatusError),
    (500, anthropic.InternalServerError),
    (529, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("status", "kind"), PROVIDERS_OWN)
def test_a_providers_error_is_the_sdks_exception(
    client: anthropic.Anthropic,
    provider: SimulatedProvider,
    status: int,
    kind: type[anthropic.APIStatusError],
) -> None:
    """With its status, its words and the provider's request id."""
    provider.script("*", rules=[{"fault": "status", "status": status, "message": "as it was said"}])
    with pytest.raises(kind) as raised:
        client.messages.create(**_ask())
    error = raised.value
    assert error.status_code == status
    assert error.body["error"]["message"] == "as it was said"  # type: ignore[index]
    assert error.request_id == error.response.headers["request-id"]
    assert error.request_id in provider.books()["requests"]


def test_the_gateways_own_error_is_the_sdks_exception(gateway: Gateway) -> None:
    """In the dialect's shape, with an id under which the gateway knows the request."""
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        stranger.messages.create(**_ask())
    error = raised.value
    assert error.body["error"]["code"] == "invalid_client_key"  # type: ignore[index]
    assert error.body["error"]["type"] == "authentication_error"  # type: ignore[index]
    assert error.response.headers["x-should-retry"] == "false"  # no client shall try a wrong key for minutes
    assert error.request_id == error.response.headers["x-headgate-request-id"]
    assert gateway.record_of(error.request_id or "")["status"] == 401


@pytest.mark.parametrize("stage", ["mid_body", "mid_event", "mid_chunk", "mid_utf8", "before_message_stop"])
def test_a_stream_that_breaks_raises_with_the_gateways_words(
    client: anthropic.Anthropic, provider: SimulatedProvider, stage: str
) -> None:
    """No half event confuses the SDK: what came is there, then the error."""
    rule = {"fault": "cut", "stage": stage}
    for account in ACCOUNTS:
        provider.script(f"sk-ant-sim-{account}", rules=[rule], pacing={"event_ms": 1})
    seen = set()
    with pytest.raises(anthropic.APIStatusError) as raised:
        for event in client.messages.create(**_ask(), stream=True):
            seen.add(event.type)
    assert "message_start" in seen
    assert "answer_cut" in str(raised.value)
