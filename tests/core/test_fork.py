"""A forked child: whatever the parent's threads hold at the fork, the child holds none of it."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import load
from pilotlight.catalog.providers import Spec
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.errors import CircuitOpen
from pilotlight.providers.connection import Connection
from pilotlight.registry import REGISTRY
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.operations import PRIORITIES

PATIENCE = 30  # seconds until a child that hangs is killed

in_a_fork = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def child_says(check) -> bool:
    """Fork; tell whether `check` was true in the child, in time."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


places = st.integers(1, 5)
calls = st.lists(st.tuples(st.sampled_from(PRIORITIES), st.booleans()), max_size=12)


@given(concurrency=places, queue=st.integers(0, 5), calls=calls, after=calls)
def test_a_childs_bulkhead_is_empty_whatever_was_in_flight(concurrency, queue, calls, after):
    bulkhead = Bulkhead(concurrency, queue, FakeClock())
    tickets = []
    for priority, ends in calls:
        tickets.append(bulkhead.enter(None, priority))
        if ends:
            tickets[0].release()
    bulkhead.forked()
    assert (bulkhead.inside, bulkhead.waiting) == (0, 0)
    own = [bulkhead.enter(None) for _ in range(concurrency)]
    assert [ticket.state for ticket in own] == ["granted"] * concurrency
    for ticket in tickets:  # the copies of the parent's calls end here too
        ticket.served()
        ticket.release()
    assert bulkhead.inside == concurrency
    assert all(ticket.state == "granted" for ticket in own)


@given(
    trial_calls=places, under_way=st.integers(0, 6), lease=st.floats(0, 1000), late=st.booleans()
)
def test_a_child_may_begin_its_trials_whatever_was_tried(trial_calls, under_way, lease, late):
    clock = FakeClock()
    breaker = Breaker("it", BreakerPolicy(trial_calls=trial_calls), clock=clock)
    breaker.trip("outage", 0.0)
    permits = []
    for _ in range(under_way):
        try:
            permits.append(breaker.acquire(lease))
        except CircuitOpen:
            pass
    breaker.forked()
    own = [breaker.acquire() for _ in range(trial_calls)]
    assert all(permit.trial for permit in own)
    for permit in permits:
        permit.release()
    for permit in own:
        permit.success()
    assert breaker.current_state == "closed"


def test_a_count_that_was_cut_short_is_made_up(clock):
    breaker = Breaker("it", BreakerPolicy(minimum_calls=100), clock=clock)
    breaker.acquire().failure()
    window = breaker.state.window
    window.calls, window.failures = 7, 5  # as between two lines of `add`
    breaker.forked()
    assert (window.calls, window.failures, window.slow) == (1, 1, 0)


def held_by_another_thread(*locks):
    """Let a thread take the locks, and keep them until the returned event is set."""
    taken, let_go = threading.Event(), threading.Event()

    def hold():
        for lock in locks:
            lock.__enter__()
        taken.set()
        let_go.wait()
        for lock in reversed(locks):
            lock.__exit__(None, None, None)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(PATIENCE)
    return let_go, thread


class TestForked:
    pytestmark = in_a_fork

    def test_locks_that_threads_held_are_free_in_the_child(self, clock):
        breaker, budget = Breaker("it", clock=clock), RetryBudget()
        bulkhead = Bulkhead(1, 0, clock)
        connection = Connection(Spec("l", "ollama/m"))
        app = load({"targets": {"l": {"model": "ollama/m", "concurrency": 1}}})
        locks = (breaker._guard, budget._lock, bulkhead._lock, connection._lock, app._lock)
        let_go, thread = held_by_another_thread(*locks, REGISTRY._lock)

        def child() -> bool:
            breaker.acquire().failure()
            granted = bulkhead.enter(None).state == "granted"
            app.target("l").health.bulkhead.enter(None)
            return granted and budget.spend() and connection.pool is not None

        try:
            assert child_says(child)
        finally:
            let_go.set()
            thread.join()
        assert (bulkhead.inside, bulkhead.waiting) == (0, 0)  # the parent's are as they were

    def test_calls_in_flight_stay_the_parents(self, clock):
        breaker, bulkhead = Breaker("it", clock=clock), Bulkhead(1, 1, clock)
        breaker.trip("outage", 0.0)
        permit, inside, waiting = breaker.acquire(60.0), bulkhead.enter(None), bulkhead.enter(None)
        assert child_says(lambda: bulkhead.enter(None).state == "granted" and breaker.acquire())
        assert (inside.state, waiting.state) == ("granted", "waiting")
        inside.release()
        assert waiting.state == "granted"
        permit.success()
        assert breaker.current_state == "closed"

    def test_a_call_that_forks_ends_in_both(self, clock):
        bulkhead = Bulkhead(1, 0, clock)
        ticket = bulkhead.enter(None)

        def child() -> bool:
            ticket.served()
            ticket.release()
            return bulkhead.inside == 0

        assert child_says(child)
        ticket.served()
        assert bulkhead.inside == 0


@in_a_fork[0]
@in_a_fork[1]
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
def test_a_childs_ledger_is_free_and_its_own_though_the_application_is_gone(shared, tmp_path):
    """As under gunicorn's preload, with nothing left of the configuration but a route."""
    config = {
        "targets": {"local": {"model": "ollama/m"}},
        "routes": {"chat": {"targets": ["local"]}},
        "budgets": {"team": {"usd": 10.0, "per": "month", "unknown": "refuse"}},
        **({"state": f"sqlite:///{tmp_path}/b.db"} if shared else {}),
    }
    ledger = load(config).route("chat").budgets[0]
    gc.collect()
    if shared:
        turn = ledger.turn(4.0)
        settled = threading.Event()
        turn.when_settled(settled.set)
        assert settled.wait(PATIENCE)
    held = ledger.reserve(4.0)
    held.settle(3.0)
    ledger.reserve(1.0)

    def child() -> bool:
        none_held = ledger.reserved == 0.0
        return none_held and (ledger.reserve(0.5) is None) is shared

    ledger._lock.acquire()  # a call of another thread's, just now
    try:
        assert child_says(child)
    finally:
        ledger._lock.release()
