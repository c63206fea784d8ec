"""Gateways that divide limits, with real gates and rounds, and the database as two dictionaries. Each step
of a round can be had by itself, so that others may come in between."""

from random import Random

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.limits import Limits
from headgate.access.meter import Reservation
from headgate.access.rounds import Known, Round, play_round
from headgate.access.slices import Claim, Demand, Living, Pot, Slices
from headgate.errors import RateLimited
from tests.access.test_limits import HandClock

RUNNING: Pot = (1, "running")


def demand_of(slices: Slices, pot: Pot, limit: int, wanted: int, in_use: int = 0) -> Demand:
    """What a gate that goes by `slices` would say."""
    if (claim := slices.held.get(pot)) is not None:
        return Demand(limit, wanted, in_use, claim.granted, is_told=True)
    return Demand(limit, wanted, in_use, slices.part(*pot, limit) or 0)


class Books:
    """What the database says, and how a transaction of `SliceStore` changes it."""

    def __init__(self) -> None:
        self.lives: dict[str, Living] = {}
        self.claims: dict[Pot, dict[str, Claim]] = {}
        self.turn = 0
        self.writes = 0
        """Of rows."""

    def play(self, own: str, demands: dict[Pot, Demand], applied: Slices) -> Round:
        self.lives.setdefault(own, ())
        if len(self.lives) == 1:
            self.claims.clear()
        found = play_round(own, Known(self.lives, self.claims), demands, applied, self.turn)
        self.lives[own] = found.known
        for pot, row in found.rows.items():
            self.claims.setdefault(pot, {})[own] = row
            self.writes += 1
        return found

    def strike_out(self, name: str) -> None:
        self.lives.pop(name, None)
        self.claims = {
            pot: left
            for pot, rows in self.claims.items()
            if (left := {one: row for one, row in rows.items() if one != name})
        }


class Party:
    """One gateway with one key. `limit`: as it knows it."""

    def __init__(
        self, name: str, books: Books, clock: HandClock, limit: int, what: str = "concurrency"
    ) -> None:
        self.name = name
        self.books = books
        self.clock = clock
        self._what = what
        self.gate = Gate(clock)
        self.gate.use_slices(Slices(1, 2, spread=0))  # as before a first round: nothing is let in
        self.runs: list[Reservation] = []
        self.hear(limit)
        self._applied = Slices()
        self._asked: tuple[dict[Pot, Demand], Slices] | None = None
        self._answer: Round | None = None

    def hear(self, limit: int) -> None:
        self.limit = limit
        self.key = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(**{self._what: limit}))

    @property
    def part(self) -> int:
        return self.gate.slices.part(*RUNNING, self.limit) or 0

    def lets_in(self) -> Reservation | None:
        try:
            self.runs.append(self.gate.enter(self.key, 0))
        except RateLimited:
            return None
        return self.runs[-1]

    def end(self, count: int = 1) -> None:
        for _ in range(min(count, len(self.runs))):
            self.runs.pop(0).settle(None, None)

    # ---- a round, step by step -------------------------------------------------------------------

    def say(self) -> None:
        """What the gate wants and what it goes by, at one moment."""
        self._asked = self.gate.demands({1: self.key}.get), self._applied

    def write(self) -> bool:
        """The transaction; whether there was anything to write."""
        if self._asked is None:
            return False
        self._answer, self._asked = self.books.play(self.name, *self._asked), None
        return True

    def hear_answer(self) -> bool:
        """Whether the next round is awaited by others."""
        if (answer := self._answer) is None:
            return False
        self._applied, self._answer = answer.slices, None
        self.gate.use_slices(answer.slices)
        return answer.goes_on

    def lose(self) -> None:
        """Whatever is under way is heard of no more: the connection broke."""
        self._asked = self._answer = None

    @property
    def is_asking(self) -> bool:
        return self._asked is not None or self._answer is not None

    def go_by(self, slices: Slices) -> None:
        self._applied = slices
        self.gate.use_slices(slices)

    def round(self, most: int = 3) -> None:
        """As a gateway does it: the steps that others wait for at once."""
        for _ in range(most):
            self.say()
            self.write()
            if not self.hear_answer():
                break


