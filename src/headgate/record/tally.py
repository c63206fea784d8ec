"""What the recorder has counted since it began, for `/metrics`: by few names, whatever clients send.

The relay pays nothing for it: the records are here anyway. A file beside the journal tells the gateway, as
`recorder.json` does, so that neither process ever waits for the other.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from headgate.clock import Clock
from headgate.record.events import Attempt, Record, RequestRecord
from headgate.storage.sums import Row, counts_of, is_of_a_batch

FILE_NAME = "tally.msgpack"
OTHER = "other"
"""Stands for every name beyond those that are kept apart."""
MOST_MODELS = 100
MOST_KEYS = 100
MOST_CODES = 100
MOST_PAIRS = 5_000
"""Accounts with outcomes: of a thousand accounts each may end in five ways."""

_FAST = (0.001, 0.0025, 0.005)
"""Answers of a cache, of a model next door."""
DURATION_BOUNDS = (*_FAST, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
FIRST_BYTE_BOUNDS = (*_FAST, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60)
STAGE_BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
TOKEN_BOUNDS = (16, 64, 256, 1_024, 4_096, 16_384, 65_536, 131_072, 262_144, 1_048_576)

_SECONDS_BETWEEN_SAVES = 0.5

Key = TypeVar("Key")


class Histogram(msgspec.Struct, array_like=True):
    """How many were in each bucket, the last of which has no upper bound, and their sum."""

    counts: list[int]
    sum: float = 0.0

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        self.counts[bisect_left(bounds, value)] += 1
        self.sum += value


class Stage(NamedTuple):
    """Seconds of one request, by what it waited for."""

    own: float
    """The gateway's own work before the first byte."""
    waiting: float
    """For a turn in the queue, and between attempts."""
    provider: float
    """For the providers' heads, those of failed attempts too."""
    body: float
    """From the first byte to the last."""


class Exports(msgspec.Struct, array_like=True):
    """Requests told to an OpenTelemetry collector."""

    sent: int = 0
    failed: int = 0
    """It did not take them."""
    dropped: int = 0
    """For want of room, while it was slow or away."""


class Tally(msgspec.Struct):
    """All counts begin with the process that keeps them."""

    pid: int
    batches: int = 0
    requests: dict[tuple[str, str, str], int] = {}
    """By provider, model and status as the client saw it."""
    errors: dict[tuple[str, str], int] = {}
    """By provider and code."""
    attempts: dict[tuple[str, str], int] = {}
    """By account and outcome: `served`, or the code of the failure."""
    rests: dict[tuple[str, str], int] = {}
    """How often a failed attempt took an account out, by account and code."""
    rotations: dict[tuple[str, str], int] = {}
    """How often a request moved on, by the account that was left and the code."""
    tokens: dict[tuple[str, str, str], int] = {}
    """By provider, model and kind."""
    nano_usd: dict[tuple[str, str], int] = {}
    unpriced: dict[tuple[str, str], int] = {}
    """Requests that used something whose cost nobody knows."""
    key_requests: dict[str, int] = {}
    key_tokens: dict[str, int] = {}
    key_nano_usd: dict[str, int] = {}
    durations: dict[tuple[str, str], Histogram] = {}
    """Seconds, by provider and model."""
    first_bytes: dict[tuple[str, str], Histogram] = {}
    """Seconds to the first byte of a streamed answer."""
    request_tokens: dict[tuple[str, str], Histogram] = {}
    """Tokens of one request, by provider and direction: `input` (with what the cache gave) or `output`."""
    stages: dict[str, Histogram] = {}
    """Seconds, by the fields of `Stage`."""
    exports: Exports = msgspec.field(default_factory=Exports)
    request_bytes: int = 0
    response_bytes: int = 0


