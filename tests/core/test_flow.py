"""The flow as a conversation: what it asks for, and what it makes of each answer.

No driver, thread, event loop or mock: `next` and `send`, compared with `==`.
"""

from __future__ import annotations

import pytest
from kit import fails, flow, returned, target, totals

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.drills import forced
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.steps import Pause
from pilotlight.core.provider import Answered, Attempt, Facts
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import AllTargetsFailed, CircuitOpen, ProviderFault
from pilotlight.vocabulary.faults import RULES, Fault

RETRY = RetryPolicy(max_retries=1, wait_initial=0.5, wait_max=8.0)
CALM = BreakerPolicy(minimum_calls=99, consecutive_failures=99)


def test_the_first_target_answers(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    assert next(talk) == Attempt(gpt, gpt.timeouts, 0)
    clock.advance(2)
    assert returned(talk, Answered("hello", Facts(model="gpt-4o"))) == "hello"
    assert totals(gpt) == (1, 0)
    receipt = recorder.receipt()
    assert (receipt.outcome, receipt.served_by, receipt.served_model) == (
        "primary",
        "gpt",
        "gpt-4o",
    )
    assert receipt.attempts[0].duration == receipt.duration == 2.0


def test_a_failure_is_retried_then_failed_over(clock):
    gpt, local = target("gpt", clock, retry=RETRY, breaker=CALM), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    assert next(talk) == Attempt(gpt, gpt.timeouts, 0)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Pause(0.5)
    assert talk.send(None) == Attempt(gpt, gpt.timeouts, 1)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Attempt(local, local.timeouts, 0)
    assert returned(talk, Answered("hi")) == "hi"
    assert totals(gpt) == (2, 2)
    receipt = recorder.receipt()
    assert [(a.target, a.number, a.fault) for a in receipt.attempts] == [
        ("gpt", 0, "server_error"), ("gpt", 1, "server_error"), ("local", 0, None),
    ]  # fmt: skip
    assert (receipt.outcome, receipt.failed_over) == ("failover", True)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_target_is_asked_again_as_often_as_it_says(clock, most):
    gpt = target("gpt", clock, retry=RetryPolicy(max_retries=most), breaker=CALM)
    talk, _ = flow([gpt, target("local", clock)], clock)
    step = next(talk)
    for _ in range(most):
        assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause)
        step = talk.send(None)
        assert step.target is gpt
    assert talk.send(fails(Fault.SERVER_ERROR)).target.name == "local"


@pytest.mark.parametrize("fault", [fault for fault in Fault if not RULES[fault].retried])
def test_a_fault_that_is_not_to_be_retried_is_not_however_often_the_target_allows(clock, fault):
    gpt = target("gpt", clock, retry=RetryPolicy(max_retries=5), breaker=CALM)
    talk, _ = flow([gpt, target("local", clock)], clock)
    next(talk)
    try:
        assert talk.send(fails(fault)).target.name == "local"
    except Exception as raised:
        assert raised is not None  # the caller's own mistake: nobody else is asked


def test_the_pause_is_jittered(clock):
    gpt = target("gpt", clock, retry=RETRY, breaker=CALM)
    talk, _ = flow([gpt], clock, random=lambda: 0.25)
    next(talk)
    assert talk.send(fails(Fault.OVERLOADED)) == Pause(0.125)


def test_retries_stop_when_the_budget_is_spent_and_successes_earn_more(clock):
    gpt = target(
        "gpt", clock, retry=RetryPolicy(budget_reserve=2.0, budget_ratio=0.5), breaker=CALM
    )
    local = target("local", clock)

    def call(*said) -> list[object]:
        talk, _ = flow([gpt, local], clock)
        steps = [next(talk)]
        try:
            for outcome in said:
                steps.append(talk.send(outcome))
        except StopIteration:
            pass
        talk.close()
        return [type(step).__name__ for step in steps]

    def failing() -> list[object]:
        return call(fails(Fault.SERVER_ERROR))

    assert [failing()[1] for _ in range(3)] == ["Pause", "Pause", "Attempt"]
    call(Answered("a")), call(Answered("b"))
    assert [failing()[1] for _ in range(2)] == ["Pause", "Attempt"]


def test_the_breaker_is_asked_before_the_pause(clock):
    """The failure that opens the circuit is not followed by a pause for nothing."""
    gpt = target("gpt", clock, retry=RETRY, breaker=BreakerPolicy(minimum_calls=1))
    local = target("local", clock)
    talk, _ = flow([gpt, local], clock)
    next(talk)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Attempt(local, local.timeouts, 0)
    assert gpt.health.budget.spend() and gpt.health.budget.spend() and gpt.health.budget.spend()


def test_a_breaker_that_opens_during_the_pause_ends_the_retry(clock):
    gpt, local = target("gpt", clock, retry=RETRY, breaker=CALM), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    next(talk)
    assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause)
    gpt.health.breaker.trip("outage", 60.0)
    assert talk.send(None) == Attempt(local, local.timeouts, 0)
    talk.close()
    assert [s.reason for s in recorder.skipped] == ["breaker_open"]


