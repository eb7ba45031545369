"""A call is private from where it is made, whichever way the context went there.

The product of door, shape and way; then the same over sockets; then generators with a block
in them, resumed and ended in any order, context and thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import litellm
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pilotlight
from pilotlight import failover, load, private
from pilotlight.doors import dropin
from pilotlight.errors import ConfigError
from pilotlight.privacy.residency import is_private
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight_chaos import ChaosServer
from tests.residency.guard import MESSAGES, PROMPT, watched

SHAPES = ("complete", "acomplete", "stream", "astream")
Act = Callable[[], Any]


# The ways: each lets `act` run where a block holds, and returns what it made.


def _thread(run: Act) -> Any:
    """Run in a thread; its own context knows of no block."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(30)


def _settle(done: asyncio.Future[Any], act: Act) -> None:
    try:
        done.set_result(act())
    except Exception as error:
        done.set_exception(error)


def block(act: Act) -> Any:
    with private():
        return act()


def inner_block_ended(act: Act) -> Any:
    with private():
        with private():
            pass
        return act()


def exit_stack(act: Act) -> Any:
    with ExitStack() as stack:
        stack.enter_context(private())
        return act()


def copied_context(act: Act) -> Any:
    with private():
        context = contextvars.copy_context()
    return context.run(act)


def thread_with_context(act: Act) -> Any:
    with private():
        context = contextvars.copy_context()
    return _thread(lambda: context.run(act))


def task(act: Act) -> Any:
    async def acted() -> Any:
        return act()

    async def main() -> Any:
        with private():
            made = asyncio.create_task(acted())
        return await made

    return asyncio.run(main())


def to_thread(act: Act) -> Any:
    async def main() -> Any:
        with private():
            made = asyncio.create_task(asyncio.to_thread(act))
        return await made

    return asyncio.run(main())


def callback(act: Act) -> Any:
    async def main() -> Any:
        done = asyncio.get_running_loop().create_future()
        with private():
            asyncio.get_running_loop().call_soon(lambda: _settle(done, act))
        return await done

    return asyncio.run(main())


def done_callback(act: Act) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        first, done = loop.create_future(), loop.create_future()
        with private():
            first.add_done_callback(lambda _: _settle(done, act))
        first.set_result(None)
        return await done

    return asyncio.run(main())


def _body(act: Act) -> Any:
    with private():
        yield
        yield act()


async def _abody(act: Act) -> Any:
    with private():
        yield
        yield act()


def generator(act: Act) -> Any:
    items = _body(act)
    next(items)
    return next(items)


def generator_by_stack(act: Act) -> Any:
    def body() -> Any:
        with ExitStack() as stack:
            stack.enter_context(private())
            yield
            yield act()

    items = body()
    next(items)
    return _thread(lambda: next(items))


def generator_in_thread(act: Act) -> Any:
    items = _body(act)
    next(items)
    return _thread(lambda: next(items))


def generator_in_copies(act: Act) -> Any:
    items, context = _body(act), contextvars.copy_context()
    context.copy().run(next, items)
    return context.copy().run(next, items)


def generator_beside_another(act: Act) -> Any:
    first, items = _body(lambda: None), _body(act)
    next(first)
    next(items)
    first.close()
    return next(items)


def async_generator(act: Act) -> Any:
    async def main() -> Any:
        items = _abody(act)
        await anext(items)
        return await anext(items)

    return asyncio.run(main())


def async_generator_in_tasks(act: Act) -> Any:
    async def step(items: Any) -> Any:
        return await anext(items)

    async def main() -> Any:
        items = _abody(act)
        await asyncio.create_task(step(items))
        return await asyncio.create_task(step(items))

    return asyncio.run(main())


def coroutine_by_hand(act: Act) -> Any:
    """A coroutine that is resumed in another context than it began in."""

    class Pause:
        def __await__(self) -> Any:
            yield

    async def body() -> Any:
        with private():
            await Pause()
            return act()

    made = body()
    contextvars.copy_context().run(made.send, None)
    try:
        contextvars.copy_context().run(made.send, None)
    except StopIteration as done:
        return done.value
    raise AssertionError


def decorated_plain(act: Act) -> Any:
    return private()(act)()


def decorated_coroutine(act: Act) -> Any:
    @private()
    async def acted() -> Any:
        return act()

    return asyncio.run(acted())


def decorated_generator(act: Act) -> Any:
    @private()
    def items() -> Any:
        yield
        yield act()

    made = items()
    next(made)
    return _thread(lambda: next(made))


