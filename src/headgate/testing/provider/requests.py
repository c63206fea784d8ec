"""Reading and checking a request body, with the refusals in the real provider's words.

Source of the error shape: https://platform.claude.com/docs/en/api/errors; the messages are those that
callers of the API report.
"""

from typing import Any

import msgspec

from headgate.testing.provider.answer import ProviderError

_NEWEST_MAX_TOKENS = 128_000
_ROLES = ("user", "assistant", "system")


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object. Deep nesting, bad UTF-8 and lone surrogates are refused as broken JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(400, f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProviderError(400, "Input should be a valid dictionary or object to extract fields from")
    return value


def check_message_request(
    body: dict[str, Any], models: frozenset[str], *, needs_max_tokens: bool = True
) -> None:
    """Refuse what the Messages API refuses; then `model`, `messages` and `max_tokens` can be relied on."""
    _require(body, "model", str, "a valid string")
    _require(body, "messages", list, "a valid list")
    if needs_max_tokens:
        _require(body, "max_tokens", int, "a valid integer")
        _check_max_tokens(body)
    if not body["messages"]:
        raise ProviderError(400, "messages: at least one message is required")
    for index, message in enumerate(body["messages"]):
        _check_message(index, message)
    if not isinstance(body.get("stream", False), bool):
        raise ProviderError(400, "stream: Input should be a valid boolean")
    _check_shapes(body)
    if body["model"] not in models:
        raise ProviderError(404, f"model: {body['model']}")


def _require(body: dict[str, Any], name: str, kind: type, said: str) -> None:
    if name not in body:
        raise ProviderError(400, f"{name}: Field required")
    if not isinstance(body[name], kind) or isinstance(body[name], bool):
        raise ProviderError(400, f"{name}: Input should be {said}")


def _check_max_tokens(body: dict[str, Any]) -> None:
    if body["max_tokens"] < 1:
        raise ProviderError(400, "max_tokens: Input should be greater than or equal to 1")
    if body["max_tokens"] > _NEWEST_MAX_TOKENS:
        raise ProviderError(
            400,
            f"max_tokens: {body['max_tokens']} > {_NEWEST_MAX_TOKENS}, which is the maximum allowed "
            f"number of output tokens for {body['model']}",
        )


def _check_message(index: int, message: Any) -> None:
    where = f"messages.{index}"
    if not isinstance(message, dict):
        raise ProviderError(400, f"{where}: Input should be a valid dictionary")
    if message.get("role") not in _ROLES:
        raise ProviderError(400, f"{where}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if content is None:
        raise ProviderError(400, f"{where}.content: Field required")
    if not isinstance(content, str | list):
        raise ProviderError(400, f"{where}.content: Input should be a valid list")
    if content == "" or content == []:
        raise ProviderError(400, f"{where}: user messages must have non-empty content")
    for position, block in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise ProviderError(400, f"{where}.content.{position}.type: Field required")


def _check_shapes(body: dict[str, Any]) -> None:
    """Optional fields whose shape the rest of the simulator relies on."""
    shapes: dict[str, tuple[type, ...]] = {
        "system": (str, list),
        "tools": (list,),
        "thinking": (dict,),
        "tool_choice": (dict,),
        "stop_sequences": (list,),
    }
    for name, kinds in shapes.items():
        if body.get(name) is not None and not isinstance(body[name], kinds):
            raise ProviderError(400, f"{name}: Input should be a valid {kinds[-1].__name__}")
    for index, sequence in enumerate(body.get("stop_sequences") or ()):
        if not isinstance(sequence, str):
            raise ProviderError(400, f"stop_sequences.{index}: Input should be a valid string")
