"""Chains that are kept say what chains from the start say, whatever came between."""

import random
from collections.abc import Sequence

import msgspec

from headgate.conversation.chain import MOST_PLACES, Chain
from headgate.conversation.chains import Chains
from headgate.conversation.facts import HASH_BYTES, Facts, facts_of, opaque
from headgate.conversation.turns import Call, Result, Text, Turn
from tests.conversation.linked import chain_of

SCOPE = b"s" * HASH_BYTES


class Told:
    """Messages by their hashes, as the recorder has them."""

    def __init__(self) -> None:
        self.facts: dict[bytes, Facts] = {}
        self.gaps: set[bytes] = set()

    def message(self, turn: Turn, *, variant: int = 0) -> bytes:
        """Its hash. `variant`: bytes that say the same in another way."""
        key = opaque(msgspec.msgpack.encode((turn, variant))).units
        self.facts[key] = facts_of(turn)
        return key

    def gap(self, number: int) -> bytes:
        key = number.to_bytes(HASH_BYTES, "big")
        self.gaps.add(key)
        return key

    def from_the_start(self, history: Sequence[bytes], scope: bytes = SCOPE) -> Chain:
        return chain_of([self.facts.get(key) or opaque(key) for key in history], scope)


def said(number: int, role: str = "user") -> Turn:
    return Turn(role, (Text(f"words {number}"),))


def test_a_conversation_with_marks_that_move_forks_and_repeated_ids_has_the_chains_of_a_fresh_start() -> None:
    told, chains, chance = Told(), Chains(), random.Random(7)

    def turn(number: int) -> bytes:
        kind = chance.randrange(4)
        if kind == 0:  # an id that comes again is left out
            made = Turn(
                "assistant", (Call(f"call {chance.randrange(3)}", "Task", {"prompt": f"do {number}"}),)
            )
        elif kind == 1:
            made = Turn(
                "user", (Result(f"call {chance.randrange(3)}", (Text("done"),)), Text(f"and {number}"))
            )
        else:
            made = said(number, chance.choice(["user", "assistant", "system"]))
        return told.message(made, variant=chance.randrange(2))

    histories = [[turn(0), turn(1)] for _ in range(3)]
    for number in range(2, 600):
        which = chance.randrange(len(histories))
        history = histories[which]
        if chance.random() < 0.1:
            history = history[: max(1, len(history) - chance.randrange(25))]  # a fork, or begun anew
        if chance.random() < 0.02:
            history = [*history, told.gap(number)]
        history = history + [turn(number) for _ in range(chance.randrange(3))]
        histories[which] = history
        hashes = b"".join(history)
        scope = chance.choice([SCOPE, b"t" * HASH_BYTES])
        assert chains.chain(scope, hashes, told.facts, told.gaps) == told.from_the_start(history, scope), (
            number
        )
    assert len(chains) > 0


def test_only_the_facts_of_what_is_new_are_needed() -> None:
    told, chains = Told(), Chains()
    history = [told.message(said(number)) for number in range(50)]
    assert chains.chain(SCOPE, b"".join(history), told.facts, told.gaps) is not None
    last = told.message(said(50))
    longer = [*history, last]
    known = {last: told.facts[last]}
    assert chains.chain(SCOPE, b"".join(longer), known, set()) == told.from_the_start(longer)


def test_missing_facts_are_asked_for_and_change_nothing() -> None:
    told, chains = Told(), Chains()
    history = [told.message(said(number)) for number in range(6)]
    assert chains.chain(SCOPE, b"".join(history[:4]), told.facts, set()) is not None
    assert chains.chain(SCOPE, b"".join(history), {}, set()) is None
    assert chains.chain(SCOPE, b"".join(history), told.facts, set()) == told.from_the_start(history)


def test_a_message_that_was_missing_counts_once_it_is_known() -> None:
    told, chains = Told(), Chains()
    first, second, late = (told.message(said(number)) for number in range(3))
    history = [first, second, late]
    without = {first: told.facts[first], second: told.facts[second]}
    unknown = chains.chain(SCOPE, b"".join(history), without, {late})
    assert unknown is not None and unknown != told.from_the_start(history)
    assert chains.chain(SCOPE, b"".join(history), told.facts, set()) == told.from_the_start(history)


def test_what_is_kept_has_a_bound_and_the_oldest_goes_first() -> None:
    told, chains = Told(), Chains(most_blocks=100)
    talks = [[told.message(said(100 * talk + number)) for number in range(30)] for talk in range(5)]
    for history in talks:
        assert chains.chain(SCOPE, b"".join(history), told.facts, set()) is not None
    assert len(chains) == 3
    assert chains.chain(SCOPE, b"".join(talks[0]), {}, set()) is None
    assert chains.chain(SCOPE, b"".join(talks[4]), {}, set()) == told.from_the_start(talks[4])


def test_a_history_longer_than_any_that_is_linked_is_not_kept() -> None:
    told, chains = Told(), Chains()
    blocks = tuple(Text(f"{number}") for number in range(1_000))
    history = [
        told.message(Turn("user", blocks), variant=number) for number in range(MOST_PLACES // 1_000 + 1)
    ]
    assert chains.chain(SCOPE, b"".join(history), told.facts, set()) == told.from_the_start(history)
    assert len(chains) == 0