def decorated_async_generator(act: Act) -> Any:
    @private()
    async def items() -> Any:
        yield
        yield act()

    async def main() -> Any:
        return [item async for item in items()][1]

    return asyncio.run(main())


def decorated_hidden(act: Act) -> Any:
    """A plain function that returns a coroutine."""

    async def acted() -> Any:
        return act()

    return asyncio.run(private()(lambda: acted())())


WAYS = [
    block, inner_block_ended, exit_stack, copied_context, thread_with_context, task, to_thread,
    callback, done_callback, generator, generator_by_stack, generator_in_thread,
    generator_in_copies, generator_beside_another, async_generator, async_generator_in_tasks,
    coroutine_by_hand, decorated_plain, decorated_coroutine, decorated_generator,
    decorated_async_generator, decorated_hidden,
]  # fmt: skip


# The doors: each makes a call; what it returns may still have to be awaited or read.


def _by_client(shape: str, route: Route) -> Any:
    return getattr(route, shape)(MESSAGES)


def _by_dropin(shape: str, route: Route) -> Any:
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    pilot._routes["chat"] = route
    given: dict[str, Any] = {"model": "chat", "messages": MESSAGES, "stream": "stream" in shape}
    dropin.default = lambda: pilot  # type: ignore[assignment]  # the fixture puts it back
    return (dropin.acompletion if shape.startswith("a") else dropin.completion)(**given)


def _by_decorator(shape: str, route: Route) -> Any:
    @failover(route)
    def say(*, target: Any) -> Any:
        return target.say()

    @failover(route)
    async def asay(*, target: Any) -> Any:
        return target.say()

    @failover(route)
    def words(*, target: Any) -> Any:
        yield from target.words()

    @failover(route)
    async def awords(*, target: Any) -> Any:
        for word in target.words():
            yield word

    return {"complete": say, "acomplete": asay, "stream": words, "astream": awords}[shape]()


def _by_inner_call(shape: str, route: Route) -> Any:
    """What a decorated function asks itself, while it runs for a private call."""

    @failover(route)
    def say(*, target: Any) -> Any:
        return route.complete(MESSAGES)

    @failover(route)
    async def asay(*, target: Any) -> Any:
        return await route.acomplete(MESSAGES)

    @failover(route)
    def words(*, target: Any) -> Any:
        yield from route.stream(MESSAGES)

    @failover(route)
    async def awords(*, target: Any) -> Any:
        async for chunk in route.astream(MESSAGES):
            yield chunk

    return {"complete": say, "acomplete": asay, "stream": words, "astream": awords}[shape]()


DOORS = {
    "client": _by_client,
    "dropin": _by_dropin,
    "decorator": _by_decorator,
    "inner call": _by_inner_call,
}


async def _items(made: Any) -> Any:
    return [item async for item in made]


async def _finished(made: Any) -> Any:
    done = await made if inspect.isawaitable(made) else made
    return await _items(done) if hasattr(done, "__aiter__") else done


def finish(made: Any) -> Any:
    """Await or read what a door has made, here where no block is."""
    assert not is_private()
    if inspect.isawaitable(made) or hasattr(made, "__aiter__"):
        return asyncio.run(_finished(made))
    return list(made) if hasattr(made, "__next__") else made


def clean(run: Act) -> Any:
    """Run in a context of its own: generators may leave one behind that stays private."""
    return contextvars.Context().run(run)


@pytest.fixture(autouse=True)
def _dropins_own_default(monkeypatch):
    monkeypatch.setattr(dropin, "default", dropin.default)


@pytest.fixture
def cloud(clock):
    return ScriptedTarget("cloud", "from the cloud", clock=clock)


@pytest.fixture
def route(cloud, clock):
    home = ScriptedTarget("home", "from home", local=True, clock=clock)
    return Route("chat", (cloud, home), clock=clock)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_is_made_where_a_block_holds_is_private(route, cloud, door, shape, way):
    made = clean(lambda: way(lambda: DOORS[door](shape, route)))
    assert clean(lambda: finish(made))
    assert not cloud.calls


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("verb", ["embed", "aembed", "image", "aimage"])
def test_embeddings_and_images_are_private_from_where_they_are_made(route, cloud, verb, way):
    """The targets of this route have no space in common, so the local one may not stand in."""
    closed = Route("closed", (cloud,), private=False, clock=route.clock)
    with pytest.raises(ConfigError, match="this call is private"):
        made = clean(lambda: way(lambda: getattr(closed, verb)("hello")))
        clean(lambda: finish(made))
    assert not cloud.calls


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("door", ["client", "dropin", "decorator"])
def test_a_call_that_is_made_outside_is_not(route, cloud, door, shape):
    made = DOORS[door](shape, route)
    if shape != "complete":
        with private():  # it was made before
            pass
    assert clean(lambda: finish(made))
    assert cloud.calls


