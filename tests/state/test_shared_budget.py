"""Budgets that processes share: nothing is spent twice, and nothing is lost, whatever breaks."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.shared import CALM, IDLE, UNSEEN
from pilotlight.state.accounts import MemoryAccounts
from pilotlight.state.treasury import Treasury

DAY = 86_400.0
USD = 100.0


class Store:
    """Accounts that can be out of reach, lose an answer, or hear of a claim much later."""

    def __init__(self, clock) -> None:
        self.real = MemoryAccounts(clock)
        self.mood = "well"
        self.late: list[tuple] = []

    def exchange(self, *said):
        if self.mood == "late":
            self.late.append(said)
            raise TimeoutError("no answer yet")
        if self.mood == "away":
            raise ConnectionError("nobody there")
        grants = self.real.exchange(*said)
        if self.mood == "answer lost":
            raise TimeoutError("no answer")
        return grants

    def close(self) -> None:
        pass


class World:
    """Some processes, one clock and one store; a test takes each step by hand."""

    def __init__(self, **budget) -> None:
        self.now = 20_000 * DAY + 3600.0
        self.store = Store(lambda: self.now)
        more = {"unknown": "refuse", "offline": "refuse", **budget}
        self.budget = Budget("team", USD, "day", **more)

    def process(self) -> Treasury:
        clock = lambda: self.now  # noqa: E731
        made = Treasury([self.budget], lambda: self.store, now=clock, steady=clock)
        made.wake = lambda urgent: True
        made.ledgers["team"]._wake = made.wake
        return made


def ledger(process: Treasury):
    return process.ledgers["team"]


def ask(process: Treasury, dollars: float):
    """Reserve as the flow does: a call may wait for one exchange."""
    if (held := ledger(process).reserve(dollars)) is not None:
        return held
    if (turn := ledger(process).turn(dollars)) is None:
        return None
    process.step()
    assert turn.over
    return ledger(process).reserve(dollars)


def test_the_first_call_waits_for_a_slice_and_the_next_find_one():
    world = World()
    one = world.process()
    assert ledger(one).reserve(1.0) is None
    ask(one, 1.0).settle(1.0)
    one.step()
    for _ in range(20):
        ledger(one).reserve(1.0).settle(1.0)
        one.step()
    assert ledger(one).spent == 21.0


def test_two_processes_spend_no_more_than_there_is_and_all_of_it():
    world = World()
    pair = [world.process(), world.process()]
    held = [made for n in range(150) if (made := ask(pair[n % 2], 1.0)) is not None]
    assert 90 <= len(held) <= 100  # the rest is in the other's slice
    for each in held:
        each.settle(0.25)
    for each in pair * 8:
        each.step()
    assert [ledger(each).spent for each in pair] == [len(held) / 4] * 2
    assert ask(pair[0], 70.0) is not None


def test_no_money_is_told_at_once_and_asks_nobody():
    world = World()
    one = world.process()
    ask(one, USD).settle(USD)
    one.step()
    assert ledger(one).exhausted
    assert ledger(one).turn(0.01) is None


def test_what_is_spent_outlives_every_process():
    world = World()
    ask(world.process(), 30.0).settle(30.0)  # killed before it could tell
    one = world.process()
    ask(one, 10.0).settle(10.0)
    one.settle()
    late = world.process()
    assert ask(late, 1.0) is not None
    assert USD - 60.0 <= USD - ledger(late).spent - ledger(late)._heard.lent <= USD - 40.0


def test_an_orderly_end_gives_the_slice_back():
    world = World()
    one, other = world.process(), world.process()
    ask(one, 20.0).settle(1.0)
    one.settle()
    assert ask(other, 99.0) is not None


def test_who_is_not_called_keeps_no_slice():
    world = World()
    one, other = world.process(), world.process()
    ask(one, 20.0).settle(1.0)
    one.step()
    world.now += IDLE
    assert one.lends
    one.step()
    assert not one.lends
    assert ask(other, 99.0) is not None


def test_a_slice_that_is_not_used_is_given_back_before_long():
    world = World()
    one, other = world.process(), world.process()
    for each in [ask(one, 1.0) for _ in range(40)]:
        each.settle(0.5)
    for _ in range(CALM + 1):
        assert one.lends
        one.step()
    assert not one.lends
    assert ask(other, 80.0) is not None


def test_a_slice_shrinks_to_what_is_used_of_it():
    world = World()
    one, other = world.process(), world.process()
    for each in [ask(one, 1.0) for _ in range(40)]:
        each.settle(0.5)
    for _ in range(8):
        one.step()
        ledger(one).reserve(0.25).settle(0.25)
    assert ledger(one).lent < 5.0
    assert ask(other, 70.0) is not None


@pytest.mark.parametrize(("offline", "more"), [("refuse", 0.0), ("local share", 46.0)])
def test_while_the_store_is_away_the_slice_is_spent_and_then_it_goes_by_offline(offline, more):
    world = World(offline=offline)
    one, other = world.process(), world.process()
    ask(other, 4.0).settle(4.0)
    other.settle()
    ask(one, 4.0).settle(4.0)
    one.step()
    slice_, world.store.mood = ledger(one).lent, "away"
    one.step()
    spent = 0.0
    while (held := ask(one, 0.5)) is not None:
        held.settle(0.5)
        spent += 0.5
    # Of the 96 that it could have had, half, and 4 were spent.
    assert spent == pytest.approx(max(slice_, more), abs=0.5)
    world.store.mood = "well"
    one.step()
    assert ledger(one).spent == 8.0 + spent


def test_a_process_that_has_never_reached_the_store_has_a_small_share(caplog):
    world = World(offline="local share")
    world.store.mood = "away"
    one = world.process()
    assert ask(one, UNSEEN * USD) is not None
    assert ask(one, 0.1) is None
    one.step()
    world.store.mood = "well"
    one.step()
    assert [each.message.split(";")[0] for each in caplog.records] == [
        "memory: ConnectionError: nobody there",
        "memory: the store of the budgets is back",
    ]


def test_a_forked_child_is_a_process_of_its_own():
    world = World()
    process = world.process()
    ask(process, 5.0).settle(1.0)
    process.step()
    parent = process.worker
    process.forked()  # from here on it is the child
    ledger(process).forked()
    assert process.worker != parent
    assert ledger(process).reserve(0.25) is None
    assert ask(process, 1.0) is not None
    assert (ledger(process).spent, ledger(process).reserved) == (1.0, 1.0)


def test_a_slice_ends_with_its_day():
    world = World()
    one, other = world.process(), world.process()
    ask(one, 40.0).settle(1.0)
    one.step()
    world.now += DAY
    assert ledger(one).reserve(0.25) is None
    assert ask(other, USD) is not None
    assert ask(one, 0.25) is None


def test_a_day_that_ends_while_the_store_is_asked_grants_nothing_for_the_next():
    world = World()
    one = world.process()
    real = world.store.exchange

    def slow(*said):
        grants = real(*said)
        world.now += DAY
        assert ledger(one).spent == 0.0  # somebody looks, and the day is over
        return grants

    world.store.exchange = slow
    assert ledger(one).reserve(1.0) is None
    turn = ledger(one).turn(50.0)
    one.step()
    assert turn.over
    assert ledger(one).reserve(0.25) is None


def test_what_calls_hold_beyond_a_slice_is_there_for_nobody_else():
    world = World(offline="local share")
    one, other = world.process(), world.process()
    world.store.mood = "away"
    held = ask(one, 10.0)
    world.store.mood = "well"
    one.step()
    assert ask(other, 91.0) is None
    held.release()
    for _ in range(3):
        one.step()
    world.now += IDLE
    one.step()
    other.step()
    assert ask(other, 91.0) is not None


def test_without_background_threads_it_goes_by_offline():
    world = World(offline="local share")
    one = world.process()
    ledger(one)._wake = lambda urgent: False
    assert ledger(one).reserve(1.0) is None
    assert ledger(one).turn(1.0) is None
    assert ledger(one).reserve(1.0) is not None


class Fleet(RuleBasedStateMachine):
    """Processes begin, spend and are killed; the store and the clock do what they like.

    Money is counted by the day that the process lives in: one that was begun while the clock was
    set back lives in an earlier day, and spends that day's.
    """

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.living: dict[Treasury, float] = {}  # and the day that each was last seen in
        self.held: list[tuple[Treasury, object]] = []
        self.truth: dict[float, float] = defaultdict(float)  # what was really spent
        self.carried: dict[float, float] = defaultdict(float)  # was in flight when a day began

    def one(self, which: int) -> Treasury:
        return list(self.living)[which % len(self.living)]

    def reserved(self, process: Treasury) -> float:
        return sum(held.dollars for owner, held in self.held if owner is process)

    def see(self) -> None:
        """Take note of whose day is over."""
        for process, day in self.living.items():
            if (began := ledger(process)._began) != day:
                self.carried[began] += self.reserved(process)
                self.living[process] = began

    @precondition(lambda self: len(self.living) < 4)
    @rule()
    def another(self) -> None:
        process = self.world.process()
        self.living[process] = ledger(process)._began

    @precondition(lambda self: self.living)
    @rule(who=st.integers(0, 3), quarters=st.integers(1, 120))
    def call(self, who, quarters):
        if (held := ask(self.one(who), quarters / 4)) is not None:
            self.held.append((self.one(who), held))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 50), share=st.integers(0, 4))
    def answer(self, which, share):
        process, held = self.held.pop(which % len(self.held))
        held.settle(held.dollars * share / 4)
        self.truth[ledger(process)._began] += held.dollars * share / 4

    @precondition(lambda self: self.living)
    @rule(who=st.integers(0, 3))
    def look(self, who):
        self.one(who).step()

    @precondition(lambda self: self.living)
    @rule(who=st.integers(0, 3))
    def kill(self, who):
        gone = self.one(who)
        for owner, held in self.held:
            if owner is gone:  # its server answers nobody, and is paid all the same
                self.truth[ledger(gone)._began] += held.dollars
        self.held = [each for each in self.held if each[0] is not gone]
        del self.living[gone]

    @precondition(lambda self: self.living)
    @rule(who=st.integers(0, 3))
    def end(self, who):
        gone = self.one(who)
        if not self.reserved(gone):
            gone.settle()
            del self.living[gone]

    @rule(mood=st.sampled_from(["well", "well", "away", "answer lost", "late"]))
    def store(self, mood):
        self.world.store.mood = mood

    @precondition(lambda self: self.world.store.late)
    @rule(which=st.integers(0, 50))
    def heard_late(self, which):
        late = self.world.store.late
        self.world.store.real.exchange(*late.pop(which % len(late)))

    @rule(hours=st.floats(-30, 30))
    def clock(self, hours):
        self.world.now += hours * 3600

    @invariant()
    def nothing_is_spent_twice(self):
        self.see()
        now: dict[float, float] = defaultdict(float, self.truth)
        for process, day in self.living.items():
            now[day] += self.reserved(process)
        for day, dollars in now.items():
            assert dollars <= USD + self.carried[day]

    def teardown(self):
        """In the end everybody who lives knows of all that the living have spent."""
        if not hasattr(self, "world"):
            return
        self.world.store.mood = "well"
        for _ in range(2):
            for process in self.living:
                process.step()
        self.see()
        for process, day in self.living.items():
            mine = [each for each, its in self.living.items() if its == day]
            least = sum(ledger(each)._spent for each in mine)
            assert least <= ledger(process).spent <= self.truth[day] + 1e-9


TestFleet = Fleet.TestCase
