"""Which fields travel on and which belong to one connection."""

import pytest

from headgate.wire.headers import HOP_BY_HOP, Headers, connection_options, find, forwardable


def test_the_first_of_a_name_is_found() -> None:
    """Or nothing, which is not the empty value."""
    headers = [(b"a", b"1"), (b"b", b""), (b"a", b"2")]
    assert (find(headers, b"a"), find(headers, b"b"), find(headers, b"c")) == (b"1", b"", None)


def test_order_and_repeats_are_kept() -> None:
    """Some fields mean something by both (RFC 9110, section 5.3)."""
    headers = [(b"via", b"1"), (b"x", b"y"), (b"via", b"2")]
    assert forwardable(headers, HOP_BY_HOP) == headers


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_what_belongs_to_one_connection_stays_there(name: bytes) -> None:
    """RFC 9110, section 7.6.1."""
    assert forwardable([(name, b"close"), (b"a", b"1")], HOP_BY_HOP) == [(b"a", b"1")]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([b"close"], [b"x-a", b"x-b", b"close"]),
        ([b"Keep-Alive, close"], [b"x-a", b"x-b", b"close"]),
        ([b"X-A"], [b"x-b", b"close"]),
        ([b"close , x-a,,", b"\tX-B"], [b"close"]),
        ([b""], [b"x-a", b"x-b", b"close"]),
    ],
)
def test_what_connection_names_stays_too(options: list[bytes], kept: list[bytes]) -> None:
    """In any case, over several fields; its own two words name no field."""
    headers: Headers = [(b"connection", option) for option in options]
    headers += [(b"x-a", b"1"), (b"x-b", b"2"), (b"close", b"3")]
    assert [name for name, _ in forwardable(headers, HOP_BY_HOP)] == kept


def test_what_the_caller_drops_is_dropped() -> None:
    """Beside the fields of the connection."""
    headers = [(b"x-api-key", b"secret"), (b"te", b"trailers"), (b"accept", b"*/*")]
    assert forwardable(headers, HOP_BY_HOP | {b"x-api-key"}) == [(b"accept", b"*/*")]


def test_connection_options_are_gathered_in_lower_case() -> None:
    """Over all fields of the name."""
    headers = [(b"connection", b"Upgrade, Keep-Alive"), (b"a", b"b"), (b"connection", b"X")]
    assert connection_options(headers) == {b"upgrade", b"keep-alive", b"x"}
    assert connection_options([]) == frozenset()
