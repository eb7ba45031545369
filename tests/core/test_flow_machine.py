"""Many calls at once, each answered, broken off or dropped anywhere: nothing leaks, all end."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kit import fails, target

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.failover import CallContext, Policy, failover_flow
from pilotlight.core.flow.recorder import CallRecorder, receipts
from pilotlight.core.flow.steps import Pause, Queue, Relay
from pilotlight.core.provider import Answered, Attempt, Call, Ended, Opened
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import (
    AllTargetsFailed,
    DeadlineExceeded,
    ProviderFault,
    StreamInterrupted,
)
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import Receipt

FAULTS = st.sampled_from(sorted(Fault))
WAITS = st.sampled_from([None, 0.0, 1.0, 30.0])


class Ours(Exception):
    """What a scripted provider raises; nothing else may come out unchanged."""


class Talk:
    """One call on its way, as its driver sees it."""

    def __init__(self, flow: Any, log: list[Receipt], limit: int) -> None:
        self.flow = flow
        self.log = log
        self.limit = limit  # more steps than this would be an infinite loop
        self.step: Any = None
        self.steps: list[Any] = []
        self.said: list[Any] = []

    @property
    def shown(self) -> bool:
        return any(isinstance(step, Relay) for step in self.steps)


class FlowMachine(RuleBasedStateMachine):
    @initialize(data=st.data(), number=st.integers(1, 4))
    def start(self, data: Any, number: int) -> None:
        self.clock = FakeClock()
        self.random = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
        self.targets = [
            target(
                f"t{index}",
                self.clock,
                retry=RetryPolicy(max_retries=data.draw(st.integers(0, 2))),
                breaker=BreakerPolicy(
                    minimum_calls=data.draw(st.integers(1, 5)),
                    trial_calls=data.draw(st.integers(1, 2)),
                    reset_timeout=10.0,
                ),
                concurrency=data.draw(st.sampled_from([None, 1, 2])),
                queue=data.draw(st.integers(0, 2)),
                window=data.draw(st.sampled_from([None, 4, 8])),
                local=data.draw(st.booleans()),
            )
            for index in range(number)
        ]
        self.under_way: list[Talk] = []
        self.ended: list[Talk] = []

    @rule(
        stream=st.booleans(),
        private=st.booleans(),
        deadline=st.sampled_from([None, 5.0, 60.0]),
        restart=st.booleans(),
        lenient=st.booleans(),
    )
    def call(
        self, stream: bool, private: bool, deadline: float | None, restart: bool, lenient: bool
    ) -> None:
        policy = Policy(
            on_interrupt="restart" if restart else "raise",
            fail_over_on=frozenset({Fault.CONTENT_BLOCKED} if lenient else ()),
            accept=(lambda said: said != "refused") if lenient else None,
        )
        until = None if deadline is None else self.clock() + deadline
        call = Call("chat", private=private, deadline=until, stream=stream)
        with receipts() as log:
            recorder = CallRecorder("chat", "t0", private, self.clock)
        trip = CallContext(call, self.targets, policy, self.clock, recorder, lambda: self.random)
        # At most: a queue, two tries and a pause between, a relay, for each; a throttle, and a
        # last resort.
        talk = Talk(failover_flow(trip), log, limit=9 * (len(self.targets) + 2))
        self.advance(talk, None)

    def advance(self, talk: Talk, outcome: Any) -> None:
        if outcome is not None:
            talk.said.append(outcome)
        try:
            talk.step = talk.flow.send(outcome)
        except StopIteration:
            return self.over(talk, {"primary", "failover"})
        except StreamInterrupted:
            assert isinstance(talk.steps[-1], Relay)
            return self.over(talk, {"interrupted"})
        except (AllTargetsFailed, DeadlineExceeded):
            return self.over(talk, {"exhausted"})
        except (Ours, ProviderFault) as error:
            assert (
                isinstance(error, ProviderFault) == talk.log[0].private
            )  # a private one quotes nobody
            return self.over(talk, {"raised"})
        assert isinstance(talk.step, Attempt | Pause | Queue | Relay)
        talk.steps.append(talk.step)
        assert len(talk.steps) <= talk.limit
        if isinstance(talk.step, Attempt):
            assert talk.step.timeouts.total is None or talk.step.timeouts.total > 0
        if talk not in self.under_way:
            self.under_way.append(talk)
        return None

    def over(self, talk: Talk, outcomes: set[str]) -> None:
        if talk in self.under_way:
            self.under_way.remove(talk)
        talk.flow.close()  # as every driver does
        assert [receipt.outcome for receipt in talk.log] and len(talk.log) == 1
        assert talk.log[0].outcome in outcomes
        self.ended.append(talk)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), fault=FAULTS, wait=WAITS, takes=st.sampled_from([0.0, 0.0, 3.0]))
    def failure(self, data: Any, fault: Fault, wait: float | None, takes: float) -> None:
        talk = data.draw(st.sampled_from(self.under_way))
        self.clock.advance(takes)
        if isinstance(talk.step, Attempt | Relay):
            tool = isinstance(talk.step, Relay) and data.draw(st.booleans())
            said = fails(fault, Ours(fault), retry_after=wait, tool_begun=tool)
            self.advance(talk, said)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), text=st.sampled_from(["hello", "refused"]))
    def goes_well(self, data: Any, text: str) -> None:
        talk = data.draw(st.sampled_from(self.under_way))
        if isinstance(talk.step, Pause):
            self.clock.advance(talk.step.seconds)
            self.advance(talk, None)
        elif isinstance(talk.step, Queue):
            self.advance(talk, None)  # granted or not, as it happens
        elif isinstance(talk.step, Relay):
            self.advance(talk, Ended())
        else:
            streams = data.draw(st.booleans())
            self.advance(talk, Opened() if streams else Answered(text))

    @precondition(lambda self: self.under_way)
    @rule(
        data=st.data(),
        how=st.sampled_from([None, KeyboardInterrupt(), SystemExit(), Ours("a bug")]),
    )
    def broken_off(self, data: Any, how: BaseException | None) -> None:
        talk = data.draw(st.sampled_from(self.under_way))
        before = [t.health.breaker.fail_counter for t in self.targets]
        if how is None:
            talk.flow.close()
            self.over(talk, {"abandoned" if talk.shown else "cancelled"})
        else:
            try:
                talk.flow.throw(how)
            except type(how):
                pass
            else:
                raise AssertionError("the flow swallowed what was thrown into it")
            self.over(talk, {"raised"})
        assert before == [t.health.breaker.fail_counter for t in self.targets]

    @rule(seconds=st.sampled_from([0.5, 10.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def nobody_is_inside_who_should_not_be(self) -> None:
        for one in self.targets:
            asked = [t for t in self.under_way if self.holds(t, one)]
            if (bulkhead := one.health.bulkhead) is not None:
                assert bulkhead.inside <= bulkhead.concurrency
                waiting = [t for t in self.under_way if isinstance(t.step, Queue)
                           and t.step.ticket._bulkhead is bulkhead]  # fmt: skip
                assert bulkhead.inside + bulkhead.waiting == len(asked) + len(waiting)
            places = getattr(one.health.breaker.state, "places", set())
            assert len(places) <= len(asked)

    def holds(self, talk: Talk, one: Any) -> bool:
        """Whether a call is being answered by this target just now."""
        if not isinstance(talk.step, Attempt | Relay):
            return False
        attempts = [step for step in talk.steps if isinstance(step, Attempt)]
        return attempts[-1].target is one

    def teardown(self) -> None:
        for talk in list(getattr(self, "under_way", [])):
            talk.flow.close()
            self.over(talk, {"abandoned", "cancelled"})
        for one in getattr(self, "targets", []):
            if one.health.bulkhead is not None:
                assert (one.health.bulkhead.inside, one.health.bulkhead.waiting) == (0, 0)
            assert not getattr(one.health.breaker.state, "places", set())
            assert getattr(one.health.breaker.state, "resort", None) is None
        for talk in getattr(self, "ended", []):
            assert len(talk.log) == 1  # and nobody finished it once more


TestFlowMachine = FlowMachine.TestCase
TestFlowMachine.settings = settings(
    max_examples=settings().max_examples * 3 // 2, stateful_step_count=30, deadline=None
)
