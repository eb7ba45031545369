"""What processes tell one another, and who may try: by hand, on a fake clock."""

from __future__ import annotations

import json
import math
from datetime import date

import pytest
from sim import CALM, KEY, Process, fleet, pass_time

import pilotlight
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.drills import schedule
from pilotlight.core.health.lifecycle import Notice as EndNotice
from pilotlight.events import BreakerChanged, DrillEnded, DrillStarted, StateStore
from pilotlight.state.board import LONGEST, Entry, claim, drop, put
from pilotlight.state.drill_board import Drills
from pilotlight.state.fleet import Fleet
from pilotlight.state.member import LEASE, LOST_AFTER
from pilotlight.state.memory import MemoryBoard
from pilotlight.state.notice import KEEP, LONGEST_BREAK, DayNotice, dump


@pytest.fixture
def board(clock):
    return MemoryBoard(clock)


class Broken:
    """A store that can be switched off."""

    def __init__(self, board) -> None:
        self.board, self.works, self.asked = board, True, 0

    def exchange(self, errands=()):
        self.asked += 1
        if not self.works:
            raise ConnectionError("refused")
        return self.board.exchange(errands)

    def close(self) -> None:
        pass


def test_a_trip_opens_the_others_with_its_reason_and_its_time(clock, board):
    a, b = fleet(2, clock, board)
    a.breaker.trip("rate_limited", 20.0)
    clock.advance(1.0)
    a.step()
    b.step()
    assert b.state == "open"
    assert b.breaker.reason == "rate_limited"
    assert b.breaker.retry_after == pytest.approx(19.0)


def test_the_clocks_of_hosts_are_never_compared(board, clock):
    from pilotlight.testing import FakeClock

    ahead = FakeClock(9e9)
    a, b = Process(clock, board), Process(ahead, board)
    a.breaker.trip("rate_limited", 20.0)
    a.step()
    b.step()
    assert b.breaker.retry_after == pytest.approx(20.0)


def test_a_trip_is_local_at_once_and_waits_for_no_exchange(clock, board):
    a = Process(clock, board)
    assert a.trip() == CALM.minimum_calls
    assert a.state == "open"
    assert board.exchange() == {}


def test_what_was_read_is_not_told_again(clock, board):
    processes = fleet(3, clock, board)
    processes[0].trip()
    pass_time(clock, processes, 3)
    notice = board.exchange()[f"break:{KEY}"].value
    pass_time(clock, processes, 5)
    assert board.exchange()[f"break:{KEY}"].value == notice


def test_of_two_breaks_the_longer_holds_in_each_process(clock, board):
    a, b = fleet(2, clock, board)
    a.breaker.trip("rate_limited", 50.0)
    b.breaker.trip("failure_rate", 10.0)
    pass_time(clock, [a, b], 2)
    assert a.breaker.reason == "rate_limited"
    assert a.breaker.retry_after == pytest.approx(48.0)


def test_one_process_tries_when_the_break_is_over(clock, board):
    processes = fleet(10, clock, board)
    processes[0].trip()
    pass_time(clock, processes, 14, calls=processes)
    clock.advance(2.0)
    permits = [each.permit() for each in processes]
    assert sum(permit is not None for permit in permits) == 1


def test_it_may_make_all_the_trial_calls_and_no_other_process_any(clock, board):
    from dataclasses import replace

    processes = fleet(4, clock, board, replace(CALM, trial_calls=3))
    processes[0].trip()
    pass_time(clock, processes, 14, calls=processes)
    clock.advance(2.0)
    taken = [sum(each.permit() is not None for _ in range(9)) for each in processes]
    assert sorted(taken) == [0, 0, 0, 3]


def test_a_good_trial_closes_all_with_their_next_look(clock, board):
    processes = fleet(5, clock, board)
    processes[0].trip()
    pass_time(clock, processes, 14, calls=processes)
    clock.advance(2.0)
    assert sum(each.call(True) for each in processes) == 1
    for _ in range(2):  # told, and heard
        for each in processes:
            each.step()
    assert {each.state for each in processes} == {"closed"}