class Counter:
    """Adds records up. One for the whole life of a recorder."""

    def __init__(self) -> None:
        self.tally = Tally(os.getpid())
        self._models: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._codes: dict[str, str] = {}

    def add(self, records: Iterable[Record], rows: Sequence[Row]) -> None:
        """Those of one batch, and the rows of `requests` that they became, which know tokens and money."""
        self.tally.batches += 1
        requests = [record for record in records if isinstance(record, RequestRecord)]
        for record, row in zip(requests, rows, strict=False):
            self._add_request(record, row)
        for row in rows[len(requests) :]:
            key = _kept(self._keys, row["caller"], MOST_KEYS)
            self._add_usage(row, (row["provider"], self._model_of(row)), key)

    def _add_request(self, record: RequestRecord, row: Row) -> None:
        tally, provider = self.tally, record.provider
        model = self._model_of(row)
        key = _kept(self._keys, record.caller, MOST_KEYS)
        _count(tally.requests, (provider, model, str(record.status)))
        _count(tally.key_requests, key)
        if record.error is not None or record.status >= 400:
            _count(tally.errors, (provider, self._code(record.error or f"status_{record.status}")))
        self._add_attempts(record.attempts)
        tally.request_bytes += record.request_bytes
        tally.response_bytes += record.response_bytes
        if record.usage is not None:
            self._add_usage(row, (provider, model), key)
        seconds = record.duration_ms / 1000
        _observe(tally.durations, (provider, model), seconds, DURATION_BOUNDS)
        if record.stream and record.status < 400 and record.first_byte_ms is not None:
            _observe(tally.first_bytes, (provider, model), record.first_byte_ms / 1000, FIRST_BYTE_BOUNDS)
        for stage, value in zip(Stage._fields, stages_of(record), strict=True):
            _observe(tally.stages, stage, value, STAGE_BOUNDS)

    def _add_attempts(self, attempts: tuple[Attempt, ...]) -> None:
        tally = self.tally
        before: Attempt | None = None
        for attempt in attempts:
            code = "served" if attempt.error is None else self._code(attempt.error)
            _count_pair(tally.attempts, attempt.account, code)
            if attempt.until_at is not None:
                _count_pair(tally.rests, attempt.account, code)
            if before is not None and before.account_id != attempt.account_id:
                _count_pair(tally.rotations, before.account, self._code(before.error or "no_answer"))
            before = attempt

    def _add_usage(self, row: Row, pair: tuple[str, str], key: str) -> None:
        tally = self.tally
        _, _, fresh, output, cache_read, cache_write, cost, unpriced = counts_of(row)
        kinds = (
            ("input", fresh),
            ("output", output),
            ("cache_read", cache_read),
            ("cache_write", cache_write),
        )
        for kind, tokens in kinds:
            if tokens:
                _count(tally.tokens, (*pair, kind), tokens)
        _count(tally.key_tokens, key, fresh + output + cache_read + cache_write)
        whole_input = fresh + cache_read + cache_write
        if not is_of_a_batch(row):  # whose tokens are those of many requests
            _observe(tally.request_tokens, (pair[0], "input"), whole_input, TOKEN_BOUNDS)
            _observe(tally.request_tokens, (pair[0], "output"), output, TOKEN_BOUNDS)
        if unpriced and (whole_input or output):
            _count(tally.unpriced, pair)
        elif row["nano_usd"] is not None:
            _count(tally.nano_usd, pair, cost)
            _count(tally.key_nano_usd, key, cost)

    def _model_of(self, row: Row) -> str:
        """A name that clients make up is none that counts: only one that a provider answered for."""
        model = row["model"]
        if model is None:
            return ""
        if (known := self._models.get(model)) is not None:
            return known
        if row["status"] >= 400 or row["account_id"] is None:
            return OTHER
        return _kept(self._models, model, MOST_MODELS)

    def _code(self, code: str) -> str:
        """Ours are few; a provider may call its errors anything."""
        return _kept(self._codes, code[:100], MOST_CODES)


def stages_of(record: RequestRecord) -> Stage:
    """Where its time went. What nobody measured belongs to the waiting."""
    first_byte = record.duration_ms if record.first_byte_ms is None else record.first_byte_ms
    provider = sum(attempt.duration_ms for attempt in record.attempts)
    own = min(record.overhead_ms, first_byte)
    waiting = max(0.0, first_byte - own - provider)
    body = max(0.0, record.duration_ms - first_byte)
    return Stage(own / 1000, waiting / 1000, provider / 1000, body / 1000)


def _kept(known: dict[str, str], name: str, most: int) -> str:
    if (kept := known.get(name)) is not None:
        return kept
    if len(known) >= most:
        return OTHER
    known[name] = name
    return name


def _count_pair(counts: dict[tuple[str, str], int], account: str, code: str) -> None:
    pair = (account, code)
    if pair not in counts and len(counts) >= MOST_PAIRS:
        pair = (OTHER, code)
    counts[pair] = counts.get(pair, 0) + 1


def _count(counts: dict[Key, int], key: Key, by: int = 1) -> None:
    counts[key] = counts.get(key, 0) + by


def _observe(found: dict[Key, Histogram], key: Key, value: float, bounds: tuple[float, ...]) -> None:
    histogram = found.get(key)
    if histogram is None:
        histogram = found[key] = Histogram([0] * (len(bounds) + 1))
    histogram.add(value, bounds)


class TallyFile:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE_NAME
        self._draft = folder / f".{FILE_NAME}.{os.getpid()}"
        self._clock = clock
        self._next_save = 0.0
        self._saved: object = None
        """What the file knows of; None: it is another recorder's."""

    def save(self, tally: Tally, *, at_once: bool = False) -> None:
        """What has changed, twice a second at most."""
        now = self._clock.monotonic()
        state = tally.batches, *msgspec.structs.astuple(tally.exports)
        if state == self._saved or (now < self._next_save and not at_once):
            return
        self._next_save = now + _SECONDS_BETWEEN_SAVES
        with suppress(OSError):  # the disk may be full: the old figures stand
            self._draft.write_bytes(msgspec.msgpack.encode(tally))
            self._draft.replace(self._path)
            self._saved = state


def read_tally(folder: Path, pid: int | None) -> Tally | None:
    """Of the recorder `pid`; None: it has counted nothing yet."""
    try:
        tally = msgspec.msgpack.decode((folder / FILE_NAME).read_bytes(), type=Tally)
    except (OSError, msgspec.DecodeError):
        return None
    return tally if tally.pid == pid else None
