"""Several gateways' rounds in any interleaving: together they let in no more than one would."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headgate.access.slices import equal_part
from tests.access.dividing import RUNNING, Books, Party, Voice, Walk
from tests.access.test_limits import START, HandClock

seeds = st.integers(0, 2**32)


def parties(count: int, limit: int, what: str = "concurrency") -> tuple[Books, list[Party]]:
    """All of them know of each other."""
    books, clock = Books(), HandClock()
    found = [Party(f"gateway-{number}", books, clock, limit, what) for number in range(count)]
    for _ in range(3):
        for one in found:
            one.round()
    return books, found


def voices(count: int, limit: int) -> tuple[Books, list[Voice]]:
    """The same without gates."""
    books = Books()
    found = [Voice(f"gateway-{number}", books, limit) for number in range(count)]
    for _ in range(3):
        for one in found:
            one.ask(0)
    return books, found


def fill(party: Party) -> int:
    """More ask than may ever run at one time; how many do."""
    for _ in range(party.limit + 1):
        party.lets_in()
    return len(party.runs)


@given(seed=seeds)
def test_no_more_runs_than_the_limit_in_any_interleaving(seed: int) -> None:
    """Gateways come, die and are cut off, answers are lost; the limit stays as it is."""
    walk = Walk(seed, limits=range(limit := Random(seed).randrange(1, 20), limit + 1))
    for _ in range(400):
        walk.step()


@given(seed=seeds)
def test_nor_where_the_limit_changes_and_each_hears_of_it_at_another_time(seed: int) -> None:
    walk = Walk(seed, limits=range(1, 20))
    for _ in range(400):
        walk.step()


@given(seed=seeds)
def test_after_any_of_that_who_alone_asks_gets_nearly_all(seed: int) -> None:
    """In a few rounds of each; and then nothing more is written."""
    walk = Walk(seed, limits=range(2, 40))
    for _ in range(100):
        walk.step()
    asking, count = walk.living[0], len(walk.living)
    for one in walk.living:
        one.hear(walk.limit)
        one.end(len(one.runs))
    for turn in range(8):
        for one in walk.living:
            walk.clock.at += 5  # what was wanted before is forgotten
            fill(asking)
            one.round()
        if turn == 6:
            walk.books.writes = 0
    assert len(asking.runs) >= walk.limit - max(walk.limit / 8, count - 1)
    assert walk.books.writes == 0


def test_what_is_let_in_while_a_part_is_given_away_is_within_it() -> None:
    """The gate goes on by its older part until it hears the answer: so the row does not go down before."""
    _, (one, other) = parties(2, 12)
    for _ in range(3):
        fill(one)
        one.round()
        other.round()
    fill(one)
    assert len(one.runs) == 11
    one.end(6)
    fill(other)
    other.round()
    one.say()  # five run there
    one.write()
    other.round()
    fill(one)
    fill(other)
    assert len(one.runs) + len(other.runs) <= 12


def test_nothing_is_written_while_nobody_wants_more_than_an_equal_part() -> None:
    books, (one, other) = parties(2, 12)
    for party in (one, other, one):
        party.lets_in()
        party.round()
    assert (one.part, other.part, books.writes) == (6, 6, 0)


def test_who_joins_has_nothing_before_the_others_let_in_by_less() -> None:
    """Nor while what they let in before runs on."""
    books, (one,) = parties(1, 12)
    assert fill(one) == 12
    other = Party("later", books, HandClock(), 12)
    for _ in range(5):
        other.round()
        assert fill(other) == 0
    for _ in range(3):
        one.round()
        other.round()
        assert fill(other) == 0
    one.end(4)
    one.round()
    other.round()
    assert fill(other) == 4


def test_who_joins_idle_ones_has_an_equal_part_after_two_rounds_of_each() -> None:
    books, (one,) = parties(1, 13)
    other = Party("later", books, HandClock(), 13)
    for party in (other, one, other, one):
        party.round(2)
    assert [one.part, other.part] == [equal_part(13, rank, 2) for rank in range(2)]
    assert books.claims.get(RUNNING) is None


def test_a_lower_limit_is_taken_off_everywhere_before_it_is_shared_out_again() -> None:
    """Where rows say what each holds: none knows how much of it runs elsewhere."""
    _, (one, other) = parties(2, 12)
    for _ in range(3):
        fill(one)
        one.round()
        other.round()
    assert (one.part, other.part) == (11, 1)
    for party in (one, other):
        party.hear(8)
    assert (one.part, other.part) == (7, 0)
    one.end(9)
    for _ in range(3):
        for party in (one, other):
            fill(other)
            party.round()
    assert one.part + other.part == 8


# ---- whose parts become greater -----------------------------------------------------------------------


@given(limit=st.integers(2, 1000), count=st.integers(2, 6), who=st.integers(0, 5))
def test_who_alone_asks_gets_nearly_all(limit: int, count: int, who: int) -> None:
    """After it asked, the others looked, and it asked once more; the others keep an eighth at most."""
    books, all_of_them = voices(count, limit)
    asking = all_of_them[who % count]
    asking.ask(limit)
    for other in all_of_them:
        if other is not asking:
            other.ask(0)
    assert asking.ask(limit) >= limit - max(limit / 8, count - 1)
    assert sum(one.row for one in all_of_them) == limit
    books.writes = 0
    for one in all_of_them:
        one.ask(limit if one is asking else 0)
    assert books.writes == 0


def test_two_who_ask_have_equal_parts_in_the_end() -> None:
    _, (one, other) = voices(2, 60)
    for _ in range(2):
        one.ask(60)
        other.ask(0)
    assert one.part > 50
    other.ask(60)
    one.ask(60)
    other.ask(60)
    assert (one.part, other.part) == (30, 30)


def test_who_is_never_idle_gives_away_what_others_want() -> None:
    """Hundreds may wait there for a place that is free, and fill each one as soon as it is."""
    _, (one, other) = voices(2, 8)
    running = 4
    for _ in range(2):
        running = max(running, one.ask(8, running))
        other.ask(0)
    assert running == 7
    other.ask(8)
    assert (one.ask(8, running), one.row) == (4, 7)  # what runs is nobody else's yet
    assert (one.ask(8, 5), one.row) == (4, 5)
    assert (one.ask(8, 4), other.ask(8, 1)) == (4, 4)


def test_a_place_for_one_goes_to_the_other_in_its_turn() -> None:
    """Though requests wait where it was: the row is given away when the one that runs has ended."""
    books, (one, other) = voices(2, 1)
    other.ask(1)
    assert [one.ask(1, 0), other.ask(1, 0)] == [1, 0]
    books.turn = 1
    assert [one.ask(1, 1), one.row] == [0, 1]
    assert other.ask(1, 0) == 0
    assert [one.ask(1, 0), other.ask(1, 0)] == [0, 1]


def test_what_ran_over_the_new_equal_part_is_told_before_that_counts() -> None:
    """A burst between the moment when a gate told how much runs and the one when it heard that it is not
    alone any more: the part of who joined is free only when those have ended."""
    books, (one,) = parties(1, 12)
    other = Party("later", books, HandClock(), 12)
    other.round()
    one.say()
    one.write()
    assert fill(one) == 12
    one.hear_answer()
    one.say()
    one.write()
    other.round()
    assert fill(other) == 0
    one.hear_answer()
    one.round()
    other.round()
    assert fill(other) == 0


def test_where_one_is_gone_nobody_has_more_before_the_others_are_known_to_know() -> None:
    """The other takes what the record of this one leaves, and does not hear of its greater part."""
    books, (one, other, third) = parties(3, 12)
    books.strike_out(third.name)
    one.round(1)
    for _ in range(3):
        fill(other)
        other.round()
    assert fill(one) + fill(other) <= 12
    for _ in range(3):
        one.round()
        other.round()
    assert fill(one) + fill(other) == 12


@given(seed=seeds, count=st.integers(2, 4), limit=st.integers(4, 120))
def test_several_gates_let_in_no_more_requests_a_minute_than_one(seed: int, count: int, limit: int) -> None:
    """In whatever order they ask and divide anew: a minute at once, and then what comes back."""
    random, (_, gateways) = Random(seed), parties(count, limit, what="rpm")
    clock, let_in = gateways[0].clock, 0
    for _ in range(100):
        clock.at += random.choice((0.0, 0.0, 0.1, 1.0, 5.0))
        one = random.choice(gateways) if random.random() < 0.3 else gateways[0]
        for _ in range(random.randrange(30)):
            let_in += one.lets_in() is not None
            one.end()
        if random.random() < 0.5:
            one.round(1)
        assert let_in <= limit + (clock.at - START) * limit / 60 + 1e-3
