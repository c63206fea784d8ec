"""What the gateway reads from a request in the Anthropic dialect, and the errors it writes."""

import json
import time
from itertools import islice
from typing import Any

import msgspec
import pytest

from headgate.dialects.anthropic import error_type, read_request, write_error, write_stream_error
from headgate.errors import HeadgateError, InvalidRequest, RequestTimedOut
from headgate.testing.conversations import coding_request, conversation
from headgate.testing.generated import requests


def _body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


# ---- reading -------------------------------------------------------------------------------------


def test_generated_requests_are_read_as_json_reads_them() -> None:
    """Odd blanks, escapes, numbers and keys given twice make no difference."""
    for _, _, body in islice(requests(3), 400):
        meant, facts = json.loads(body), read_request(body)
        assert (facts.model, facts.stream) == (meant["model"], meant.get("stream") is True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"model":"m"}x', "not valid JSON"),
        (b'{"model":"\xff"}', "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"{}", "model: Field required"),
        (b'{"model":7}', "model: Expected `str`, got `int`"),
        (b'{"model":null}', "model: Expected `str`, got `null`"),
        (b'{"model":"m","stream":"yes"}', "stream: Expected `bool"),
        (b'{"model":"m","metadata":[]}', "metadata: Expected `object"),
        (b'{"model":' + b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_routed_is_refused_by_field(body: bytes, words: str) -> None:
    """400 with the field's name; a `$` means nothing to a caller."""
    with pytest.raises(InvalidRequest) as raised:
        read_request(body)
    assert words in raised.value.message
    assert "$" not in raised.value.message


def test_what_routing_does_not_need_is_not_judged() -> None:
    """Unknown fields, wrong types elsewhere, lone surrogates: the provider's to judge."""
    assert read_request(b'{"model":"m","max_tokens":"many","messages":7,"x":"\\ud800"}').model == "m"
    assert read_request(b'{"model":"m","stream":null}').stream is False
    deep = b'{"model":"m","messages":' + b"[" * 500 + b"]" * 500 + b"}"
    assert read_request(deep).model == "m"


# ---- conversations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "user_id",
    [
        "user_0a_account_1b_session_5c7e-9d",
        '{"device_id":"0a","account_uuid":"","session_id":"5c7e-9d"}',
    ],
)
def test_the_coding_tools_own_session_is_found(user_id: str) -> None:
    """In both forms that Claude Code writes."""
    assert read_request(_body(metadata={"user_id": user_id})).session == "5c7e-9d"


def test_turns_of_one_conversation_have_one_session() -> None:
    """Without a name for it: what the opening says, however `cache_control` moves."""
    sessions = set()
    for turn in conversation(5, turns=4):
        del turn["metadata"]
        turn["messages"][0]["content"][0]["cache_control"] = {"type": "ephemeral"} if sessions else None
        sessions.add(read_request(json.dumps(turn).encode()).session)
    assert len(sessions) == 1
    other = coding_request(6)
    del other["metadata"]
    assert read_request(json.dumps(other).encode()).session not in sessions


def test_other_openings_are_other_conversations() -> None:
    """By the first message and by the system text."""
    said = [_body(), _body(system="s"), _body(messages=[{"role": "user", "content": "ho"}])]
    assert len({read_request(body).session for body in said}) == 3
    assert read_request(b'{"model":"m","messages":[]}').session is None
    assert read_request(_body(), with_session=False).session is None


@pytest.mark.parametrize("container", ["container_1", {"id": "container_1", "skills": []}])
def test_the_container_is_found(container: Any) -> None:
    """An id, or since skills an object with one."""
    assert read_request(_body(container=container)).container == "container_1"
    assert read_request(_body(container={"skills": []})).container is None


# ---- errors --------------------------------------------------------------------------------------


def _family(kind: type[HeadgateError] = HeadgateError) -> list[type[HeadgateError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in _family(below))]


@pytest.mark.parametrize("kind", [kind for kind in _family() if hasattr(kind, "code")])
def test_every_error_has_the_dialects_shape(kind: type[HeadgateError]) -> None:
    """Anthropic API reference, "Errors": type, error.type, error.message, request_id."""
    error = kind.__new__(kind)
    HeadgateError.__init__(error, "what — was wrong", hint="mend it")
    body = json.loads(write_error(error, request_id="hgr_1", extra={"attempts": 2}))
    assert (body["type"], body["request_id"]) == ("error", "hgr_1")
    inner = body["error"]
    assert (inner["type"], inner["code"]) == (error_type(kind.status), kind.code)
    assert (inner["message"], inner["hint"], inner["attempts"]) == ("what — was wrong", "mend it", 2)


def test_an_error_in_a_stream_is_an_event_of_one_line() -> None:
    event = write_stream_error(RequestTimedOut("a\nb"), request_id="hgr_1")
    name, data, *ends = event.split(b"\n")
    assert (name, ends) == (b"event: error", [b"", b""])
    assert msgspec.json.decode(data.removeprefix(b"data: "))["error"]["type"] == "timeout_error"


@pytest.mark.parametrize(
    "messages",
    [
        b"[" + b'"",' * 2_000_000 + b'""]',
        b'[{"role":"user","content":[' + b"{}," * 2_000_000 + b"{}]}]",
        b'[{"role":"user","content":"' + b'\\"' * 2_000_000 + b'"}]',
    ],
)
def test_an_opening_of_any_form_is_soon_looked_through(messages: bytes) -> None:
    """The gateway serves nobody else meanwhile. What is too long is still one conversation's."""
    body = b'{"model":"m","messages":' + messages
    began = time.process_time()
    facts = read_request(body + b"}")
    assert time.process_time() - began < 1.0
    assert facts.session is not None
    assert read_request(body[:-1] + b',{"role":"assistant","content":"x"}]}').session == facts.session
