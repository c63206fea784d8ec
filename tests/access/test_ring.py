"""The ring after any changes is the ring that was made of what there is now."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.client_keys import ClientKey, digest_of
from headgate.access.hosts import Doors
from headgate.access.ring import KeyRing
from headgate.errors import InvalidClientKey

NOW = 1_700_000_000.0
DIGESTS = [digest_of(f"key {number}") for number in range(5)]
MISSING = object()


def key(key_id: int, digest: bytes, **fields: Any) -> ClientKey:
    return ClientKey(id=key_id, name=f"name{key_id}", digest=digest, first_used_at=1.0, **fields)


# No two keys of the database have the same digest: that is its constraint.
stored_keys = st.builds(
    lambda number, revoked, declared, previous, enabled: key(
        number + 1,
        DIGESTS[number],
        revoked_at=1.0 if revoked else None,
        is_declared=declared,
        previous_digest=digest_of(f"old {number}") if previous else None,
        previous_until=NOW + 10 if previous else None,
        is_enabled=enabled,
    ),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
steps = st.one_of(
    st.tuples(st.just("put"), stored_keys),
    st.tuples(st.just("drop"), st.integers(1, 5)),
    st.tuples(st.just("declare"), st.sets(st.sampled_from(DIGESTS))),
    st.tuples(st.just("doors"), st.dictionaries(st.sampled_from(DIGESTS), st.sampled_from("ab"))),
)


def doors_with(keys: dict[bytes, str]) -> Doors:
    """Keys of the files of hosts: digest -> host."""
    return Doors({}, [of_host(digest, host) for digest, host in keys.items()])


def of_host(digest: bytes, host: str) -> ClientKey:
    return ClientKey(id=0, name=f"of-{digest.hex()[:4]}", digest=digest, is_declared=True, hosts=(host,))


@given(st.lists(steps, max_size=25))
def test_changes_lead_to_what_a_new_ring_would_hold(changes: list[tuple[str, Any]]) -> None:
    ring, stored, declared, doors = KeyRing(), dict[int, ClientKey](), list[bytes](), doors_with({})
    for what, value in changes:
        if what == "put":
            stored[value.id] = value
            ring.put({value.id: value})
        elif what == "drop":
            stored.pop(value, None)
            ring.put({value: None})
        elif what == "doors":
            doors = doors_with(value)
            ring.follow_doors(doors)
        else:
            declared = sorted(value)
            ring.declare(declared)
    new = KeyRing()
    new.follow_doors(doors)
    new.declare(declared)
    new.replace(stored.values())
    for digest in [*DIGESTS, *(digest_of(f"old {number}") for number in range(5))]:
        assert ring.find(digest, NOW) == new.find(digest, NOW)
    assert ring.keys == new.keys
    assert (ring.is_empty, ring.has_stored) == (new.is_empty, new.has_stored)
    for one in new.keys:
        assert ring.by_name(one.name) == one


def test_the_last_key_leaves_the_door_shut() -> None:
    ring = KeyRing()
    assert ring.is_empty
    ring.put({1: key(1, DIGESTS[0])})
    ring.put({1: key(1, DIGESTS[0], revoked_at=NOW)})
    assert not ring.is_empty
    assert ring.keys == []


def test_a_key_is_looked_at_again_as_it_is_now() -> None:
    """For callers that were let in before: every way in which a key ends is seen."""
    ring, first = KeyRing(), key(1, DIGESTS[0])
    ring.put({1: first})
    assert ring.check(first, DIGESTS[0], NOW) is first
    for ended in (
        replace(first, is_enabled=False),
        replace(first, expires_at=NOW),
        replace(first, days_from_first_use=1),
        replace(first, revoked_at=NOW - 1),
        replace(first, digest=DIGESTS[1]),
        replace(first, digest=DIGESTS[1], previous_digest=DIGESTS[0], previous_until=NOW),
    ):
        ring.put({1: ended})
        with pytest.raises(InvalidClientKey):
            ring.check(first, DIGESTS[0], NOW)
    overlapping = replace(first, digest=DIGESTS[1], previous_digest=DIGESTS[0], previous_until=NOW + 1)
    ring.put({1: overlapping})
    assert ring.check(first, DIGESTS[0], NOW) is overlapping


def test_a_first_use_is_told_until_the_ring_knows_it() -> None:
    told: list[int] = []
    ring = KeyRing(on_first_use=lambda one: told.append(one.id))
    unused = replace(key(1, DIGESTS[0]), first_used_at=None, days_from_first_use=1)
    ring.put({1: unused})
    ring.check(unused, DIGESTS[0], NOW)
    ring.check(unused, DIGESTS[0], NOW)
    ring.put({1: replace(unused, first_used_at=NOW)})
    ring.check(unused, DIGESTS[0], NOW)
    assert told == [1, 1]


def test_a_key_of_a_file_opens_its_host_alone() -> None:
    """As long as it stands there, with a row or without; one of the database with that secret opens all."""
    ring, here, there = KeyRing(), [(b"host", b"a:80")], [(b"host", b"b")]
    unnamed = of_host(DIGESTS[0], "a")
    row = key(1, DIGESTS[0], is_declared=True)
    ring.follow_doors(doors_with({DIGESTS[0]: "a"}))
    for stored in ({}, {1: row}):
        ring.put(stored)
        found = ring.find(DIGESTS[0], NOW)
        assert found is not None
        assert (ring.opens(found, here), ring.opens(found, there), ring.opens(found, [])) == (
            True,
            False,
            False,
        )
        assert ring.check(found, DIGESTS[0], NOW) is found
        assert (ring.is_empty, ring.has_stored, [one.id for one in ring.keys]) == (True, False, [found.id])
    ring.follow_doors(doors_with({DIGESTS[0]: "b"}))
    assert ring.opens(ring.check(unnamed, DIGESTS[0], NOW), there)
    ring.follow_doors(None)
    assert ring.find(DIGESTS[0], NOW) is None
    for earlier in (unnamed, row, found):
        with pytest.raises(InvalidClientKey):
            ring.check(earlier, DIGESTS[0], NOW)
    ring.follow_doors(doors_with({DIGESTS[0]: "a"}))
    ring.put({1: replace(row, is_declared=False)})
    everywhere = ring.find(DIGESTS[0], NOW)
    assert everywhere is not None
    assert (ring.opens(everywhere, there), ring.is_empty, ring.has_stored) == (True, False, True)


def test_a_revoked_key_is_not_opened_by_a_file() -> None:
    ring = KeyRing()
    ring.put({1: key(1, DIGESTS[0], revoked_at=NOW)})
    ring.follow_doors(doors_with({DIGESTS[0]: "a"}))
    found = ring.find(DIGESTS[0], NOW)
    assert found is not None
    assert (found.status(NOW), ring.keys) == ("revoked", [])
