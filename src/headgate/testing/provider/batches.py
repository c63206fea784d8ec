"""`/v1/messages/batches`: created, worked on for as long as the script says, then ended with results.

Source: https://platform.claude.com/docs/en/build-with-claude/batch-processing and its API reference.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from headgate.testing.provider.answer import ProviderError, error_body
from headgate.testing.provider.limits import rfc3339

_EXPIRES_AFTER_SECONDS = 24 * 3600
Reply = Callable[[dict[str, Any]], dict[str, Any]]


class Batch:
    """A batch ends `work_seconds` after its creation; a cancelled one at the next look."""

    def __init__(
        self, key: str, batch_id: str, requests: list[dict[str, Any]], now: float, work_seconds: float
    ) -> None:
        self.key, self.id, self._requests = key, batch_id, requests
        self._created_at, self._ends_at = now, now + work_seconds
        self._cancelled_at: float | None = None
        self._results: list[dict[str, Any]] | None = None

    def look(self, now: float, reply: Reply) -> None:
        """Do the work if its time has come."""
        if self._results is None and now >= self._ends_at:
            self._results = [self._result(request, reply) for request in self._requests]

    def _result(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        if self._cancelled_at is not None:
            return {"custom_id": request["custom_id"], "result": {"type": "canceled"}}
        try:
            result = {"type": "succeeded", "message": reply(request["params"])}
        except ProviderError as error:
            result = {"type": "errored", "error": msgspec.json.decode(error_body(error, None))}
        return {"custom_id": request["custom_id"], "result": result}

    def cancel(self, now: float) -> None:
        if self._results is not None:
            raise ProviderError(400, f"Batch {self.id} has already ended and cannot be canceled.")
        self._cancelled_at, self._ends_at = now, now

    @property
    def has_ended(self) -> bool:
        return self._results is not None

    def results(self) -> list[bytes]:
        """One JSON line for every request."""
        if self._results is None:
            raise ProviderError(404, f"Batch {self.id} has no available results: it has not ended.")
        return [msgspec.json.encode(result) + b"\n" for result in self._results]

    def to_shape(self, origin: str) -> dict[str, Any]:
        ended = self._results is not None
        return {
            "type": "message_batch",
            "id": self.id,
            "processing_status": "ended" if ended else "canceling" if self._cancelled_at else "in_progress",
            "request_counts": self._counts(),
            "created_at": _date(self._created_at),
            "expires_at": _date(self._created_at + _EXPIRES_AFTER_SECONDS),
            "ended_at": _date(self._ends_at) if ended else None,
            "archived_at": None,
            "cancel_initiated_at": _date(self._cancelled_at) if self._cancelled_at else None,
            "results_url": f"{origin}/v1/messages/batches/{self.id}/results" if ended else None,
        }

    def _counts(self) -> dict[str, int]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if self._results is None:
            counts["processing"] = len(self._requests)
        else:
            counts |= Counter(result["result"]["type"] for result in self._results)
        return counts


def read_batch_requests(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The `requests` of a create call: each with a `custom_id` of its own and `params`."""
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise ProviderError(400, "requests: Field required")
    for index, request in enumerate(requests):
        for name, kind in (("custom_id", str), ("params", dict)):
            if not isinstance(request, dict) or not isinstance(request.get(name), kind):
                raise ProviderError(400, f"requests.{index}.{name}: Field required")
    twice = [
        name for name, count in Counter(request["custom_id"] for request in requests).items() if count > 1
    ]
    if twice:
        raise ProviderError(400, f"requests: custom_id must be unique, found {twice[0]} more than once")
    return requests


def _date(seconds: float) -> str:
    return rfc3339(int(seconds)).decode()
