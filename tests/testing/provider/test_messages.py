from collections.abc import Iterator

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, MODEL, ask, events, fetch, post

_TOOL = {"name": "calc", "input_schema": {"type": "object"}}


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=provider.url, max_retries=0) as client:
        yield client


def test_same_request_gets_same_text(client: anthropic.Anthropic) -> None:
    """Replies depend on the request alone."""
    first = client.messages.create(**ask("the same"))
    second = client.messages.create(**ask("the same"))
    assert first.content[0].text == second.content[0].text
    assert first.id != second.id
    assert first.content[0].text != client.messages.create(**ask("another")).content[0].text


def test_stream_adds_up_to_plain_answer(client: anthropic.Anthropic) -> None:
    """The SDK's accumulated stream equals the JSON answer, usage and stop reason included."""
    plain = client.messages.create(**ask("say 99 words"))
    with client.messages.stream(**ask("say 99 words")) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == plain.content[0].text
    assert (final.usage.output_tokens, final.usage.input_tokens) == (99, plain.usage.input_tokens)
    assert final.stop_reason == plain.stop_reason == "end_turn"


async def test_async_client_streams(provider: SimulatedProvider) -> None:
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=provider.url, max_retries=0)
    async with client, client.messages.stream(**ask("say 5 words")) as stream:
        pieces = [text async for text in stream.text_stream]
    assert len(pieces) == 5


def test_events_come_in_documented_order(provider: SimulatedProvider) -> None:
    """message_start, block start, ping, deltas, block stop, message_delta, message_stop."""
    _, headers, body = fetch(provider.url, post(ask("say 2 words", stream=True)))
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    names = [name for name, _ in events(body)]
    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(name == data["type"] for name, data in events(body))


def test_max_tokens_is_kept(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(**ask("say 50 words", max_tokens=7))
    assert (answer.usage.output_tokens, answer.stop_reason) == (7, "max_tokens")


def test_stop_sequence_ends_the_text(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(**ask("say 50 words", stop_sequences=["水"]))
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "水")
    assert "水" not in answer.content[0].text


def test_tool_is_used_when_the_user_says_so(client: anthropic.Anthropic) -> None:
    """Input that arrives in odd pieces adds up to the JSON that was asked for, escapes and all."""
    asked = ask('use tool calc {"a": [1, 2.5e3, "ü\\n\\u6c34"], "b": {}}', tools=[_TOOL])
    with client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert final.content[-1].input == {"a": [1, 2500.0, "ü\n水"], "b": {}}
    assert client.messages.create(**asked).content[-1].input == final.content[-1].input


def test_unknown_tool_is_not_used(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(**ask("use tool other {}", tools=[_TOOL]))
    assert answer.stop_reason == "end_turn"


def test_thinking_comes_first_with_a_signature(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ask(thinking={"type": "enabled", "budget_tokens": 1024})) as stream:
        kinds = [e.delta.type for e in stream if e.type == "content_block_delta"]
        final = stream.get_final_message()
    assert final.content[0].type == "thinking" and final.content[0].signature
    assert kinds.index("signature_delta") > kinds.index("thinking_delta")
    assert final.usage.output_tokens_details is not None


def test_citation_quotes_the_document(client: anthropic.Anthropic) -> None:
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Water boils at 100 degrees."},
        "citations": {"enabled": True},
    }
    content = [document, {"type": "text", "text": "When does water boil?"}]
    asked = ask(messages=[{"role": "user", "content": content}])
    with client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert final.content[0].citations[0].cited_text == "Water boils at 100 degrees."


def test_web_search_runs_on_the_server(client: anthropic.Anthropic) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    answer = client.messages.create(**ask("search the web for otters", tools=tools))
    assert [block.type for block in answer.content][:2] == ["server_tool_use", "web_search_tool_result"]
    assert answer.content[0].input == {"query": "otters"}
    assert answer.usage.server_tool_use.web_search_requests == 1


def test_container_belongs_to_its_account(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    tools = [{"type": "code_execution_20250825", "name": "code_execution"}]
    container = client.messages.create(**ask(tools=tools)).container
    again = client.messages.create(**ask(tools=tools, container=container.id))
    assert again.container.id == container.id
    with pytest.raises(anthropic.NotFoundError):
        client.with_options(api_key="sk-ant-sim-two").messages.create(**ask(container=container.id))


def test_tokens_are_counted_as_they_are_billed(client: anthropic.Anthropic) -> None:
    asked = ask("a somewhat longer question", system="Be brief.", tools=[_TOOL])
    counted = client.messages.count_tokens(**{k: v for k, v in asked.items() if k != "max_tokens"})
    assert counted.input_tokens == client.messages.create(**asked).usage.input_tokens


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"max_tokens": None}, 400, "max_tokens: Field required"),
        ({"model": None}, 400, "model: Field required"),
        ({"messages": None}, 400, "messages: Field required"),
        ({"messages": []}, 400, "messages: at least one message is required"),
        ({"max_tokens": 0}, 400, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": "5"}, 400, "max_tokens: Input should be a valid integer"),
        ({"stream": "yes"}, 400, "stream: Input should be a valid boolean"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages.0.role: Input should be"),
        ({"messages": [{"role": "user"}]}, 400, "messages.0.content: Field required"),
        ({"tools": {}}, 400, "tools: Input should be a valid list"),
        ({"model": "claude-99"}, 404, "model: claude-99"),
    ],
)
def test_wrong_request_is_refused_in_the_providers_words(
    provider: SimulatedProvider, change: dict[str, object], status: int, message: str
) -> None:
    body = {name: value for name, value in (ask() | change).items() if value is not None}
    got, headers, answer = fetch(provider.url, post(body))
    assert got == status
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    assert f'"error":{{"type":"{kind}","message":"{message}'.encode() in answer
    assert headers["request-id"].encode() in answer


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"a":"\\ud800"}', b"[]", b"7"])
def test_broken_json_is_refused(provider: SimulatedProvider, body: bytes) -> None:
    assert fetch(provider.url, post(body))[0] == 400


