"""An answer turned into steps for the socket: pure, so every fault can be read here byte by byte."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from headgate.testing.provider.answer import Answer
from headgate.testing.provider.script import Pacing, Rule

_LAST_CHUNK = b"0\r\n\r\n"
_BIG_HEADER_BYTES = 8 * 1024
_GARBAGE = b"\x00\xff\xfe<<< this is not HTTP >>>\x80\r\r\n\n\x00" * 4


class Ending(Enum):
    """What happens to the connection behind the last step."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(slots=True)
class Step:
    """Wait, then write. `body` are the body bytes inside `wire`; `usage` is what they tell a reader."""

    wire: bytes
    body: bytes = b""
    wait_ms: float = 0.0
    usage: dict[str, Any] | None = None


@dataclass(slots=True)
class Delivery:
    head: bytes
    steps: list[Step] = field(default_factory=list)
    ending: Ending = Ending.KEEP
    is_complete: bool = True
    first_byte_ms: float = 0.0
    splits_writes: bool = False
    head_in_steps: bool = False
    answers_per_connection: int | None = None

    @property
    def is_immediate(self) -> bool:
        """Nothing to wait for: the whole answer may leave in one write."""
        return (
            self.ending is Ending.KEEP
            and self.first_byte_ms == 0
            and not any(step.wait_ms for step in self.steps)
            and not self.splits_writes
        )


def head_bytes(answer: Answer, length: int | None) -> bytes:
    """Status line and header lines; `length` None announces chunks."""
    lines = [answer.status_line(), b"content-type: ", answer.content_type, b"\r\n"]
    if length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    else:
        lines.append(b"content-length: %d\r\n" % length)
    for name, value in answer.headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def plan(answer: Answer, pacing: Pacing, *, write_bytes: int = 0, is_head: bool = False) -> Delivery:
    """The answer as it should be."""
    if not answer.is_stream:
        body = b"".join(answer.parts)
        delivery = Delivery(head_bytes(answer, len(body)), first_byte_ms=pacing.first_byte_ms)
        if not is_head:
            delivery.steps = [Step(body, body, usage=answer.usages.get(0))]
    else:
        delivery = Delivery(head_bytes(answer, None), first_byte_ms=pacing.first_byte_ms)
        delivery.steps = [
            Step(chunk(part), part, pacing.event_ms if index else 0.0, answer.usages.get(index))
            for index, part in enumerate(answer.parts)
        ]
        delivery.steps.append(Step(_LAST_CHUNK))
    return _in_small_writes(delivery, write_bytes) if write_bytes else delivery


def _in_small_writes(delivery: Delivery, size: int) -> Delivery:
    """Cut the wire bytes every `size` bytes, wherever that falls; each piece is its own write."""
    pieces: list[Step] = []
    for step in delivery.steps:
        starts = range(0, max(len(step.wire), 1), size)
        pieces += [Step(step.wire[start : start + size]) for start in starts]
        pieces[-1].body, pieces[-1].usage = step.body, step.usage
    delivery.steps, delivery.splits_writes = pieces, True
    return delivery


def with_fault(delivery: Delivery, rule: Rule, *, is_stream: bool) -> Delivery:
    """The same answer, gone wrong the way `rule` says."""
    match rule.fault:
        case "hang":
            return _hang(delivery, rule)
        case "cut":
            return _cut(delivery, rule, is_stream=is_stream)
        case "drip":
            return _drip(delivery, rule)
        case "garbage":
            return _garbage(delivery, rule)
        case "wrong_length":
            return _wrong_length(delivery, rule, is_stream=is_stream)
        case "big_headers":
            return _big_headers(delivery, rule)
        case _:
            return delivery


def refuse() -> Delivery:
    return Delivery(b"", ending=Ending.RESET, is_complete=False)


def _hang(delivery: Delivery, rule: Rule) -> Delivery:
    """No answer, a head without a body, or silence after some events."""
    head = delivery.head if rule.stage in ("body", "mid_body") else b""
    steps = delivery.steps[: _event(delivery, rule)] if rule.stage == "mid_body" else []
    return Delivery(head, steps, Ending.STALL, is_complete=False, first_byte_ms=delivery.first_byte_ms)


def _event(delivery: Delivery, rule: Rule) -> int:
    """Which step a fault in the middle strikes: the one asked for, else the middle one."""
    wanted = len(delivery.steps) // 2 if rule.event is None else rule.event
    return max(0, min(wanted, len(delivery.steps) - 1))