def test_coroutines_made_inside_are_gathered_outside(route, cloud):
    async def main() -> Any:
        with private():
            made = [route.acomplete(MESSAGES) for _ in range(3)]
        return await asyncio.gather(*made)

    assert [answer.text for answer in asyncio.run(main())] == ["from home"] * 3
    assert not cloud.calls


# Over sockets, by everybody's clients.


def _sdk_made(sdk: str, shape: str, route: Route) -> Any:
    @failover(route)
    def plain(*, target: Any) -> Any:
        return _asked(sdk, target, False)

    @failover(route)
    async def aplain(*, target: Any) -> Any:
        return await _aasked(sdk, target, False)

    @failover(route)
    def items(*, target: Any) -> Any:
        yield from _asked(sdk, target, True)

    @failover(route)
    async def aitems(*, target: Any) -> Any:
        async for item in await _aasked(sdk, target, True):
            yield item

    return {"complete": plain, "acomplete": aplain, "stream": items, "astream": aitems}[shape]()


def _asked(sdk: str, target: Any, stream: bool) -> Any:
    if sdk == "litellm":
        return litellm.completion(**target.litellm_kwargs, messages=MESSAGES, stream=stream)
    client = openai.OpenAI(**target.openai_kwargs)
    return client.chat.completions.create(model=target.model, messages=MESSAGES, stream=stream)


async def _aasked(sdk: str, target: Any, stream: bool) -> Any:
    if sdk == "litellm":
        return await litellm.acompletion(**target.litellm_kwargs, messages=MESSAGES, stream=stream)
    client = openai.AsyncOpenAI(**target.openai_kwargs)
    return await client.chat.completions.create(
        model=target.model, messages=MESSAGES, stream=stream
    )


@pytest.fixture(scope="module")
def server():
    with ChaosServer(models=["llama3.2:3b"]) as running:
        yield running


@settings(
    max_examples=settings().max_examples * 4 // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    door=st.sampled_from(["client", "dropin", "openai", "litellm"]),
    shape=st.sampled_from(SHAPES),
    way=st.sampled_from(WAYS),
)
def test_no_byte_leaves_the_machine_or_reaches_a_closed_model(server, door, shape, way):
    pilot = load(
        {
            "targets": {
                "gpt": {"model": "openai/gpt-4o", "api_base": f"{server.base('closed')}/v1"},
                "far": {"model": "openai/gpt-4o-mini", "api_key": "sk-x"},
                "local": {"model": "ollama/llama3.2:3b", "api_base": server.base("local")},
            },
            "routes": {"chat": {"targets": ["gpt", "far", "local"]}},
        }
    )
    route = pilot.route("chat")
    made = DOORS.get(door) or (lambda shape, route: _sdk_made(door, shape, route))
    before = len(server.requests("local"))
    with watched() as guard:
        thing = clean(lambda: way(lambda: made(shape, route)))
        clean(lambda: finish(thing))
    pilot.close()
    asked = server.requests("local")[before:]
    assert any(PROMPT in str(each.body) for each in asked)  # it was served, at home
    assert not server.requests("closed")
    assert not guard.address_mismatch


# Generators that stand in a block, in any order, context and thread.

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["next", "close"]), st.integers(0, 2), st.integers(0, 2), st.booleans()
    ),
    max_size=30,
)


@settings(max_examples=settings().max_examples * 3, deadline=None)
@given(steps=STEPS, blocks=st.lists(st.integers(1, 2), min_size=3, max_size=3))
def test_a_generator_keeps_its_block_and_ends_no_other(steps, blocks):
    def body(depth: int) -> Any:
        with ExitStack() as stack:
            for _ in range(depth):
                stack.enter_context(private())
            while True:
                yield is_private()

    def run() -> None:
        contexts = [contextvars.Context() for _ in range(3)]
        bodies = [body(depth) for depth in blocks]
        entered: dict[int, int] = {}  # generator -> the context in which its block stands open
        for verb, which, where, elsewhere in steps:
            items, context = bodies[which], contexts[where]
            act = (lambda items=items: next(items)) if verb == "next" else items.close
            if verb == "next":
                entered.setdefault(which, where)
            step = lambda context=context, act=act: context.run(act)  # noqa: E731
            found = _in_thread(step) if elsewhere else step()
            if verb == "next":
                assert found is True
            else:
                bodies[which] = body(blocks[which])
                entered.pop(which, None)
            for which_, where_ in entered.items():
                assert contexts[where_].run(is_private), which_
        assert not is_private()
        for items in bodies:
            items.close()

    contextvars.Context().run(run)
    assert not is_private()