@pytest.mark.parametrize(
    ("key_line", "message"),
    [
        (b"x-api-key: sk-ant-other\r\n", b"invalid x-api-key"),
        (b"authorization: Bearer nonsense\r\n", b"Invalid bearer token"),
        (b"", b"x-api-key header is required"),
    ],
)
def test_unknown_key_is_refused(provider: SimulatedProvider, key_line: bytes, message: bytes) -> None:
    request = (
        b"GET /v1/models HTTP/1.1\r\nHost: sim\r\nanthropic-version: 2023-06-01\r\n" + key_line + b"\r\n"
    )
    status, headers, answer = fetch(provider.url, request)
    assert (status, message in answer) == (401, True)
    assert "anthropic-organization-id" not in headers


def test_bearer_token_is_an_account_too(provider: SimulatedProvider) -> None:
    with anthropic.Anthropic(auth_token=KEY, base_url=provider.url, max_retries=0) as client:
        assert client.messages.create(**ask()).model == MODEL


def test_missing_version_is_refused(provider: SimulatedProvider) -> None:
    request = post(ask()).replace(b"anthropic-version: 2023-06-01\r\n", b"")
    status, _, answer = fetch(provider.url, request)
    assert (status, b"anthropic-version: header is required" in answer) == (400, True)


def test_every_answer_names_request_and_organization(provider: SimulatedProvider) -> None:
    """And sets a cookie, which a gateway must not pass on."""
    _, headers, _ = fetch(provider.url, post(ask()))
    assert headers["request-id"].startswith("req_")
    assert headers["anthropic-organization-id"]
    assert headers["set-cookie"].startswith("_sim_session=")


def test_unknown_events_are_sent_on_request(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    """Comments, unknown events and unknown fields stand in the stream; the SDK still reads it."""
    provider.script(KEY, reply={"unknown_events": True})
    _, _, body = fetch(provider.url, post(ask(stream=True)))
    assert b": a comment line\n\n" in body and b"event: weather_report" in body and b'"mood"' in body
    with client.messages.stream(**ask()) as stream:
        assert stream.get_final_message().stop_reason == "end_turn"


def test_length_follows_script_and_header(provider: SimulatedProvider, client: anthropic.Anthropic) -> None:
    provider.script("*", reply={"words": 0})
    bare = client.messages.create(**ask()).usage.output_tokens
    headers = {"x-sim-words": "40"}
    assert client.messages.create(**ask(), extra_headers=headers).usage.output_tokens == bare + 40


def test_a_scripted_text_is_said_as_it_stands(provider: SimulatedProvider) -> None:
    """Word by word in a stream; a caller who asks for a number of words still gets these."""
    text = "First of all, hello.\n  Then: goodbye!"
    provider.script("*", reply={"text": text})
    said = [data for name, data in events(fetch(provider.url, post(ask(stream=True)))[2])]
    deltas = [data["delta"]["text"] for data in said if data["type"] == "content_block_delta"]
    assert "".join(deltas) == text
    assert len(deltas) == len(text.split())
    assert b"hello" not in fetch(provider.url, post(ask("say 3 words")))[2]


_ODD_CONTENT = [{"type": "document", "source": "x", "citations": 1}, {"type": "tool_result", "content": 5}]


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [1, None, "x"], "tool_choice": {"type": "tool", "name": 5}},
        {"system": [{"type": "text", "text": 5, "cache_control": "yes"}]},
        {"messages": [{"role": "user", "content": _ODD_CONTENT}]},
        {"container": {"id": None, "skills": []}, "metadata": 7},
        {"thinking": {}, "stop_sequences": [""]},
        {"messages": [{"role": "user", "content": "use tool calc {broken}"}], "tools": [_TOOL]},
        {"model": "claude-opus-5", "max_tokens": 1, "thinking": {"type": "adaptive"}, "future_field": [[]]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_odd_shapes_are_still_answered(
    provider: SimulatedProvider, change: dict[str, object], stream: bool
) -> None:
    """What the simulator does not read it does not judge; nothing breaks it."""
    assert fetch(provider.url, post(ask(stream=stream) | change))[0] == 200
