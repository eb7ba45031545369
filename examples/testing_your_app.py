"""An outage in your own test suite: no network, no sleeps, no mocks of an SDK.

Run it with pytest (`pytest examples/testing_your_app.py`) or as a script.
"""

import pytest

import pilotlight
from pilotlight import AllTargetsFailed, Fault
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.testing import Fails, FakeClock, ScriptedTarget, outage

CLOCK = FakeClock()
MESSAGES = [{"role": "user", "content": "hello"}]


def scripted(*gpt, **options) -> tuple[ScriptedTarget, ScriptedTarget, pilotlight.Route]:
    """Return two scripted targets and a route over them."""
    closed = ScriptedTarget("gpt", *gpt, clock=CLOCK, **options)
    local = ScriptedTarget("local", "hello from home", local=True, clock=CLOCK)
    return closed, local, pilotlight.Route("chat", (closed, local), clock=CLOCK)


def test_an_outage_fails_over() -> None:
    """`outage` forces a fault at a target, a model or a provider; nothing is sent."""
    closed, _, route = scripted("hello from the cloud")
    with outage("gpt", Fault.OVERLOADED) as drill:
        assert route.complete(MESSAGES).text == "hello from home"
    assert drill.hits == 1
    assert closed.calls == []


def test_a_throttle_opens_the_breaker_for_its_time() -> None:
    """A script plays one line a call; the clock moves only when it is told to."""
    _, _, route = scripted(Fails(Fault.RATE_LIMITED, retry_after=20), "back again")
    assert route.complete(MESSAGES).served_by == "local"
    CLOCK.advance(19)
    assert route.complete(MESSAGES).receipt.skipped[0].reason == "breaker_open"
    CLOCK.advance(2)
    assert route.complete(MESSAGES).text == "back again"


def test_everything_down_says_why() -> None:
    """Both fail: the error group has a reason for each."""
    _, local, route = scripted(Fault.TIMEOUT, breaker=BreakerPolicy(minimum_calls=1))
    local.script[:] = [Fault.LOCAL_RUNNER_CRASHED]
    with pytest.raises(AllTargetsFailed) as failed:
        route.complete(MESSAGES)
    faults = [error.fault for error in failed.value.exceptions]
    assert faults == ["timeout", "local_runner_crashed"]


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print("passed:", name.removeprefix("test_").replace("_", " "))
