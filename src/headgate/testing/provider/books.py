"""What this provider remembers of its traffic: counts, digests and usage of all, bytes of the last."""

import os
from base64 import b64encode
from collections import Counter, deque
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

_MAX_ENTRIES = 200_000
_MAX_KEPT_BYTES = 64 * 1024 * 1024


class Entry:
    """One request. Grows while its answer goes out; fully written: its last byte was handed to the socket."""

    __slots__ = (
        "_received",
        "_sent",
        "body_bytes",
        "digest",
        "fault",
        "is_finished",
        "is_fully_written",
        "keeps_bytes",
        "key",
        "model",
        "number",
        "path",
        "received_sha256",
        "request_head",
        "request_id",
        "sent_bytes",
        "sent_head",
        "status",
        "usage",
    )

    def __init__(self, number: int, request_id: str, *, keeps_bytes: bool) -> None:
        self.number, self.request_id, self.keeps_bytes = number, request_id, keeps_bytes
        self.key = self.path = self.model = self.fault = self.received_sha256 = ""
        self.status = self.body_bytes = self.sent_bytes = 0
        self.usage: dict[str, Any] | None = None
        self.is_finished = self.is_fully_written = False
        self.digest = sha256()
        self.request_head = self.sent_head = self._received = b""
        self._sent: list[bytes] = []

    def received(self, head: bytes, body: bytes) -> None:
        self.body_bytes = len(body)
        self.received_sha256 = sha256(body).hexdigest()
        if self.keeps_bytes:
            self.request_head, self._received = head, body

    def sent(self, body: bytes) -> None:
        """Body bytes that went to the socket, after content coding and before chunk framing."""
        self.sent_bytes += len(body)
        self.digest.update(body)
        if self.keeps_bytes:
            self._sent.append(body)

    @property
    def kept_bytes(self) -> int:
        return len(self._received) + self.sent_bytes if self.keeps_bytes else 0

    def forget_bytes(self) -> None:
        self.keeps_bytes = False
        self.request_head = self.sent_head = self._received = b""
        self._sent = []

    def to_row(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "request_id": self.request_id,
            "key": self.key,
            "path": self.path,
            "model": self.model,
            "status": self.status,
            "fault": self.fault,
            "usage": self.usage,
            "finished": self.is_finished,
            "fully_written": self.is_fully_written,
            "received_bytes": self.body_bytes,
            "received_sha256": self.received_sha256,
            "sent_bytes": self.sent_bytes,
            "sent_sha256": self.digest.hexdigest(),
        }

    def to_bytes_row(self) -> dict[str, Any]:
        """The row with the bytes themselves, in base64."""
        kept = {
            "head": self.request_head,
            "body": self._received,
            "sent_head": self.sent_head,
            "sent_body": b"".join(self._sent),
        }
        return self.to_row() | {name: b64encode(data).decode("ascii") for name, data in kept.items()}


class Books:
    """All entries, oldest dropped first; a file, when given, gets a JSON line for every finished request."""

    def __init__(self, path: Path | None) -> None:
        self.keeps_bytes = True
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if path else None
        self._clear()

    def _clear(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_MAX_ENTRIES)
        self._with_bytes: deque[Entry] = deque()
        self._kept_bytes = 0
        self._number = 0

    def reset(self) -> None:
        """Forget everything; the file is emptied too. Request numbers start again."""
        self._clear()
        if self._file is not None:
            os.ftruncate(self._file, 0)

    def open_entry(self, request_id: str) -> Entry:
        self._number += 1
        entry = Entry(self._number, request_id, keeps_bytes=self.keeps_bytes)
        self._entries.append(entry)
        return entry

    def close_entry(self, entry: Entry) -> None:
        """The answer is out, or broke off."""
        entry.is_finished = True
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(entry.to_row()) + b"\n")
        if not entry.keeps_bytes:
            return
        self._with_bytes.append(entry)
        self._kept_bytes += entry.kept_bytes
        while self._kept_bytes > _MAX_KEPT_BYTES:
            oldest = self._with_bytes.popleft()
            self._kept_bytes -= oldest.kept_bytes
            oldest.forget_bytes()

    def summary(self, *, with_requests: bool) -> dict[str, Any]:
        keys: dict[str, dict[str, Any]] = {}
        for entry in self._entries:
            page = keys.setdefault(
                entry.key, {"requests": 0, "fully_written": 0, "statuses": Counter(), "usage": Counter()}
            )
            page["requests"] += 1
            page["fully_written"] += entry.is_fully_written
            page["statuses"][str(entry.status)] += 1
            page["usage"].update({k: v for k, v in (entry.usage or {}).items() if isinstance(v, int)})
        requests = {entry.request_id: entry.to_row() for entry in self._entries} if with_requests else {}
        return {"count": self._number, "keys": keys, "requests": requests}

    def received(self, after: int) -> list[dict[str, Any]]:
        """Requests numbered above `after`, oldest first, with their bytes as far as they are kept."""
        oldest = self._entries[0].number if self._entries else 1
        newer = islice(self._entries, max(0, after + 1 - oldest), None)
        return [entry.to_bytes_row() for entry in newer]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
