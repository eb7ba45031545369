"""`current_target()`: right inside each step of a decorated function, and nowhere else."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pilotlight
from pilotlight import current_target, failover
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault

HELLO = [{"role": "user", "content": "hello"}]
WAYS = ("asks", "is given")
COLOURS = ("function", "coroutine", "generator", "async generator")
GENERATORS = COLOURS[2:]


@pytest.fixture
def route(clock):
    cloud, home = ScriptedTarget("a", Fault.TIMEOUT, clock=clock), ScriptedTarget("b", "fine")
    return Route("chat", (cloud, home), clock=clock)


def nobody() -> bool:
    """Whether no decorated function runs here, as far as this can be asked."""
    try:
        current_target()
    except LookupError:
        return True
    return False


def written(colour, way, step, at_end=lambda: None):
    """A function of this colour, to be decorated: `step()` is run three times, `at_end()` last."""

    def function(text="hi"):
        try:
            return [step(), step(), step()]
        finally:
            at_end()

    async def coroutine(text="hi"):
        try:
            said = []
            for _ in range(3):
                await asyncio.sleep(0)
                said.append(step())
            return said
        finally:
            at_end()

    def generator(text="hi"):
        try:
            yield step()
            yield step()
            yield step()
        finally:
            at_end()

    async def agenerator(text="hi"):
        try:
            for _ in range(3):
                await asyncio.sleep(0)
                yield step()
        finally:
            at_end()

    bare = dict(zip(COLOURS, (function, coroutine, generator, agenerator), strict=True))[colour]
    if way == "asks":
        return bare

    # The same with a parameter: `current_target()` is what it gets.
    def given_function(target, text="hi"):
        assert target is current_target()
        return function(text)

    async def given_coroutine(target, text="hi"):
        assert target is current_target()
        return await coroutine(text)

    def given_generator(target, text="hi"):
        assert target is current_target()
        yield from generator(text)

    async def given_agenerator(target, text="hi"):
        assert target is current_target()
        items = agenerator(text)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    kinds = (given_function, given_coroutine, given_generator, given_agenerator)
    return dict(zip(COLOURS, kinds, strict=True))[colour]


def decorated(route, colour, way, step, at_end=lambda: None, **how):
    guard = failover(route, pass_target=way == "is given", **how)
    return guard(written(colour, way, step, at_end))


def outcome(colour, made):
    """All three results of a call that was made."""
    if colour == "function":
        return made
    if colour == "coroutine":
        return asyncio.run(made)
    if colour == "generator":
        return list(made)

    async def read():
        return [item async for item in made]

    return asyncio.run(read())


def say():
    return current_target().name, current_target().say()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("colour", COLOURS)
def test_it_is_the_target_of_the_attempt(clock, colour, way):
    a = ScriptedTarget("a", Fault.TIMEOUT, clock=clock)
    b = ScriptedTarget("b", "1", "2", "3", clock=clock)
    function = decorated(Route("chat", (a, b), clock=clock), colour, way, say)
    assert outcome(colour, function("hello")) == [("b", "1"), ("b", "2"), ("b", "3")]
    assert len(a.calls) == 1
    assert nobody()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_function_that_asks_keeps_its_signature_and_colour(route, colour):
    function = written(colour, "asks", say)
    guarded = failover(route, pass_target=False)(function)
    assert inspect.signature(guarded) == inspect.signature(function)
    for question in (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
    ):  # fmt: skip
        assert question(guarded) == question(function)


def test_its_own_parameter_may_be_called_target(route):
    @failover(route, pass_target=False)
    def translate(text, *, target):
        return text, target, current_target().say()

    assert translate("hi", target="fr") == ("hi", "fr", "fine")


def test_outside_it_says_what_to_do():
    with pytest.raises(LookupError, match=r"inside one.*copy_context"):
        current_target()


def test_a_function_without_target_is_told_of_it(route):
    with pytest.raises(TypeError, match=r"pass_target=False.*current_target"):
        failover(route)(lambda text: text)
    with pytest.raises(TypeError, match="pass_target is a str"):
        failover(route, pass_target="no")
    with pytest.raises(TypeError, match="did you mean pass_target=?"):
        failover(route, pass_targets=False)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_innermost_one_and_then_the_outer_one_again(clock, colour):
    routes = [Route(n, (ScriptedTarget(n, clock=clock),), clock=clock) for n in ("out", "in")]
    within = decorated(routes[1], "function", "asks", lambda: current_target().name)

    def step():
        said = [current_target().name, *within(), current_target().name]
        assert [chunk for chunk in routes[1].stream(HELLO) if current_target().name == "out"]
        return said

    function = decorated(routes[0], colour, "asks", step)
    assert outcome(colour, function()) == [["out", "in", "in", "in", "out"]] * 3


@pytest.mark.parametrize("colour", ["coroutine", "async generator"])
def test_it_crosses_tasks_and_to_thread(clock, colour):
    route = Route("r", (ScriptedTarget("a", clock=clock),), clock=clock)

    async def seen():
        return current_target().name

    async def all_seen():
        return [*await asyncio.gather(seen(), seen()), await asyncio.to_thread(current_target)]

    @failover(route, pass_target=False)
    async def coroutine():
        return [await all_seen()]

    @failover(route, pass_target=False)
    async def agenerator():
        yield await all_seen()

    made = coroutine() if colour == "coroutine" else agenerator()
    [[one, two, handle]] = outcome(colour, made)
    assert (one, two, handle.name) == ("a", "a", "a")


def test_it_is_over_with_its_attempt(clock):
    """A task that goes on alone has the attempt's context, and no target any more."""
    route = Route("r", (ScriptedTarget("a", clock=clock),), clock=clock)
    over = asyncio.Event()

    async def later():
        assert current_target().name == "a"
        await over.wait()
        return nobody()

    @failover(route, pass_target=False)
    async def starts():
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
        return task

    async def main():
        task = await starts()
        over.set()
        return await task

    assert asyncio.run(main())


