"""The flow as a conversation: streams, which commit late and never splice two texts."""

from __future__ import annotations

import pytest
from kit import fails, flow, returned, target, totals

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.steps import Relay, StreamRestarted
from pilotlight.core.provider import Attempt, Ended, Facts, Opened
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import StreamInterrupted
from pilotlight.vocabulary.faults import Fault

RETRY = RetryPolicy(max_retries=1, wait_initial=0.5, wait_max=8.0)
CALM = BreakerPolicy(minimum_calls=99, consecutive_failures=99)


# Streams.


def test_a_stream_is_relayed_and_ends(clock):
    gpt = target("gpt", clock)
    talk, recorder = flow([gpt], clock, stream=True)
    next(talk)
    assert talk.send(Opened()) == Relay()
    clock.advance(9)
    assert returned(talk, Ended(Facts(completion_tokens=3))) is None
    assert totals(gpt) == (1, 0)
    assert recorder.receipt().outcome == "primary"
    assert recorder.receipt().attempts[0].completion_tokens == 3


def test_a_stream_that_fails_before_its_first_text_fails_over(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, _ = flow([gpt, local], clock, stream=True)
    next(talk)
    assert talk.send(fails(Fault.STREAM_STALLED)) == Attempt(local, local.timeouts, 0)
    assert talk.send(Opened()) == Relay(None)


def test_a_stream_that_breaks_after_it_is_interrupted(clock):
    gpt, local, cause = target("gpt", clock), target("local", clock), OSError("reset")
    talk, recorder = flow([gpt, local], clock, stream=True)
    next(talk), talk.send(Opened())
    with pytest.raises(StreamInterrupted) as caught:
        talk.send(fails(Fault.STREAM_TRUNCATED, cause, partial="Once upon"))
    error = caught.value
    assert (error.target, error.fault, error.partial_text) == (
        "gpt",
        "stream_truncated",
        "Once upon",
    )
    assert error.__cause__ is cause
    assert error.receipt == recorder.receipt()
    assert error.receipt.outcome == "interrupted"
    assert totals(gpt) == (1, 1)


RESTART = Policy(on_interrupt="restart")


def test_a_restart_is_announced_and_then_begins_anew(clock):
    gpt, claude, local = (target(name, clock) for name in ("gpt", "claude", "local"))
    talk, recorder = flow([gpt, claude, local], clock, policy=RESTART, stream=True)
    next(talk), talk.send(Opened())
    assert talk.send(fails(Fault.STREAM_INTERRUPTED, partial="Once")).target is claude
    assert talk.send(fails(Fault.TIMEOUT)).target is local  # claude showed nothing
    assert talk.send(Opened()) == Relay(StreamRestarted("gpt", "local", "stream_interrupted"))
    returned(talk, Ended())
    assert recorder.receipt().outcome == "failover"


def test_a_stream_is_not_retried_after_text_although_the_fault_could_be(clock):
    gpt, local = target("gpt", clock, retry=RETRY, breaker=CALM), target("local", clock)
    talk, _ = flow([gpt, local], clock, policy=RESTART, stream=True)
    next(talk), talk.send(Opened())
    assert talk.send(fails(Fault.STREAM_INTERRUPTED)) == Attempt(local, local.timeouts, 0)


@pytest.mark.parametrize("tool_begun", [True, False])
def test_a_restart_needs_another_target_and_no_tool_begun(clock, tool_begun):
    targets = [target("gpt", clock), target("local", clock)][: 1 + tool_begun]
    talk, _ = flow(targets, clock, policy=RESTART, stream=True)
    next(talk), talk.send(Opened())
    with pytest.raises(StreamInterrupted):
        talk.send(fails(Fault.STREAM_INTERRUPTED, tool_begun=tool_begun))
