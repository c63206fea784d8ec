import pytest

from headgate.access.client_keys import ClientKey, digest_of
from headgate.access.hosts import Doors, without_port

KEY = ClientKey(id=0, name="a.test", digest=digest_of("k"), is_declared=True, hosts=("a.test", "*.b.test"))
DOORS = Doors({"a.test": "one", "open.test": "two", "*.b.test": "three", "*": None}, [KEY])


def test_a_port_does_not_count() -> None:
    assert [without_port(one) for one in ("a:1", "[::1]:2", "::1", "a:b")] == ["a", "::1", "::1", "a:b"]


@pytest.mark.parametrize(
    ("host", "pattern", "asks_for_key", "is_named_in_full"),
    [
        (b"A.test.:80", "a.test", True, True),
        (b"open.test", "open.test", False, True),
        (b"x.b.test", "*.b.test", True, False),
        (b"x.open.test", "*", False, False),
    ],
)
def test_what_a_client_meets_at_a_host(
    host: bytes, pattern: str, asks_for_key: bool, is_named_in_full: bool
) -> None:
    """The nearest file counts; only a file of the very name says whose name it is."""
    door = DOORS.of([(b"host", host)])
    assert door is not None
    assert (door.pattern, door.asks_for_key, door.is_named_in_full) == (
        pattern,
        asks_for_key,
        is_named_in_full,
    )


def test_a_host_without_a_file_has_no_door() -> None:
    assert DOORS.of([]) is None
    assert Doors({"a.test": "one"}).of([(b"host", b"b.test")]) is None


def test_accounts_behind_a_key_are_known() -> None:
    assert [DOORS.guards(name) for name in ("one", "two", "three", "four")] == [True, False, True, False]
