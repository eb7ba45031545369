"""What the core's tests share: breakers in a wanted state, targets without a provider."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.drills.schedule import GameDays
from pilotlight.core.flow.failover import CallContext, Policy, failover_flow
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.provider import Call, Failed, Report, Timeouts
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.target import Health, Target
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault

PATIENCE = 30.0  # real seconds until a test that waits for another thread gives up


def exact() -> float:
    """No jitter."""
    return 0.0


def breaker(clock: FakeClock, **numbers: Any) -> Breaker:
    """A breaker that opens after four failures in a row, for 15 s."""
    extra = {
        key: numbers.pop(key) for key in ("listeners", "exclude", "state_storage") if key in numbers
    }
    given = {"minimum_calls": 4, "failure_rate": 0.5, "window": 30.0, "reset_timeout": 15.0}
    return Breaker("gpt", BreakerPolicy(**given | numbers), clock=clock, chance=exact, **extra)


def opened(clock: FakeClock, **numbers: Any) -> Breaker:
    """The same, opened by failures just now."""
    made = breaker(clock, **numbers)
    for _ in range(made.policy.minimum_calls):
        made.acquire().failure(ConnectionError())
    assert made.state.name == "open"
    return made


def half_open(clock: FakeClock, **numbers: Any) -> Breaker:
    """The same, with its break just over: the next permits are trials."""
    made = opened(clock, **numbers)
    clock.advance(made.policy.reset_timeout)
    return made


def in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in so many threads, all let go at one moment; return what they returned."""
    start = threading.Barrier(number)

    def one(index: int) -> Any:
        start.wait(PATIENCE)
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number), timeout=PATIENCE))


def target(
    name: str,
    clock: FakeClock,
    *,
    breaker: BreakerPolicy | None = None,
    retry: RetryPolicy = RetryPolicy(max_retries=0),
    concurrency: int | None = None,
    queue: int = 0,
    window: int | None = None,
    lacks: frozenset[str] = frozenset(),
    **more: Any,
) -> Target:
    """A target that nobody can ask: the flow alone must decide."""
    return Target(
        name=name,
        model=f"test/{name}",
        provider=None,  # type: ignore[arg-type]
        health=Health(
            Breaker(name, breaker, clock=clock, chance=exact),
            RetryBudget(retry.budget_ratio, retry.budget_reserve),
            None if concurrency is None else Bulkhead(concurrency, queue, clock),
        ),
        retry=retry,
        window=lambda: window,
        lacks=lambda: lacks,
        **{"timeouts": Timeouts(total=None), **more},
    )


def trip(
    targets: list[Target],
    clock: FakeClock,
    *,
    policy: Policy | None = None,
    random: Callable[[], float] = lambda: 1.0,
    game_days: GameDays | None = None,
    budgets: tuple[Ledger, ...] = (),
    **call: Any,
) -> CallContext:
    """A call on its way to these targets."""
    told = Call("chat", **call)
    recorder = CallRecorder("chat", targets[0].name, told.private, clock)
    return CallContext(
        told, targets, policy or Policy(), clock, recorder, random,
        game_days=game_days, budgets=budgets,
    )  # fmt: skip


def flow(targets: list[Target], clock: FakeClock, **more: Any) -> tuple[Any, CallRecorder]:
    """The conversation itself, and the record it writes."""
    made = trip(targets, clock, **more)
    return failover_flow(made), made.recorder


def fails(fault: Fault, error: Exception | None = None, **more: Any) -> Failed:
    """What a driver says of a failed attempt."""
    shown = {key: more.pop(key) for key in ("partial", "tool_begun") if key in more}
    return Failed(Report(fault, error or OSError(fault.value), **more), **shown)


def returned(talk: Any, outcome: Any) -> object:
    """Send the last outcome; return what the flow returns."""
    with pytest.raises(StopIteration) as done:
        talk.send(outcome)
    return done.value.value


def totals(one: Target) -> tuple[int, int]:
    """Calls and failures that a target's closed breaker has counted."""
    window = one.health.breaker.state.window
    return window.calls, window.failures
