"""A key for each user, models by name, configurations read anew: what is out of use goes."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dropin import HELLO, pilot, server  # noqa: F401 - fixtures

from pilotlight import acompletion, completion, load
from pilotlight import app as assembly
from pilotlight.config.targets import TargetConfig
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.registry import BROKEN, RECENT, REGISTRY, Endpoint, Registry
from pilotlight.testing import FakeClock
from pilotlight.wire import pool as wire

USERS = assembly.LENT + 20


def sockets() -> int:
    """Connections to anywhere that any pool of this process holds."""
    held = 0
    for pool in list(wire._POOLS):
        groups = [pool._sync, *(entry.connections for entry in pool._loops.values())]
        held += sum(len(group.connections) for group in groups if group is not None)
    return held


def keys_in_memory(app) -> set[str]:
    gc.collect()
    return {c.api_key for c in list(app._connections) if (c.api_key or "").startswith("user-")}


def ask(number: int, **how):
    return completion("openai/gpt-4o", HELLO, api_key=f"user-{number}", **how)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_key_for_each_user(pilot, asynchronous):  # noqa: F811
    before = sockets()

    async def main():
        for number in range(USERS):
            await acompletion("openai/gpt-4o", HELLO, api_key=f"user-{number}")
        await asyncio.sleep(0)  # the loop closes its own
        return sockets()

    if asynchronous:
        held = asyncio.run(main())
    else:
        for number in range(USERS):
            ask(number)
        held = sockets()
    assert held - before <= assembly.LENT
    assert len(keys_in_memory(pilot)) <= assembly.LENT


def test_a_key_that_is_asked_for_no_more_goes_in_time(server):  # noqa: F811
    clock = FakeClock()
    target = {"model": "openai/gpt-4o", "api_base": server.base("gpt") + "/v1", "api_key": "k"}
    with load({"targets": {"gpt": target}}, clock=clock) as app:
        for each in ("one", "two", "three"):
            app.adhoc([f"openai/{each}"])
        clock.advance(assembly.IDLE + 1)
        app.adhoc(["openai/four"])
        assert [lent.route.name for lent in app._lent.values()] == ["openai/four"]


def test_a_stream_outlives_its_route(pilot):  # noqa: F811
    stream = ask(0, stream=True)
    before = sockets()
    for number in range(1, USERS):
        ask(number)
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    stream.close()
    assert sockets() - before < assembly.LENT  # its connection is closed, and not kept


def test_a_refused_key_that_comes_back_is_still_refused(server, pilot):  # noqa: F811
    server.fault("gpt", "auth", times=1)
    ask(0)  # answered by the next target
    for number in range(RECENT + 10):
        pilot.make_target("other", TargetConfig(model="openai/other", api_key=f"other-{number}"))
    for number in range(1, USERS):
        ask(number)
    gc.collect()
    assert keys_in_memory(pilot) == {f"user-{number}" for number in range(20, USERS)}
    asked = len(server.requests("gpt"))
    ask(0)
    assert len(server.requests("gpt")) == asked


def test_one_models_route_after_another(pilot):  # noqa: F811
    for number in range(USERS):
        pilot.adhoc([f"openai/model-{number}", "gpt"])
    assert len(pilot._lent.values()) == assembly.LENT
    assert len(pilot._targets) == 1
    gpt = pilot.target("gpt")
    assert not gpt.provider.connection._retired  # the configuration's own stays


def test_a_configuration_read_again_and_again():
    REGISTRY.reset()
    for number in range(RECENT + 50):
        load({"targets": {"a": {"model": "openai/a", "api_key": f"k{number}"}}}).target("a")
    gc.collect()
    assert len(REGISTRY.records) <= RECENT


numbers = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from(["", "open", "use"])), max_size=60
)


@given(asked=numbers, flood=st.integers(0, RECENT * 2))
def test_what_is_used_or_broken_is_remembered(asked, flood):
    clock, registry, used, broken = FakeClock(), Registry(), {}, {}

    def health(name):
        endpoint = Endpoint.of("http://x", str(name), None, clock)
        return registry.health(endpoint, str(name), BreakerPolicy(), RetryPolicy())

    for name, how in asked:
        record = health(name)
        if how == "use":
            used[name] = record
        if how == "open":
            record.breaker.trip("auth_failed", 300.0)
            broken[name] = id(record.breaker)
        del record
    for number in range(flood):
        health(f"flood {number}")
    assert len(registry.records) <= RECENT + BROKEN + len(used)
    assert all(health(name) is record for name, record in used.items())
    assert all(id(health(name).breaker) == breaker for name, breaker in broken.items())
    assert all(health(name).breaker.current_state == "open" for name in broken)


def test_what_is_broken_is_bounded_too():
    clock, registry = FakeClock(), Registry()
    for number in range(RECENT + BROKEN + 50):
        endpoint = Endpoint.of("http://x", str(number), None, clock)
        record = registry.health(endpoint, "a", BreakerPolicy(), RetryPolicy())
        record.breaker.trip("auth_failed", 300.0)
        del record
    assert len(registry.records) == RECENT + BROKEN
    clock.advance(301.0)
    registry.health(
        Endpoint.of("http://x", "new", None, clock), "a", BreakerPolicy(), RetryPolicy()
    )
    assert len(registry.records) == RECENT
