"""The bounded copy of what passes."""

from headgate.relay.tape import Held, Overhearing, Tape


class Meter:
    def __init__(self) -> None:
        self.heard = b""

    def feed(self, data: bytes) -> None:
        self.heard += data


def tape_of(held: Held, *, limit: int = 10, request: bytes | None = b"asked") -> Tape:
    return Tape(limit, held, request, 5, None)


def test_no_more_than_its_limit_is_held() -> None:
    """All is counted, and all goes on to the meter."""
    held, meter = Held(100), Meter()
    tape = tape_of(held)
    listener = Overhearing(meter, tape, "a")
    for piece in (b"123456", b"789012", b"345"):
        listener.feed(piece)
    assert (bytes(tape.answer), tape.size, tape.error) == (b"1234567890", 15, None)
    assert meter.heard == b"123456789012345"
    assert held.used == 10
    tape.let_go()
    tape.let_go()
    assert held.used == 0


def test_all_together_have_a_limit() -> None:
    """A request that finds no room is left out; an answer is kept as far as it came."""
    held = Held(12)
    first, second = tape_of(held), tape_of(held)
    first.hold_request()
    second.hold_request()
    first.feed(b"1")
    first.feed(b"234")
    assert (bytes(first.answer), first.size, first.error) == (b"1", 4, "memory")
    first.feed(b"5")
    assert bytes(first.answer) == b"1"
    third = tape_of(held)
    third.hold_request()
    assert (third.request, third.request_error) == (None, "memory")
    for tape in (first, second, third):
        tape.let_go()
    assert held.used == 0


def test_a_fault_in_the_copy_reaches_nobody() -> None:
    class Faulty(Tape):
        def feed(self, piece: bytes) -> None:
            raise LookupError(piece)

    meter = Meter()
    tape = Faulty(10, Held(100), None, 0, None)
    listener = Overhearing(meter, tape, "a")
    listener.feed(b"one")
    listener.feed(b"two")
    assert meter.heard == b"onetwo"
    assert tape.error == "stream_tee"