def test_a_failed_trial_begins_the_break_of_all_anew(clock, board):
    processes = fleet(5, clock, board)
    processes[0].trip()
    for _ in range(4):
        assert pass_time(clock, processes, 17, calls=processes) == 1
        assert {each.state for each in processes} == {"open"}


def test_one_that_made_its_caller_wait_lengthens_it_for_all(clock, board):
    processes = fleet(5, clock, board)
    processes[0].trip()
    pass_time(clock, processes, 14, calls=processes)
    trial = None
    while trial is None:
        pass_time(clock, processes, 1)
        trial = next((permit for each in processes if (permit := each.permit())), None)
    clock.advance(3.0)
    trial.failure()
    assert pass_time(clock, processes, 40, calls=processes) == 0


def test_a_process_that_dies_with_the_lease_loses_it(clock, board):
    a, b = fleet(2, clock, board)
    a.trip()
    pass_time(clock, [a, b], 14, calls=[a])
    clock.advance(2.0)
    assert a.permit() is not None  # and is never heard of again
    assert pass_time(clock, [b], LEASE - 3, calls=[b], well=True) == 0
    pass_time(clock, [b], 2, calls=[b], well=True)
    assert b.state == "closed"


def test_the_lease_lasts_as_long_as_the_trial(clock, board):
    a, b = fleet(2, clock, board)
    a.trip()
    pass_time(clock, [a, b], 14, calls=[a])
    clock.advance(2.0)
    trial = a.breaker.acquire(60.0)
    assert pass_time(clock, [a, b], 50, calls=[b]) == 0
    trial.success()
    pass_time(clock, [a, b], 2)
    assert b.state == "closed"


def test_a_cancelled_trial_leaves_the_next_one_to_the_same_process(clock, board):
    a, b = fleet(2, clock, board)
    a.trip()
    pass_time(clock, [a, b], 14, calls=[a])
    clock.advance(2.0)
    a.permit().release()
    assert a.call(True)


def keeps_the_lease(clock, process) -> None:
    """Let a call that can't wait go without the lease: it is kept for the next a little while."""
    process.trip()
    pass_time(clock, [process], 17)
    assert process.breaker.ask() is not None
    pass_time(clock, [process], 3)


def test_who_has_no_calls_leaves_the_lease_alone(clock, board):
    idle, called = fleet(2, clock, board)
    idle.trip()
    pass_time(clock, [idle, called], 60)
    assert f"trial:{KEY}" not in board.exchange()
    assert called.call(True)


def test_a_status_page_is_no_demand_for_the_endpoint(clock, board):
    """Whoever only looks at an idle worker must not let it keep the lease from one with calls."""
    watched, busy = fleet(2, clock, board)
    keeps_the_lease(clock, watched)
    assert board.exchange()[f"trial:{KEY}"].value == watched.fleet.worker
    assert watched.breaker.retry_after is None, "it might try, if it had a call"
    hits, looked = 0, []
    for _ in range(12):
        looked.append(watched.breaker.retry_after)
        hits += pass_time(clock, [watched, busy], 1, calls=[busy], well=True)
    assert hits >= 1


def test_an_idle_holder_leaves_the_lease_to_one_with_calls(clock, board):
    idle, busy = fleet(2, clock, board)
    keeps_the_lease(clock, idle)
    assert board.exchange()[f"trial:{KEY}"].value == idle.fleet.worker
    assert pass_time(clock, [idle, busy], 6, calls=[busy], well=True) >= 1
    assert busy.state == "closed"


SHORT = BreakerPolicy(minimum_calls=5, reset_timeout=0.5, max_reset_timeout=0.5)