# Generators are resumed wherever their reader is.


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12)


def expected(steps):
    """What the steps of three generators, of three items each, bring one after the other."""
    left = [3, 3, 3]
    for which, _ in steps:
        left[which] -= 1
        yield f"{which}" if left[which] >= 0 else "over"


def three(clock, colour, way):
    """Three generators by three routes, the last of them private."""

    def step():
        return current_target().name, pilotlight.privacy.residency.is_private()

    made = []
    for name in "012":
        route = Route(name, (ScriptedTarget(name, clock=clock, local=True),), clock=clock)
        made.append(decorated(route, colour, way, step, private=name == "2")())
    return made


def right(got, steps):
    want = [(name, name == "2") if name != "over" else name for name in expected(steps)]
    assert got == want


@pytest.mark.parametrize("way", WAYS)
@given(steps=STEPS)
def test_generators_side_by_side_in_any_context(way, steps):
    made = three(pilotlight.testing.FakeClock(), "generator", way)
    contexts = [contextvars.copy_context() for _ in range(3)]
    got = []
    for which, where in steps:
        got.append(contexts[where].run(next, made[which], "over"))
        assert all(context.run(nobody) for context in contexts)
    right(got, steps)
    for which, generator in enumerate(made):
        contexts[-which].run(generator.close)
    assert all(context.run(nobody) for context in contexts)


@pytest.mark.parametrize("way", WAYS)
@given(steps=STEPS)
def test_async_generators_side_by_side_in_any_task(way, steps):
    async def main():
        made = three(pilotlight.testing.FakeClock(), "async generator", way)
        contexts = [contextvars.copy_context() for _ in range(3)]

        async def step(which):
            return await anext(made[which], "over")

        got = []
        for which, where in steps:
            got.append(await asyncio.create_task(step(which), context=contexts[where]))
            assert all(context.run(nobody) for context in contexts)
            assert nobody()
        right(got, steps)
        for generator in made:
            await generator.aclose()
        assert nobody()

    asyncio.run(main())


def test_a_generator_read_by_other_threads(clock):
    [generator, *_] = three(clock, "generator", "asks")
    got = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: got.append(next(generator)))
        thread.start()
        thread.join(30)
    assert got == [("0", False)] * 3
    assert nobody()


# How it ends: the function's own `finally` is a step of it as well.


def left_after_one(colour, made, leave):
    """Read one item and leave."""
    if colour == "generator":
        next(made)
        leave(made)
        return

    async def read():
        await anext(made)
        await leave(made)

    asyncio.run(read())


async def elsewhere(made):
    await asyncio.create_task(made.aclose(), context=contextvars.Context())


LEAVES = {
    "closed": lambda made: made.close() if hasattr(made, "close") else made.aclose(),
    "closed in another context": lambda made: (
        contextvars.Context().run(made.close) if hasattr(made, "close") else elsewhere(made)
    ),
}


@pytest.mark.parametrize("leave", LEAVES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("colour", GENERATORS)
def test_what_a_generator_does_when_it_is_left_is_a_step_of_it(clock, colour, way, leave):
    """Its target is there, and what a private one asks then stays at home, too."""
    cloud = ScriptedTarget("cloud", "from the cloud", clock=clock)
    home = ScriptedTarget("home", "one", "two", clock=clock, local=True)
    route = Route("chat", (cloud, home), clock=clock)
    seen = []

    def at_end():
        seen.append((current_target().name, route.complete(HELLO).served_by))

    made = decorated(route, colour, way, say, at_end, private=True)()
    left_after_one(colour, made, LEAVES[leave])
    assert seen == [("home", "home")]
    assert not cloud.calls
    assert nobody()
    assert route.complete(HELLO).served_by == "cloud"  # and no block was left open


@pytest.mark.parametrize("colour", ["coroutine", "async generator"])
@pytest.mark.parametrize("private", [False, True])
def test_one_that_the_collector_ends_leaves_nothing_behind(clock, caplog, colour, private):
    """It is ended in a context that has none of what was set for it."""
    route = Route("r", (ScriptedTarget("a", clock=clock, local=True),), clock=clock)

    async def waits():
        await asyncio.Event().wait()

    @failover(route, pass_target=False, private=private)
    async def coroutine():
        await waits()

    @failover(route, pass_target=False, private=private)
    async def agenerator():
        await waits()
        yield

    async def main():
        return await (coroutine() if colour == "coroutine" else anext(agenerator()))

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    assert not task.done()
    loop.close()
    del task
    gc.collect()  # what can't be raised there is an error of this test
    assert nobody()
    assert not pilotlight.privacy.residency.PRIVATE._frames