def test_a_trial_that_fails_is_not_retried(clock):
    gpt, local = target("gpt", clock, retry=RETRY), target("local", clock)
    gpt.health.breaker.trip("outage", 0.0)
    talk, recorder = flow([gpt, local], clock)
    next(talk)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Attempt(local, local.timeouts, 0)
    assert recorder.attempts[0].breaker == "half-open"


def test_a_tripping_fault_opens_for_the_time_the_provider_names(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, _ = flow([gpt, local], clock)
    next(talk)
    talk.send(fails(Fault.RATE_LIMITED, retry_after=42.0))
    assert (gpt.health.breaker.reason, gpt.health.breaker.retry_after) == ("rate_limited", 42.0)


@pytest.mark.parametrize("wait", [0.0, 0.001, 0.5])
def test_a_throttle_opens_for_a_second_at_least(clock, wait):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, _ = flow([gpt, local], clock)
    next(talk)
    talk.send(fails(Fault.RATE_LIMITED, retry_after=wait))
    assert (gpt.health.breaker.reason, gpt.health.breaker.retry_after) == ("rate_limited", 1.0)


def test_an_ignored_fault_leaves_no_trace_in_the_breaker(clock):
    gpt = target("gpt", clock)
    talk, _ = flow([gpt], clock)
    next(talk)
    with pytest.raises(OSError):
        talk.send(fails(Fault.INVALID_REQUEST))
    assert totals(gpt) == (0, 0)


# Ending without an answer.


def test_the_callers_mistake_is_raised_unchanged(clock):
    error = ValueError("max_tokens is too large")
    gpt, local = target("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    next(talk)
    with pytest.raises(ValueError) as caught:
        talk.send(fails(Fault.INVALID_REQUEST, error))
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert not hasattr(error, "__notes__")
    assert recorder.receipt().outcome == "raised"


def test_after_another_attempt_the_exception_notes_who_was_asked(clock):
    error = ValueError("bad")
    talk, _ = flow([target("gpt", clock), target("local", clock)], clock)
    next(talk)
    talk.send(fails(Fault.TIMEOUT, status=504))
    with pytest.raises(ValueError):
        talk.send(fails(Fault.INVALID_REQUEST, error))
    assert error.__notes__ == ["pilotlight asked: gpt timeout (504), then local invalid_request"]


def test_when_all_fail_the_group_says_why_in_order(clock):
    gpt, claude, local = (target(name, clock) for name in ("gpt", "claude", "local"))
    claude.health.breaker.trip("outage", 30.0)
    errors = OSError("gpt"), OSError("local")
    talk, recorder = flow([gpt, claude, local], clock)
    next(talk)
    talk.send(fails(Fault.RATE_LIMITED, errors[0], retry_after=12.0))
    with pytest.raises(AllTargetsFailed) as caught:
        talk.send(fails(Fault.SERVER_ERROR, errors[1]))
    group = caught.value
    assert (group.exceptions[0], group.exceptions[2]) == errors
    assert isinstance(group.exceptions[1], CircuitOpen)
    assert group.exceptions[1].target == "claude"
    assert group.retry_after == 12.0
    assert str(group).splitlines()[1:] == [
        "  gpt rate_limited",
        "  claude breaker_open",
        "  local server_error",
    ]
    assert group.receipt == recorder.receipt()
    assert group.receipt.outcome == "exhausted"


def test_a_break_without_end_is_no_time_to_come_back(clock):
    gpt = target("gpt", clock)
    gpt.health.breaker.trip("model_retired", float("inf"))
    talk, _ = flow([gpt], clock)
    with pytest.raises(AllTargetsFailed) as caught:
        next(talk)
    assert caught.value.retry_after is None


# What the route may say.


def test_accept_may_refuse_an_answer_which_is_no_fault_of_the_target(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock, policy=Policy(accept=lambda said: said != "no"))
    next(talk)
    assert talk.send(Answered("no", Facts(status=200))) == Attempt(local, local.timeouts, 0)
    assert returned(talk, Answered("yes")) == "yes"
    assert totals(gpt) == (0, 0)
    assert (recorder.attempts[0].fault, recorder.attempts[0].status) == ("rejected", 200)


def test_an_accept_that_raises_lets_the_answer_through(clock, caplog):
    def accept(said):
        raise KeyError("bug")

    talk, _ = flow([target("gpt", clock)], clock, policy=Policy(accept=accept))
    next(talk)
    assert returned(talk, Answered("fine")) == "fine"
    assert "accept" in caplog.text


def test_a_drill_answers_in_the_place_of_the_target(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    with forced.drill("test/gpt", Fault.AUTH_FAILED) as one:
        talk, recorder = flow([gpt, local], clock)
        assert next(talk) == Attempt(local, local.timeouts, 0)  # gpt is not even asked
        talk.close()
    assert one.hits == 1
    assert (gpt.health.breaker.reason, recorder.attempts[0].evidence) == ("auth_failed", "drill")
    assert isinstance(recorder.errors[0], ProviderFault)
    assert not forced.active