class Voice:
    """A gateway without a gate: it wants what it is told to want."""

    def __init__(self, name: str, books: Books, limit: int) -> None:
        self.name, self.books, self.limit = name, books, limit
        self.slices = Slices()

    def ask(self, wanted: int, in_use: int = 0) -> int:
        """How many may run there from now on."""
        for _ in range(3):
            demand = demand_of(self.slices, RUNNING, self.limit, wanted, in_use)
            found = self.books.play(self.name, {RUNNING: demand}, self.slices)
            self.slices = found.slices
            if not found.goes_on:
                break
        return self.part

    @property
    def part(self) -> int:
        return self.slices.part(*RUNNING, self.limit) or 0

    @property
    def row(self) -> int:
        return self.books.claims[RUNNING][self.name].granted


class Walk:
    """Whatever may happen to gateways, in whatever order. What is counted are requests of gateways that the
    others could know to live: where one was struck out, what runs there is known to nobody."""

    def __init__(self, seed: int, *, limits: range) -> None:
        self.random, self.clock, self.books = Random(seed), HandClock(), Books()
        self.limits = limits
        self.limit = self.random.choice(limits)
        self.living: list[Party] = []
        self.born = 0
        self.began: dict[int, int] = {}
        """The step in which each counted request was let in, by its identity."""
        self.known: list[int] = []
        """The highest limit that any gateway knew, by step."""
        for _ in range(self.random.randrange(1, 4)):
            self.join()

    def join(self) -> None:
        self.born += 1
        name = f"{self.random.randrange(10)}-{self.born}"
        self.living.append(Party(name, self.books, self.clock, self.limit))

    def step(self) -> None:
        self.known.append(max(one.limit for one in self.living))
        one = self.random.choice(self.living)
        match self.random.randrange(100):
            case 0 | 1 if len(self.living) < 4:
                self.join()
            case 2 if len(self.living) > 1:
                self.die(one)
            case 3 if len(self.living) > 1:
                self.be_cut_off(one)
            case 4 if len(self.limits) > 1:
                self.limit = self.random.choice(self.limits)
            case 5:
                one.lose()
            case 6:
                one.go_by(one.gate.slices.careful())
            case 7:
                self.books.turn += 1
            case 8:
                self.clock.at += 3  # what was wanted is forgotten
            case number if number < 16:
                one.hear(self.limit)
            case number if number < 26:
                one.end(self.random.randrange(1, 6))
            case number if number < 50:
                for _ in range(self.random.randrange(1, 8)):
                    self.let_in(one)
            case number if number < 85:
                self.go_on(one)
            case _:
                one.round()
        self.check_parts()

    def go_on(self, one: Party) -> None:
        """One step of its round."""
        if not one.is_asking:
            one.say()
        elif not one.write():
            one.hear_answer()

    def die(self, one: Party) -> None:
        """Or end in order, when nothing runs: all the same to the others."""
        self.living.remove(one)
        self.books.strike_out(one.name)

    def be_cut_off(self, one: Party) -> None:
        """For longer than a lease: the others strike it out, it has equal parts, and later it joins anew."""
        self.books.strike_out(one.name)
        one.lose()
        if self.random.random() < 0.5:
            one.go_by(one.gate.slices.forgotten())
            self.let_in(one, is_counted=False)
        for reservation in one.runs:
            self.began.pop(id(reservation), None)
        one.round(1)

    def let_in(self, one: Party, *, is_counted: bool = True) -> None:
        if (reservation := one.lets_in()) is None or not is_counted:
            return
        now = len(self.known) - 1
        self.began[id(reservation)] = now
        counted = [
            self.began[id(run)] for party in self.living for run in party.runs if id(run) in self.began
        ]
        limit = max(self.known[min(counted) :])  # what was let in under a higher one may run on
        assert len(counted) <= limit, f"{len(counted)} running of {limit}"

    def check_parts(self) -> None:
        highest = max(one.limit for one in self.living)
        assert sum(one.part for one in self.living) <= highest, [one.part for one in self.living]