def test_a_holder_that_falls_silent_does_not_keep_the_busy_from_trying(clock, board):
    silent, busy = fleet(2, clock, board, SHORT)
    silent.trip()
    pass_time(clock, [silent, busy], 1)
    healed = clock()
    while True:
        clock.advance(0.25)
        if clock() % 0.5 == 0.0:
            silent.step()
            busy.step()
        if busy.call(True):
            break
    assert clock() - healed <= 2.0


def test_bursts_in_turn_do_not_pass_the_lease_to_and_fro_for_good(clock, board):
    """Each burst is long enough to ask for the lease, and over before the lease is there."""
    pair = fleet(2, clock, board, SHORT)
    pair[0].trip()
    pass_time(clock, pair, 1)
    for turn in range(20):  # the first by the one without the lease
        for moment in range(20):  # 5 s
            clock.advance(0.25)
            if moment % 2:
                for each in pair:
                    each.step()
            if moment < 2 and pair[(turn + 1) % 2].call(True):
                return
    raise AssertionError("nobody has tried")


@pytest.mark.parametrize("number", [2, 3, 5])
def test_rare_calls_in_turn_do_not_starve(clock, board, number):
    processes = fleet(number + 1, clock, board)  # the last one makes no calls at all
    processes[-1].trip()
    for turn in range(3 * number + 1):
        pass_time(clock, processes, 47)
        if processes[turn % number].call(True):
            break
    assert processes[turn % number].state == "closed"


def test_a_new_process_finds_the_break_that_is_under_way(clock, board):
    a = Process(clock, board)
    a.trip()
    a.step()
    late = Process(clock, board)
    late.step()
    assert late.state == "open"
    pass_time(clock, [a], 60)  # over, but nobody has tried
    later = Process(clock, board)
    later.step()
    assert later.state == "open"
    assert later.permit().trial


def test_a_break_for_good_is_looked_at_anew_after_an_hour(clock, board):
    a, b = fleet(2, clock, board)
    a.breaker.trip("model_retired", math.inf)
    pass_time(clock, [a, b], 1)
    assert b.breaker.retry_after <= LONGEST_BREAK
    assert a.breaker.retry_after == math.inf


def test_a_health_check_that_closes_here_closes_there(clock, board):
    a, b = fleet(2, clock, board)
    a.breaker.trip("health_check", 50.0)
    pass_time(clock, [a, b], 1)
    assert b.state == "open"
    b.breaker.early_trial({"health_check"}).success()
    pass_time(clock, [b, a], 1)
    assert a.state == "closed"


def test_a_prolonged_break_is_told(clock, board):
    a, b = fleet(2, clock, board)
    a.breaker.trip("health_check", 10.0)
    pass_time(clock, [a, b], 1)
    a.breaker.prolong(50.0)
    pass_time(clock, [a, b], 1)
    assert b.breaker.retry_after == pytest.approx(49.0)


# The store.


def test_without_the_store_each_process_goes_by_what_it_sees(clock, board):
    store = Broken(board)
    a, b = fleet(2, clock, store)
    a.trip()
    pass_time(clock, [a, b], 2)
    store.works = False
    hits = pass_time(clock, [a, b], 13 + LOST_AFTER, calls=[a, b])
    assert hits == 2  # one trial each, its own


def test_a_short_silence_of_the_store_lets_nobody_try(clock, board):
    store = Broken(board)
    a, b = fleet(2, clock, store)
    a.trip()
    pass_time(clock, [a, b], 13)
    store.works = False
    assert pass_time(clock, [a, b], LOST_AFTER - 1, calls=[b]) == 0


