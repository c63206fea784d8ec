"""Where a request leads: from method and path to the answer, for one account."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from headgate.testing.provider.accounts import Account
from headgate.testing.provider.answer import Answer, ProviderError, json_answer
from headgate.testing.provider.batches import Batch, read_batch_requests
from headgate.testing.provider.completions import (
    as_message_request,
    check_completion_request,
    completion_answer,
)
from headgate.testing.provider.files import StoredFile, read_upload
from headgate.testing.provider.framing import Request
from headgate.testing.provider.limits import rfc3339
from headgate.testing.provider.messages import message, plain_answer, streamed_answer, whole_usage
from headgate.testing.provider.models import listed_models, model_info
from headgate.testing.provider.paging import cursor_page, id_page
from headgate.testing.provider.prompt import count_tokens
from headgate.testing.provider.requests import check_message_request, read_json
from headgate.testing.provider.script import Reply
from headgate.testing.provider.speech import Spoken, speak, wants_container

_CONTAINER_SECONDS = 3600
_JSON_LINES = b"application/x-jsonl"


@dataclass
class Call:
    """One request in the hands of the account that made it. `model` is noted for the books."""

    request: Request
    account: Account
    now: float
    origin: str
    model: str = ""
    body: dict[str, Any] = field(default_factory=dict)


class Routes:
    """The provider's objects and the routes that make, show and delete them."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._files: dict[str, StoredFile] = {}
        self._batches: dict[str, Batch] = {}

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_01Sim{next(self._numbers):019d}"

    def answer(self, call: Call) -> Answer:
        method, path = call.request.method, call.request.path
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v1", "messages"]:
                return self._create_message(call)
            case ["POST", "v1", "messages", "count_tokens"]:
                return self._count_tokens(call)
            case ["POST", "v1", "complete"]:
                return self._complete(call)
            case [_, "v1", "messages", "batches", *rest]:
                return self._batch_routes(call, method, rest)
            case [_, "v1", "files", *rest]:
                return self._file_routes(call, method, rest)
            case ["GET", "v1", "models"]:
                return json_answer(id_page(listed_models(call.account.models), call.request.query))
            case ["GET", "v1", "models", model]:
                if model not in call.account.models:
                    raise ProviderError(404, f"model: {model}")
                return json_answer(model_info(model))
        raise ProviderError(404, "Not found")

    # ---- messages ----

    def _create_message(self, call: Call) -> Answer:
        check_message_request(call.body, call.account.models)
        self._check_container(call)
        shape, spoken, reply = self._reply(call, call.body)
        if call.body.get("stream") is True:
            return streamed_answer(shape, spoken, reply)
        return plain_answer(shape)

    def _reply(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], Spoken, Reply]:
        reply = call.account.reply
        words = call.request.header(b"x-sim-words")
        spoken = speak(body, int(words) if words.isdecimal() else reply.words, reply.text)
        usage = whole_usage(call.account.prompt_cache.bill(body, call.now), spoken)
        call.account.spend(usage, call.now)
        container = self._container(call, body)
        return message(self._new_id("msg"), body["model"], spoken, usage, container), spoken, reply

    def _container(self, call: Call, body: dict[str, Any]) -> dict[str, Any] | None:
        if not wants_container(body):
            return None
        container_id = _container_id(body) or self._new_id("container")
        call.account.containers.add(container_id)
        return {"id": container_id, "expires_at": _date(call.now + _CONTAINER_SECONDS)}

    def _check_container(self, call: Call) -> None:
        wanted = _container_id(call.body)
        if wanted and wanted not in call.account.containers:
            raise ProviderError(404, f"Container not found: {wanted}")

    def _count_tokens(self, call: Call) -> Answer:
        check_message_request(call.body, call.account.models, needs_max_tokens=False)
        return json_answer({"input_tokens": count_tokens(call.body)})

    def _complete(self, call: Call) -> Answer:
        check_completion_request(call.body, call.account.models)
        asked = as_message_request(call.body)
        _, spoken, _ = self._reply(call, asked)
        return completion_answer(self._new_id("compl"), call.body, spoken)

    # ---- batches ----

    def _batch_routes(self, call: Call, method: str, rest: list[str]) -> Answer:
        match [method, *rest]:
            case ["POST"]:
                return self._create_batch(call)
            case ["GET"]:
                mine = [batch for batch in reversed(self._batches.values()) if batch.key == call.account.key]
                return json_answer(id_page([self._shape(call, batch) for batch in mine], call.request.query))
            case ["GET", batch_id]:
                return json_answer(self._shape(call, self._batch(call, batch_id)))
            case ["GET", batch_id, "results"]:
                batch = self._batch(call, batch_id)
                batch.look(call.now, lambda params: self._batch_reply(call, params))
                return Answer(200, batch.results(), _JSON_LINES, is_stream=True)
            case ["POST", batch_id, "cancel"]:
                batch = self._batch(call, batch_id)
                batch.cancel(call.now)
                return json_answer(batch.to_shape(call.origin))
            case ["DELETE", batch_id]:
                return self._delete_batch(call, batch_id)
        raise ProviderError(404, "Not found")

    def _create_batch(self, call: Call) -> Answer:
        requests = read_batch_requests(call.body)
        batch = Batch(
            call.account.key, self._new_id("msgbatch"), requests, call.now, call.account.batch_seconds
        )
        self._batches[batch.id] = batch
        return json_answer(batch.to_shape(call.origin))

    def _batch(self, call: Call, batch_id: str) -> Batch:
        batch = self._batches.get(batch_id)
        if batch is None or batch.key != call.account.key:
            raise ProviderError(404, f"Message batch not found: {batch_id}")
        return batch

    def _shape(self, call: Call, batch: Batch) -> dict[str, Any]:
        batch.look(call.now, lambda params: self._batch_reply(call, params))
        return batch.to_shape(call.origin)

    def _batch_reply(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:
        check_message_request(params, call.account.models)
        shape, _, _ = self._reply(call, params)
        shape["usage"]["service_tier"] = "batch"
        return shape

    def _delete_batch(self, call: Call, batch_id: str) -> Answer:
        if not self._batch(call, batch_id).has_ended:
            raise ProviderError(
                400, f"Message batch {batch_id} cannot be deleted while it is being processed."
            )
        del self._batches[batch_id]
        return json_answer({"id": batch_id, "type": "message_batch_deleted"})

    # ---- files ----

    def _file_routes(self, call: Call, method: str, rest: list[str]) -> Answer:
        match [method, *rest]:
            case ["POST"]:
                stored = read_upload(call.request, self._new_id("file"), _date(call.now))
                self._files[stored.metadata["id"]] = stored
                return json_answer(stored.metadata)
            case ["GET"]:
                mine = [
                    file.metadata for file in reversed(self._files.values()) if file.key == call.account.key
                ]
                return json_answer(cursor_page(mine, call.request.query))
            case ["GET", file_id]:
                return json_answer(self._file(call, file_id).metadata)
            case ["GET", file_id, "content"]:
                return self._file(call, file_id).download()
            case ["DELETE", file_id]:
                self._file(call, file_id)
                del self._files[file_id]
                return json_answer({"id": file_id, "type": "file_deleted"})
        raise ProviderError(404, "Not found")

    def _file(self, call: Call, file_id: str) -> StoredFile:
        stored = self._files.get(file_id)
        if stored is None or stored.key != call.account.key:
            raise ProviderError(404, f"File not found: {file_id}")
        return stored


def _container_id(body: dict[str, Any]) -> str:
    """`container` is an id, or an object that may hold one beside its skills."""
    container = body.get("container")
    if isinstance(container, dict):
        container = container.get("id")
    return container if isinstance(container, str) else ""


def read_call(call: Call) -> None:
    """Decode the body where it is JSON: the script's rules may ask for the model."""
    is_upload = call.request.path.startswith("/v1/files")
    if call.request.method == "POST" and call.request.body and not is_upload:
        call.body = read_json(call.request.body)
        model = call.body.get("model")
        call.model = model if isinstance(model, str) else ""


def _date(seconds: float) -> str:
    return rfc3339(int(seconds)).decode()
