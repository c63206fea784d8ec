"""Guide rows C: what a Claude client sees through the gateway."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import anthropic
import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, wait_until
from tests.guides.asking import error_of, message, record_of
from tests.testing.wire import MODEL, ask, dechunked, events

_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "keep-alive", "set-cookie"}
"""Of one connection alone, or of the account."""


def _head_sent_upstream(provider: SimulatedProvider) -> dict[str, str]:
    """The header lines of the last request that the provider received."""
    return _fields(provider.received()[-1]["head"])


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def test_c4_the_providers_error_is_passed_on(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A provider's own error comes verbatim: status, body, request id, rate-limit headers."""
    refusals = {400: "max_tokens is too large", 413: "Request is too big", 401: "invalid x-api-key"}
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for status, words in refusals.items():
            rule = {"fault": "status", "status": status, "message": words}
            provider.script("sk-ant-sim-one", rules=[rule])
            answer = message(gateway)
            sent = provider.received()[-1]
            assert (answer.status_code, answer.content) == (status, sent["sent_body"])
            assert answer.json()["error"]["message"] == words
            passed = _fields(sent["sent_head"])
            assert "request-id" in passed
            for name in passed.keys() - _NOT_PASSED_ON:
                assert answer.headers[name] == passed[name]
            assert "set-cookie" not in answer.headers
            assert record_of(gateway, answer)["provider_request_id"] == answer.headers["request-id"]


