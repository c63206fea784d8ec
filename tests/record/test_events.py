from typing import Any

import msgspec
import pytest

from headgate.record.events import HealthRecord, ObjectRecord, Record, Skipped, SpanRecord, decode, encode
from tests.record.samples import attempt, request

USAGE = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "record",
    [
        request("a", attempts=(attempt("x", until_at=1.5), attempt("y", status=None, error="e"))),
        request("b", usage=None, account=None, account_id=None, attempts=()),
        request("c", attempts=(), skipped=Skipped((("work", "paused"), ("team", "billing")), more=4)),
        HealthRecord(1, "work", 5, {"until": float("inf"), "models": {"m": [1, None]}}),
        ObjectRecord("file_1", 1, 5),
        SpanRecord(bytes(16), b"{}", 2, "anthropic", True),
    ],
)
def test_a_record_reads_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    "newer",
    range(1, 7),
    ids=["domain", "apart", "spans", "key_id", "skipped", "provider_request_id"],
)
def test_a_journal_of_an_older_version_still_reads(newer: int) -> None:
    """Fields with a default were added at the end: an array without them is whole."""
    fields: list[Any] = msgspec.msgpack.decode(encode(request("a", provider_request_id=None)))
    assert decode(msgspec.msgpack.encode(fields[:-newer])) == request("a")


def test_usage_of_an_older_version_still_reads() -> None:
    """It had five counts."""
    fields: list[Any] = msgspec.msgpack.decode(encode(request("a")))
    place = next(at for at, one in enumerate(fields) if isinstance(one, list) and one[:5] == USAGE)
    fields[place] = USAGE
    assert decode(msgspec.msgpack.encode(fields)) == request("a")


def test_a_journal_of_a_newer_version_reads_what_we_know() -> None:
    fields: list[Any] = msgspec.msgpack.decode(encode(request("a")))
    assert decode(msgspec.msgpack.encode([*fields, "new", 1])) == request("a")
    fields = msgspec.msgpack.decode(encode(request("a", skipped=Skipped((("work", "paused"),)))))
    fields[-8].append({"new": 1})
    assert decode(msgspec.msgpack.encode(fields)) == request("a", skipped=Skipped((("work", "paused"),)))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\xa6future", msgspec.msgpack.encode(["request", "a"])])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)
