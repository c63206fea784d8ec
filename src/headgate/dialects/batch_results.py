"""The results of a batch: one JSON line for each of its requests, maybe gigabytes of them.

Source: Anthropic API reference, "Retrieve Message Batch results" (`application/x-jsonl`; `custom_id`, and a
`result` that is `succeeded` with a `message`, or `errored`, `canceled`, `expired`: these cost nothing) and
"Batch processing" (everything at the price of batches).
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from headgate.dialects.anthropic_meter import ANTHROPIC, read_result
from headgate.dialects.meters import Deaf, Meter, listen
from headgate.dialects.parts import Sums, sum_of
from headgate.dialects.usage import Usage, shares_of
from headgate.wire.coding import IDENTITY, CodingError, Decoder, decoder_for

TIER = "batch"
_PATH = re.compile(r"/v1/messages/batches/([A-Za-z0-9_-]{1,128})/results/?")

_MAX_LINE = 8 * 1_048_576
"""A longer line is passed over. A message of a model is far below."""
_CODED_STEP = 16_384
"""Coded bytes undone at once: what they swell to has a bound."""
_OTHER_TIERS = frozenset({None, "standard"})
"""A provider in between may leave out what is true of all results."""


def batch_of(path: str) -> str | None:
    """The id of the batch whose results lie there; None: it is another path."""
    found = _PATH.fullmatch(path)
    return None if found is None else found[1]


def results_meter_for(fields: Mapping[bytes, bytes]) -> Meter:
    """As `listen`, but what is no JSON is lines of it. Some part of the lines (`Range`) is not counted."""
    if fields.get(b"content-type", b"").startswith(b"application/json"):
        return listen(fields, ANTHROPIC)
    decoder = decoder_for(fields.get(b"content-encoding", b""), is_bounded=False)
    return Deaf() if decoder is None or b"content-range" in fields else ResultsMeter(decoder)


class ResultsMeter:
    """Holds one line and the sums of those before, however many there are."""

    has_event = True
    error_data: bytes | None = None
    error_type: str | None = None
    on_text: Callable[[bytes], None] | None = None
    """Never called: gigabytes are not searched for ids."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder: Decoder | None = decoder
        self._line = bytearray()
        """The one that has begun."""
        self._is_too_long = False
        self._sums = Sums()
        self._requests = 0

    def feed(self, data: bytes) -> None:
        if self._decoder is IDENTITY:
            self._take(data)
            return
        for start in range(0, len(data), _CODED_STEP):
            if self._decoder is None:
                return
            try:
                self._take(self._decoder.feed(data[start : start + _CODED_STEP]))
            except CodingError:
                self._decoder = None

    def _take(self, plain: bytes) -> None:
        first, *others = plain.split(b"\n")
        self._extend(first)
        for line in others:
            self._end_line()
            self._extend(line)

    def _extend(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > _MAX_LINE:
            self._is_too_long = True
        if self._is_too_long:
            self._line.clear()
        else:
            self._line += piece

    def _end_line(self) -> None:
        line, self._line = self._line, bytearray()
        if self._is_too_long:
            self._is_too_long = False
        elif b'"usage"' in line:
            self._count(bytes(line))

    def _count(self, line: bytes) -> None:
        model, usage = read_result(line)
        if usage is None:
            return
        self._requests += 1
        if usage.service_tier in _OTHER_TIERS:
            usage = msgspec.structs.replace(usage, service_tier=TIER)
        if usage.parts is None:
            self._sums.add(model, usage)
            return
        for part in shares_of(usage):
            self._sums.add(part.model or model, msgspec.structs.replace(part.usage, service_tier=TIER))

    def finish(self) -> Usage | None:
        """A line that was cut is none: it does not parse."""
        self._end_line()
        if not self._requests:
            return None
        whole = sum_of(self._sums.parts())
        return msgspec.structs.replace(whole, service_tier=TIER, requests=self._requests)
