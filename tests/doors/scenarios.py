"""One table of scenarios; `ways` has every way to run one.

A scenario says who stands in the route and what should come of a call.  What should
come of a *fault* is worked out by `oracle`, from the fault table alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pilotlight.core.flow.failover import Policy
from pilotlight.core.provider import Timeouts
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault

LENIENT = Policy(fail_over_on=frozenset(f for f in Fault if RULES[f].elsewhere is Elsewhere.POLICY))


@dataclass(frozen=True)
class Expected:
    """What should come of a call: a text or an error, and who was asked."""

    tries: list[tuple[str, str | None]]  # target and fault, in order
    outcome: str
    text: str | None = None
    error: str | None = None  # the name of the exception's class
    skipped: list[tuple[str, str]] = field(default_factory=list)
    slept: float | None = None  # seconds in all; None: not looked at


@dataclass(frozen=True)
class Scenario:
    name: str
    build: Callable[[FakeClock], list[ScriptedTarget]]
    expected: Callable[[bool], Expected]  # told whether it is a stream
    policy: Policy = Policy()
    private: bool = False
    total_timeout: float | None = None


# What the fault table promises, worked out once more, simply.


def oracle(fault: Fault, position: str, lenient: bool) -> Expected:
    """What a call comes to when the target in that position has this fault.

    Each target may retry once.  In a lenient route the second target has the larger
    window and is local, and every policy says yes.
    """
    rule = RULES[fault]
    name = "b" if position == "second" else "a"
    tries: list[tuple[str, str | None]] = [(name, fault.value)]
    slept = None
    if rule.retried and rule.breaker is not Effect.OPENS:
        tries.append((name, None if position == "once" else fault.value))
    else:
        slept = 0.0
    if position == "second":
        tries = [("a", "timeout"), *tries]
    if tries[-1][1] is None:
        return Expected(tries, "primary", text="a says so")
    on = {
        Elsewhere.YES: True,
        Elsewhere.LOCAL: True,  # who is not local is passed over
        Elsewhere.NO: False,
        Elsewhere.POLICY: lenient,
        # Second is after an outage: the call ends in one, whoever it was too long for.
        Elsewhere.LARGER: position == "second" or (lenient and position != "only"),
    }[rule.elsewhere]
    if not on:
        return Expected(tries, "raised", error="ProviderFault", slept=slept)
    if position in ("second", "only"):
        return Expected(tries, "exhausted", error="AllTargetsFailed", slept=slept)
    if rule.elsewhere is Elsewhere.LOCAL and not lenient:
        skipped = [("b", "residency")]
        return Expected(tries, "exhausted", error="AllTargetsFailed", skipped=skipped, slept=slept)
    return Expected([*tries, ("b", None)], "failover", text="b says so", slept=slept)


def of_fault(fault: Fault, position: str, lenient: bool) -> Scenario:
    def build(clock: FakeClock) -> list[ScriptedTarget]:
        retry = RetryPolicy(max_retries=1)
        script = {
            "first": ([fault], ["b says so"]),
            "once": ([fault, "a says so"], ["b says so"]),
            "second": ([Fault.TIMEOUT], [fault]),
            "only": ([fault], []),
        }[position]
        sizes = (8, 16) if lenient else (16, 8)
        a = ScriptedTarget("a", *script[0], clock=clock, retry=retry, window=sizes[0])
        b = ScriptedTarget(
            "b", *script[1], clock=clock, retry=retry, window=sizes[1], local=lenient
        )
        return [a] if position == "only" else [a, b]

    name = f"{fault}-{position}-{'lenient' if lenient else 'strict'}"
    policy = LENIENT if lenient else Policy()
    return Scenario(name, build, lambda stream: oracle(fault, position, lenient), policy)


POSITIONS = ("first", "once", "second", "only")
FAULTS = [
    of_fault(fault, position, lenient)
    for fault in Fault
    for position in POSITIONS
    for lenient in (False, True)
    if not lenient or RULES[fault].elsewhere not in (Elsewhere.YES, Elsewhere.NO)
]


def two(*first: Any, second: Any = "b says so", **options: Any) -> Callable[..., Any]:
    """A route of two: the first with this script, the second one well and local."""

    def build(clock: FakeClock) -> list[ScriptedTarget]:
        a = ScriptedTarget("a", *first, clock=clock, **options)
        return [a, ScriptedTarget("b", second, clock=clock, local=True)]

    return build


def prepared(build: Callable[..., Any], prepare: Callable[[Any], object]) -> Callable[..., Any]:
    def built(clock: FakeClock) -> list[ScriptedTarget]:
        targets = build(clock)
        prepare(targets)
        return targets

    return built


def alone(*script: Any, **options: Any) -> Callable[..., Any]:
    return lambda clock: [ScriptedTarget("a", *script, clock=clock, **options)]


def always(*args: Any, **more: Any) -> Callable[[bool], Expected]:
    return lambda stream: Expected(*args, **more)


BROKEN = Fails(Fault.STREAM_INTERRUPTED, after="once upon ")
ANSWERED_BY_B = Expected([("a", "stream_interrupted"), ("b", None)], "failover", text="b says so")


def down(targets: list[ScriptedTarget]) -> None:
    targets[0].health.breaker.trip("quota_exhausted", 600.0)
    targets[1].health.breaker.trip("outage", 30.0)


SPECIAL = [
    Scenario(
        "all is well",
        two("a says so"),
        always([("a", None)], "primary", text="a says so", slept=0.0),
    ),
    Scenario(
        "broken after text",
        two(BROKEN),
        lambda stream: (
            Expected([("a", "stream_interrupted")], "interrupted", error="StreamInterrupted")
            if stream
            else ANSWERED_BY_B
        ),
    ),
    Scenario(
        "broken after text, restart", two(BROKEN), always(**vars(ANSWERED_BY_B)), Policy("restart")
    ),
    Scenario(
        "broken after text, restart, nobody left",
        alone(BROKEN),
        lambda stream: Expected(
            [("a", "stream_interrupted")],
            "interrupted" if stream else "exhausted",
            error="StreamInterrupted" if stream else "AllTargetsFailed",
        ),
        Policy("restart"),
    ),
    Scenario(
        "slow, in time for the next",
        two(Fails(Fault.TIMEOUT, takes=40.0)),
        always([("a", "timeout"), ("b", None)], "failover", text="b says so"),
        total_timeout=60.0,
    ),
    Scenario(
        "slow, past the deadline",
        two(Fails(Fault.TIMEOUT, takes=60.0)),
        always([("a", "timeout")], "exhausted", error="DeadlineExceeded"),
        total_timeout=60.0,
    ),
    Scenario(
        "throttled shortly, somebody else answers",
        two(Fails(Fault.RATE_LIMITED, retry_after=2.0)),
        always([("a", "rate_limited"), ("b", None)], "failover", text="b says so", slept=0.0),
    ),
    Scenario(
        "throttled shortly, nobody else",
        alone(Fails(Fault.RATE_LIMITED, retry_after=2.0), "a says so"),
        always([("a", "rate_limited"), ("a", None)], "primary", text="a says so", slept=2.0),
    ),
    Scenario(
        "overloaded and asked to wait, somebody else answers",
        two(Fails(Fault.OVERLOADED, retry_after=5.0), retry=RetryPolicy(max_retries=1)),
        always([("a", "overloaded"), ("b", None)], "failover", text="b says so", slept=0.0),
    ),
    Scenario(
        "asked to wait by an earlier call",
        prepared(two("never"), lambda t: t[0].health.hold(30.0)),
        always(
            [("b", None)], "failover", text="b says so", slept=0.0, skipped=[("a", "asked_to_wait")]
        ),
    ),
    Scenario(
        "asked to wait shortly, and worth it",
        two(Fails(Fault.OVERLOADED, retry_after=2.0), "a says so"),
        always([("a", "overloaded"), ("a", None)], "primary", text="a says so", slept=2.0),
        Policy(sit_out=3.0),
    ),
    Scenario(
        "failed slowly",
        two(Fails(Fault.SERVER_ERROR, takes=6.0), retry=RetryPolicy(max_retries=1)),
        always([("a", "server_error"), ("b", None)], "failover", text="b says so", slept=6.0),
    ),
    Scenario(
        "throttled shortly, the other one is down",
        two(Fails(Fault.RATE_LIMITED, retry_after=2.0), "a says so", second=Fault.TIMEOUT),
        always(
            [("a", "rate_limited"), ("b", "timeout"), ("a", None)],
            "primary",
            text="a says so",
            slept=2.0,
        ),  # fmt: skip
    ),
    Scenario(
        "throttled long, nobody else",
        alone(Fails(Fault.RATE_LIMITED, retry_after=60.0), "never"),
        always([("a", "rate_limited")], "exhausted", error="AllTargetsFailed", slept=0.0),
    ),
    Scenario(
        "breaker open",
        prepared(two("never"), lambda t: t[0].health.breaker.trip("outage", 30.0)),
        always([("b", None)], "failover", text="b says so", skipped=[("a", "breaker_open")]),
    ),
    Scenario(
        "bulkhead full",
        prepared(two("never", concurrency=1), lambda t: t[0].health.bulkhead.enter(None)),
        always([("b", None)], "failover", text="b says so", skipped=[("a", "saturated")]),
    ),
    Scenario(
        "bulkhead full, and nobody behind",
        prepared(alone(concurrency=1), lambda t: t[0].health.bulkhead.enter(None)),
        always([], "exhausted", error="AllTargetsFailed", slept=0.0, skipped=[("a", "saturated")]),
    ),
    Scenario(
        "the wait for a place takes too long",
        prepared(
            two("never", concurrency=1, queue=1, timeouts=Timeouts(total=3.0)),
            lambda t: t[0].health.bulkhead.enter(None),
        ),
        always(
            [("b", None)], "failover", text="b says so", slept=3.0, skipped=[("a", "saturated")]
        ),
    ),
    Scenario(
        "all down",
        prepared(two("never", second="never"), down),
        always(
            [],
            "exhausted",
            error="AllTargetsFailed",
            slept=0.0,
            skipped=[("a", "breaker_open"), ("b", "breaker_open")],
        ),  # fmt: skip
    ),
    Scenario(
        "private",
        two("never"),
        always([("b", None)], "failover", text="b says so", skipped=[("a", "residency")]),
        private=True,
    ),
    Scenario(
        "private, and the local one fails",
        two("never", second=Fault.LOCAL_RUNNER_CRASHED),
        always(
            [("b", "local_runner_crashed")],
            "exhausted",
            error="AllTargetsFailed",
            skipped=[("a", "residency")],
        ),  # fmt: skip
        private=True,
    ),
]
