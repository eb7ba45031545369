"""What users of pybreaker keep, and what of pybreaker's insides we stand on."""

from __future__ import annotations

import inspect

import pybreaker
import pytest
from kit import breaker, opened

from pilotlight.errors import CircuitOpen


class Log(pybreaker.CircuitBreakerListener):
    def __init__(self) -> None:
        self.log: list[object] = []

    def state_change(self, cb, old_state, new_state) -> None:
        self.log.append((old_state.name, new_state.name))

    def failure(self, cb, exc) -> None:
        self.log.append(exc)

    def success(self, cb) -> None:
        self.log.append("success")


class Elsewhere(pybreaker.CircuitMemoryStorage):
    """A storage that others may move, as Redis is."""


def test_it_is_a_pybreaker(clock):
    guard = breaker(clock)
    assert isinstance(guard, pybreaker.CircuitBreaker)
    assert isinstance(guard.state, pybreaker.CircuitClosedState)
    guard.trip("drill", 1.0)
    assert isinstance(guard.state, pybreaker.CircuitOpenState)
    clock.advance(1)
    guard.acquire()
    assert isinstance(guard.state, pybreaker.CircuitHalfOpenState)
    assert guard.name == "gpt"


def test_a_refusal_is_pybreakers_error(clock):
    guard = opened(clock)
    with pytest.raises(pybreaker.CircuitBreakerError):
        guard.acquire()
    with pytest.raises(pybreaker.CircuitBreakerError):
        guard.call(lambda: "never")


def test_listeners_hear_of_outcomes_and_changes_in_order(clock):
    log = Log()
    guard = breaker(clock, minimum_calls=2)
    guard.add_listener(log)
    error = OSError()
    guard.acquire().success()
    guard.acquire().failure(error)
    clock.advance(15)
    guard.acquire().success()
    guard.remove_listener(log)
    guard.trip("drill")
    assert log.log == [
        "success",
        error,
        ("closed", "open"),
        ("open", "half-open"),
        "success",
        ("half-open", "closed"),
    ]


def test_an_excluded_error_shows_that_the_provider_is_alive(clock):
    guard = breaker(clock, exclude=[KeyError, lambda error: "mine" in str(error)])
    for error in (KeyError("x"), RuntimeError("mine")):
        for _ in range(5):
            with pytest.raises(type(error)), guard.acquire():
                raise error
    assert (guard.state.window.calls, guard.state.window.failures) == (10, 0)
    guard.add_excluded_exception(OSError)
    guard.acquire().failure(ConnectionError())
    assert guard.state.window.failures == 0


def test_the_counter_counts_failures_in_a_row(clock):
    guard = breaker(clock, minimum_calls=99, consecutive_failures=99)
    for _ in range(3):
        guard.acquire().failure(OSError())
    assert guard.fail_counter == 3
    guard.acquire().success()
    assert guard.fail_counter == 0


def test_open_half_open_and_close_by_hand(clock):
    guard = breaker(clock)
    guard.open()
    assert (guard.current_state, guard.reason, guard.retry_after) == ("open", "forced", 15.0)
    guard.half_open()
    assert guard.acquire().trial
    guard.close()
    assert not guard.acquire().trial


def test_call_hands_results_and_errors_through(clock):
    guard = breaker(clock, minimum_calls=1)
    assert guard.call(lambda a, b: a + b, 1, b=2) == 3

    def broken():
        raise OSError("the provider's own")

    with pytest.raises(OSError, match="the provider's own"):  # not pybreaker's, also when it trips
        guard.call(broken)
    assert guard.current_state == "open"


def test_calling_guards_a_block(clock):
    """pybreaker's own goes through `call`, which would see nothing but a generator's birth."""
    guard = breaker(clock, minimum_calls=2, failure_rate=1.0)
    for _ in range(2):
        with pytest.raises(OSError), guard.calling():
            raise OSError
    assert guard.current_state == "open"
    with pytest.raises(CircuitOpen), guard.calling():
        pass


def test_as_a_decorator_it_guards_a_function(clock):
    guard = breaker(clock)

    @guard
    def add(a, b):
        """Add."""
        return a + b

    assert (add(1, 2), add.__doc__) == (3, "Add.")
    assert guard.state.window.calls == 1


@pytest.mark.parametrize("name", ["_create_new_state", "_handle_error"])
def test_the_hooks_we_rely_on_exist(name):
    owner = pybreaker.CircuitBreaker if "create" in name else pybreaker.CircuitBreakerState
    assert callable(getattr(owner, name))


def test_the_attributes_we_rely_on_exist():
    """A pybreaker that renames one of them must be refused by the dependency's upper bound."""
    stock = pybreaker.CircuitBreaker()
    for name in (
        "_lock", "_state", "_state_storage", "_reset_timeout", "_success_threshold", "_listeners",
    ):  # fmt: skip
        assert name in vars(stock), name
    assert stock.state._breaker is stock
    parameters = inspect.signature(pybreaker.CircuitBreaker._create_new_state).parameters
    assert list(parameters) == ["self", "new_state", "prev_state", "notify"]
    source = inspect.getsource(pybreaker.CircuitBreaker.state.fset)
    assert "_create_new_state" in source and "self._lock" in source


# Storages that others share.


def test_a_shared_storage_moved_by_somebody_else_is_noticed(clock):
    storage, log = Elsewhere("closed"), Log()
    ours = breaker(clock, state_storage=storage, listeners=[log])
    theirs = breaker(clock, state_storage=storage)
    theirs.trip("outage")
    with pytest.raises(CircuitOpen):
        ours.acquire()
    assert log.log == [("closed", "open")]
    theirs.close()
    ours.acquire().success()
    assert ours.current_state == "closed"


def test_a_break_begun_elsewhere_lasts_the_usual_time_and_not_our_last_one(clock):
    storage = Elsewhere("closed")
    ours = breaker(clock, state_storage=storage)
    theirs = breaker(clock, state_storage=storage)
    ours.trip("model_retired", 9999.0)
    ours.close()
    theirs.trip("outage")
    assert ours.retry_after == 15.0
    assert ours.reason != "model_retired"


def test_a_process_that_starts_while_the_circuit_is_open_joins_the_break(clock):
    storage = Elsewhere("closed")
    breaker(clock, state_storage=storage).trip("outage")
    late = breaker(clock, state_storage=storage)
    assert late.retry_after == 15.0
    clock.advance(15)
    late.acquire().success()
    assert late.current_state == "closed"