def _in_thread(run: Act) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    thread.join(30)
    return found[0]


def test_a_context_is_free_again_once_all_that_was_entered_in_it_has_ended():
    def run() -> bool:
        def body() -> Any:
            with private():
                yield

        first, second = body(), body()
        next(first)
        next(second)
        first.close()
        still = is_private()
        del second
        return still and not is_private()

    assert contextvars.Context().run(run)


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_one_object_may_be_entered_by_many_at_once(kind):
    shared = private()
    inside: list[bool] = []

    def step() -> None:
        with shared:
            inside.append(is_private())
        inside.append(not is_private())

    async def astep() -> None:
        with shared:
            await asyncio.sleep(0)
            inside.append(is_private())
        inside.append(not is_private())

    async def main() -> None:
        await asyncio.gather(*(astep() for _ in range(50)))

    if kind == "tasks":
        asyncio.run(main())
    else:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: step(), range(50)))
    assert inside == [True] * 100
    assert not shared._entries


# The decorator keeps a function what it was.


@private()
async def _coroutine(a: int, *, b: int = 2) -> tuple[int, int, bool]:
    return a, b, is_private()


class _Owner:
    @private()
    async def method(self, a: int) -> tuple[int, bool]:
        return a, is_private()

    @private()
    def items(self, *, upto: int) -> Any:
        """Count."""
        for n in range(upto):
            got = yield n, is_private()
            if got:
                yield got


def test_a_decorated_function_is_of_its_own_kind_and_keeps_its_face():
    assert inspect.iscoroutinefunction(_coroutine)
    assert asyncio.iscoroutinefunction(_coroutine)
    assert str(inspect.signature(_coroutine)).startswith("(a: 'int', *, b: 'int' = 2)")
    assert pickle.loads(pickle.dumps(_coroutine)) is _coroutine
    assert asyncio.run(_coroutine(1)) == (1, 2, True)
    owner = _Owner()
    assert inspect.isgeneratorfunction(owner.items)
    assert owner.items.__doc__ == "Count."
    assert inspect.iscoroutinefunction(owner.method)
    assert asyncio.run(owner.method(3)) == (3, True)
    items = owner.items(upto=3)
    assert next(items) == (0, True)
    assert not is_private()  # between two items its reader is in no block
    assert items.send("x") == "x"
    assert list(items) == [(1, True), (2, True)]
    with pytest.raises(KeyError):
        owner.items(upto=1).throw(KeyError)


def test_what_is_thrown_or_closed_reaches_a_decorated_generator():
    seen: list[Any] = []

    @private()
    def items() -> Any:
        try:
            try:
                yield 1
            except KeyError:
                seen.append(is_private())
                yield 2
        finally:
            seen.append(is_private())

    made = items()
    assert next(made) == 1
    assert made.throw(KeyError) == 2
    made.close()
    assert seen == [True, True]


def test_what_is_thrown_or_closed_reaches_a_decorated_async_generator():
    seen: list[Any] = []

    @private()
    async def items() -> Any:
        try:
            try:
                got = yield 1
                seen.append(got)
                yield 2
            except KeyError:
                seen.append(is_private())
                yield 3
        finally:
            seen.append(is_private())

    async def main() -> None:
        made = items()
        assert await anext(made) == 1
        assert not is_private()
        assert await made.asend("x") == 2
        assert await made.athrow(KeyError) == 3
        await made.aclose()

    asyncio.run(main())
    assert seen == ["x", True, True]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("local", [True, False])
def test_a_provider_with_sockets_of_its_own_is_never_local(local, shape):
    """Whatever the list says: litellm takes no client for it, so nobody holds its connections."""
    config = {
        "targets": {
            "mine": {
                "model": "cohere/command-r" if local else "openai/command-r",
                "api_base": "http://127.0.0.1:9",
                "api_key": "k",
                "local_addresses": ["127.0.0.1"],
            }
        },
        "routes": {"chat": {"targets": ["mine"]}},
    }
    route = pilotlight.load(config).route("chat")
    wanted = pilotlight.ConfigError if local else pilotlight.AllTargetsFailed
    with pytest.raises(wanted, match="connections of its own" if local else "connection_error"):
        with private():
            made = getattr(route, shape)(MESSAGES)
        finish(made)