def _cut(delivery: Delivery, rule: Rule, *, is_stream: bool) -> Delivery:
    ending = Ending.RESET if rule.ending == "reset" else Ending.CLOSE
    cut = Delivery(delivery.head, [], ending, is_complete=False, first_byte_ms=delivery.first_byte_ms)
    if rule.stage == "head":
        cut.head = delivery.head[: len(delivery.head) // 2]
    elif rule.stage == "body":
        pass
    elif not is_stream:
        body = delivery.steps[0].body
        cut.steps = [_piece(body[: _inside(body, rule)], framed=False)]
    elif rule.stage == "before_message_stop":
        cut.steps = delivery.steps[:-2]
    else:
        cut.steps = _cut_stream(delivery.steps, rule)
    if rule.ending == "clean" and is_stream:
        cut.steps.append(Step(_LAST_CHUNK))
        cut.ending = Ending.KEEP
    return cut


def _cut_stream(steps: list[Step], rule: Rule) -> list[Step]:
    events = steps[:-1]
    index = _struck_event(events, rule)
    event = events[index].body
    kept = event[: _inside(event, rule)]
    if rule.stage == "mid_chunk":
        last = Step(chunk(event)[: len(b"%x\r\n" % len(event)) + len(kept)], kept)
    elif rule.stage == "mid_body":
        return events[:index]
    else:
        last = _piece(kept, framed=True)
    return [*events[:index], last]


def _struck_event(events: list[Step], rule: Rule) -> int:
    """The event asked for, else the middle one; to cut a character the nearest that has a long one."""
    index = max(0, min(len(events) // 2 if rule.event is None else rule.event, len(events) - 1))
    if rule.stage == "mid_utf8":
        wide = [n for n, step in enumerate(events) if _first_wide(step.body) is not None]
        index = min(wide, key=lambda n: abs(n - index), default=index)
    return index


def _first_wide(data: bytes) -> int | None:
    """Where the first multi-byte UTF-8 sequence starts."""
    return next((n for n, byte in enumerate(data) if byte >= 0xC0), None)


def _inside(data: bytes, rule: Rule) -> int:
    wide = _first_wide(data) if rule.stage == "mid_utf8" else None
    return len(data) // 2 if wide is None else wide + 1


def _piece(data: bytes, *, framed: bool) -> Step:
    return Step(chunk(data) if framed and data else data, data)


def _drip(delivery: Delivery, rule: Rule) -> Delivery:
    """Head and body in pieces of `bytes` bytes, `delay_ms` apart."""
    whole = [Step(delivery.head), *delivery.steps]
    dripping = Delivery(delivery.head, whole, first_byte_ms=delivery.first_byte_ms, head_in_steps=True)
    _in_small_writes(dripping, max(1, rule.bytes))
    for step in dripping.steps:
        step.wait_ms = rule.delay_ms
    return dripping


def _garbage(delivery: Delivery, rule: Rule) -> Delivery:
    """Bytes that are no HTTP: instead of the head, or among the body's framing."""
    if rule.stage != "body":
        return Delivery(_GARBAGE, [], Ending.CLOSE, is_complete=False)
    kept = delivery.steps[: _event(delivery, rule)]
    return Delivery(delivery.head, [*kept, Step(_GARBAGE)], Ending.CLOSE, is_complete=False)


def _wrong_length(delivery: Delivery, rule: Rule, *, is_stream: bool) -> Delivery:
    """A Content-Length that is `by` bytes more (or, negative, fewer) than what follows; then the end."""
    bodies = [Step(step.body, step.body, step.wait_ms, step.usage) for step in delivery.steps]
    length = max(0, sum(len(step.body) for step in bodies) + rule.by)
    framing = b"transfer-encoding: chunked" if is_stream else b"content-length: "
    before, _, after = delivery.head.partition(framing)
    rest = after if is_stream else after[after.index(b"\r\n") :]
    head = before + b"content-length: %d" % length + rest
    return Delivery(head, bodies, Ending.CLOSE, is_complete=False, first_byte_ms=delivery.first_byte_ms)


def _big_headers(delivery: Delivery, rule: Rule) -> Delivery:
    """`bytes` bytes of additional header lines."""
    count, rest = divmod(rule.bytes, _BIG_HEADER_BYTES)
    sizes = [_BIG_HEADER_BYTES] * count + ([rest] if rest else [])
    lines = b"".join(b"x-filler-%d: %b\r\n" % (n, b"f" * size) for n, size in enumerate(sizes))
    delivery.head = delivery.head[:-2] + lines + b"\r\n"
    return delivery