def test_that_the_store_is_gone_is_said_once_and_so_is_its_return(clock, board, caplog):
    seen = []
    pilotlight.listeners.append(seen.append)
    store = Broken(board)
    a = Process(clock, store)
    store.works = False
    pass_time(clock, [a], 10)
    store.works = True
    pass_time(clock, [a], 10)
    assert seen == [
        StateStore("memory", "gone", "ConnectionError: refused"),
        StateStore("memory", "back"),
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert store.asked == 20  # one look at a time, whatever came of it


def test_a_store_that_has_forgotten_is_told_again_and_no_later_word_is_overwritten(clock):
    store = Broken(MemoryBoard(clock))
    processes = fleet(3, clock, store)
    processes[0].breaker.trip("rate_limited", 30.0)
    pass_time(clock, processes, 2)
    store.board = MemoryBoard(clock)
    processes[0].fleet.stop()
    pass_time(clock, processes[1:], 2)  # who had only read it tells it
    late = Process(clock, store)
    late.step()
    assert late.breaker.retry_after == pytest.approx(26.0)
    late.breaker.close()  # a person
    pass_time(clock, [late, *processes], 2)
    assert {each.state for each in processes} == {"closed"}


def test_news_from_the_time_without_a_store_are_told_when_it_is_back(clock, board):
    store = Broken(board)
    a, b = fleet(2, clock, store)
    store.works = False
    a.trip()
    pass_time(clock, [a, b], 2)
    assert b.state == "closed"
    store.works = True
    pass_time(clock, [a, b], 2)
    assert b.state == "open"


@pytest.mark.parametrize(
    "value",
    ["", "{", "[]", "null", '"open"', "{}", '{"state":"open"}', "[" * 9999,
     '{"state":"ajar","reason":"x","failed_trials":0,"by":"y","number":1}',
     '{"state":"open","reason":"x","failed_trials":1e99,"by":"y","number":1}',
     '{"state":"open","reason":7,"failed_trials":0,"by":"y","number":1}',
     '{"state":"open","reason":"x","failed_trials":0,"by":"y","number":1,"more":2}'],
)  # fmt: skip
def test_nonsense_on_the_board_is_as_good_as_nothing(clock, board, value):
    board.exchange([put(f"{kind}:{KEY}", value, 99) for kind in ("break", "end", "want")])
    board.exchange([put("drill:ab", value, 99)])
    a = Process(clock, board)
    a.step()
    assert a.state == "closed"
    assert a.health.lifecycle.notice is None
    assert a.fleet.days.under_way == ()
    assert a.call(True)


# Endpoints, events, retirements.


def test_other_endpoints_are_left_alone(clock, board):
    a, other = Process(clock, board), Process(clock, board, key="another")
    a.trip()
    pass_time(clock, [a, other], 2)
    assert other.state == "closed"


def test_a_change_that_was_read_is_told_as_such(clock, board):
    from pilotlight.registry import _Announcer

    a, b = fleet(2, clock, board)
    for each in (a, b):
        each.breaker.add_listener(_Announcer())
    seen = []
    pilotlight.listeners.append(seen.append)
    a.breaker.trip("quota_exhausted", 15.0)
    pass_time(clock, [a, b], 2)
    changed = [each for each in seen if isinstance(each, BreakerChanged)]
    assert [(each.reason, each.learned) for each in changed] == [
        ("quota_exhausted", False), ("quota_exhausted", True),
    ]  # fmt: skip
    assert changed[1].retry_after == pytest.approx(14.0)


def test_a_retirement_that_a_provider_announced_is_known_to_all(clock, board):
    a, b = fleet(2, clock, board)
    a.health.lifecycle.note(EndNotice(date(2026, 12, 1), "header", "openai/gpt-5"))
    pass_time(clock, [a, b], 1)
    assert b.health.lifecycle.notice == EndNotice(date(2026, 12, 1), "header", "openai/gpt-5")
    before = board.exchange()[f"end:{KEY}"]
    pass_time(clock, [a, b], 9)
    assert board.exchange()[f"end:{KEY}"].age == before.age + 9  # not written each time


def test_what_each_configuration_or_table_says_is_not_shared(clock, board):
    a, b = fleet(2, clock, board)
    a.health.lifecycle.note(EndNotice(date(2026, 12, 1), "table"))
    a.health.lifecycle.note(EndNotice(date(2026, 11, 1), "configuration"))
    pass_time(clock, [a, b], 2)
    assert b.health.lifecycle.notice is None
    assert board.exchange() == {}


# Game days.


DAY = dump(DayNotice("openai", 0.5, "chat"))


def test_a_game_day_begins_and_ends_in_every_process(clock, board):
    heard = []
    pilotlight.listeners.append(heard.append)
    a, b = fleet(2, clock, board)
    board.exchange([put("drill:ab12", DAY, 60)])
    a.step()
    b.step()
    (day,) = a.fleet.days.under_way
    assert (day.id, day.target, day.rate, day.route) == ("ab12", "openai", 0.5, "chat")
    assert [each.id for each in b.fleet.days.under_way] == ["ab12"]
    clock.advance(3.0)
    a.step()
    assert a.fleet.days.under_way == (day,), "its end stays what it was"
    board.exchange([drop("drill:ab12", DAY)])
    a.step()
    b.step()
    assert a.fleet.days.under_way == b.fleet.days.under_way == ()
    told = [each for each in heard if isinstance(each, DrillStarted | DrillEnded)]
    assert [type(each) for each in told] == [DrillStarted] * 2 + [DrillEnded] * 2, "once each"


def test_a_game_day_ends_with_its_time_also_without_the_store(clock):
    drills = Drills(clock=clock, wall_clock=clock)
    drills.take({"drill:ab12": Entry(DAY, 0.0, 60.0)})
    clock.advance(59.0)
    assert drills.days.under_way
    clock.advance(1.0)
    assert not drills.days.under_way


def test_a_game_day_lasts_as_long_as_the_file_lets_it(clock, board):
    board.exchange([put("drill:ab12", DAY, 1e9)])
    assert board.exchange()["drill:ab12"].left == LONGEST == schedule.LONGEST


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("drill:ab", {"target": ""}),
        ("drill:ab", {"target": 7}),
        ("drill:ab", {"target": "x" * 257}),
        ("drill:ab", {"rate": 0}),
        ("drill:ab", {"rate": 1.1}),
        ("drill:ab", {"rate": "1"}),
        ("drill:ab", {"rate": math.nan}),
        ("drill:ab", {"route": ""}),
        ("drill:ab", {"until": 1}),
        ("drill:../x", {}),
        ("drill:", {}),
    ],
)
def test_nonsense_is_no_game_day(clock, board, field, bad):
    said = {"target": "gpt", "rate": 1, "route": None} | bad
    board.exchange([put(field, json.dumps(said), 60)])
    a = Process(clock, board)
    a.step()
    assert a.fleet.days.under_way == ()


# The process.


def test_a_forked_child_has_no_lease_and_a_name_of_its_own(clock, board):
    a = Process(clock, board)
    a.trip()
    pass_time(clock, [a], 14, calls=[a])
    clock.advance(2.0)
    before = a.fleet.worker
    a.fleet.begin_afresh()  # as in the child
    assert a.fleet.worker != before
    assert a.permit() is None


def test_an_endpoint_that_is_gone_is_told_of_no_more(clock, board):
    a = Process(clock, board)
    a.breaker.trip("x", 5.0)
    del a.health
    a.step()
    assert board.exchange() == {}


def test_a_breaker_joins_once(clock, board):
    a = Process(clock, board)
    other = Fleet(lambda: board)
    other.join("another", a.health)
    assert not other.has(a.breaker.gate)


def test_without_a_fleet_a_breaker_asks_nobody(clock):
    assert Breaker("gpt", clock=clock).gate is None


def test_errands_do_what_they_say(board, clock):
    board.exchange([put("a", "1", 10), claim("a", "2", 10), drop("a", "2")])
    assert board.exchange()["a"].value == "1"
    clock.advance(10.0)
    assert board.exchange() == {}
    assert KEEP < LONGEST