def test_c4_rate_limit_headers_are_passed_on(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What the provider says of its limits reaches the caller, on good answers too."""
    provider.script("sk-ant-sim-one", limits={"requests": 50})
    with Gateway(tmp_path, provider=provider.url) as gateway:
        answer = message(gateway)
        assert answer.headers["anthropic-ratelimit-requests-limit"] == "50"
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "49"
        assert answer.headers["request-id"].startswith("req_")


def test_c9_a_claude_client_needs_only_a_base_url(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The official SDK with its base URL changed: whole and streamed."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        prompt = {"role": "user", "content": "hello"}
        with anthropic.Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0) as client:
            whole = client.messages.create(model=MODEL, max_tokens=64, messages=[prompt])
            with client.messages.stream(model=MODEL, max_tokens=64, messages=[prompt]) as stream:
                streamed = stream.get_final_message()
        assert whole.content[0].text == streamed.content[0].text != ""
        assert whole.usage.output_tokens == streamed.usage.output_tokens > 0


def test_c9_both_paths_are_the_messages(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/v1/messages` and `/api/v1/messages` are the same, with the key in either header."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        texts = []
        for path in ("/v1/messages", "/api/v1/messages"):
            bearer = {"authorization": f"Bearer {CLIENT_KEY}"}
            for headers in ({"x-api-key": CLIENT_KEY}, bearer):
                answer = message(gateway, path=path, key=None, headers=headers)
                assert answer.status_code == 200
                texts.append(answer.json()["content"])
            assert provider.received()[-1]["path"] == "/v1/messages"
        assert texts == [texts[0]] * 4


def test_c13_a_stream_asks_proxies_not_to_buffer(tmp_path: Path, provider: SimulatedProvider) -> None:
    """SSE carries `X-Accel-Buffering: no` and `Cache-Control`; a JSON answer does not."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        streamed = message(gateway, stream=True)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.headers["x-accel-buffering"] == "no"
        assert "no-cache" in streamed.headers["cache-control"]
        assert "x-accel-buffering" not in message(gateway).headers


def test_c13_every_event_is_handed_on_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An event reaches the client while the provider has not yet sent the next one."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "hang", "stage": "mid_body", "event": 3}])
    with Gateway(tmp_path, provider=provider.url) as gateway:
        headers = {"x-api-key": CLIENT_KEY}
        url = gateway.url + "/v1/messages"
        with httpx.stream(
            "POST", url, json=ask(stream=True), headers=headers, timeout=20, verify=NO_TLS
        ) as answer:
            seen = 0
            for line in answer.iter_lines():
                seen += line.startswith("event:")
                if seen == 3:
                    break
        assert seen == 3


def test_c13_a_silent_stream_is_kept_alive(tmp_path: Path, provider: SimulatedProvider) -> None:
    """With `routing.sse_keepalive_seconds` comments fill the silence, and the events stay whole."""
    provider.script("sk-ant-sim-one", pacing={"event_ms": 150}, reply={"words": 4})
    settings = {"routing": {"sse_keepalive_seconds": 0.05}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        answer = message(gateway, stream=True)
        comments = [line for line in answer.text.split("\n") if line.startswith(":")]
        assert comments
        without = answer.content.replace(b": keep-alive\n\n", b"")
        assert without == provider.received()[-1]["sent_body"]
        assert events(without)[-1][0] == "message_stop"


def test_c17_the_version_header_is_added_where_it_is_missing(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A caller without `anthropic-version`, as in the guides' curl lines, is served; its own stays."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for path in ("/v1/messages", "/api/v1/messages"):
            assert message(gateway, path=path).status_code == 200
            assert _head_sent_upstream(provider)["anthropic-version"] == "2023-06-01"
        assert message(gateway, headers={"anthropic-version": "2023-01-01"}).status_code == 200
        assert _head_sent_upstream(provider)["anthropic-version"] == "2023-01-01"


def test_c17_the_guides_curl_line_is_served(tmp_path: Path, provider: SimulatedProvider) -> None:
    """No key, no version, only a content type: served from the pool where no client key is set."""
    body = b'{"model": "%b", "max_tokens": 10, "messages": [{"role": "user", "content": "test"}]}'
    settings = {"access": {"api_keys": []}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        status, answer = gateway.ask("POST", "/api/v1/messages", body=body % MODEL.encode())
        assert (status, json.loads(answer)["type"]) == (200, "message")


def test_c18_the_legacy_completions_are_served(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/v1/complete` goes to Anthropic, with or without its version header, streamed or not."""
    body = {"model": MODEL, "max_tokens_to_sample": 32, "prompt": "\n\nHuman: hello\n\nAssistant:"}
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for headers in ({}, {"anthropic-version": "2023-06-01"}):
            url, sent = f"{gateway.url}/v1/complete", {"x-api-key": CLIENT_KEY, **headers}
            answer = httpx.post(url, json=body, headers=sent, timeout=20, verify=NO_TLS)
            assert (answer.status_code, answer.json()["type"]) == (200, "completion")
            streamed = httpx.post(url, json={**body, "stream": True}, headers=sent, timeout=20, verify=NO_TLS)
            told = [data["completion"] for name, data in events(streamed.content) if name == "completion"]
            assert "".join(told) == answer.json()["completion"]
            assert provider.received()[-1]["path"] == "/v1/complete"
            assert record_of(gateway, answer)["account"] == "one"


def test_c9_the_bytes_are_the_clients_and_the_providers(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A raw client: the body goes up as it was written, the answer comes down as it was sent."""
    body = b'{ "model":"%b","max_tokens":16,  "messages":[{"role":"user","content":"h\\u00e9"}],"x":1.50}'
    body %= MODEL.encode()
    head = b"POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nx-api-key: %b\r\nConnection: close\r\n"
    head %= CLIENT_KEY.encode()
    with Gateway(tmp_path, provider=provider.url) as gateway:
        address = urlsplit(gateway.url)
        with socket.create_connection((address.hostname, address.port), 20) as client:
            client.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            data = b"".join(iter(lambda: client.recv(65_536), b""))
        received = provider.received()[-1]
        assert received["body"] == body
        answer_head, _, answer = data.partition(b"\r\n\r\n")
        is_chunked = b"transfer-encoding: chunked" in answer_head
        assert (dechunked(answer) if is_chunked else answer) == received["sent_body"]


def test_c10_a_body_that_cannot_be_routed_names_the_field(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """No model, or a broken body: 400 with the field or the place; nothing is sent upstream."""
    bodies = {b"{}": "model: Field required", b'{"model":7}': "model: Expected", b'{"model":"m",': "byte 13"}
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for body, words in bodies.items():
            answer = httpx.post(
                f"{gateway.url}/v1/messages", content=body, headers={"x-api-key": CLIENT_KEY}, verify=NO_TLS
            )
            assert answer.status_code == 400
            assert words in error_of(answer)["message"]
            assert record_of(gateway, answer)["status"] == 400
    assert provider.books()["count"] == 0


def test_c16_connections_are_limited(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`server.max_connections`: one too many gets 503, and is served when there is room again."""
    settings = {"server": {"max_connections": 2}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        with socket.create_connection(gateway.address), socket.create_connection(gateway.address):
            wait_until(lambda: message(gateway).status_code == 503, what="a full house")
            assert error_of(message(gateway))["code"] == "too_many_connections"
        wait_until(lambda: message(gateway).status_code == 200, what="room")


def test_c16_bodies_are_limited(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`server.max_body_bytes`: a larger one gets 413 with the limit in its words."""
    settings = {"server": {"max_body_bytes": 10_000}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        answer = message(gateway, "x" * 10_000)
        assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")
        assert "10000" in error_of(answer)["message"]
        assert message(gateway).status_code == 200
    assert provider.books()["count"] == 1
