"""`@failover` leaves a function what it was: its name, its colour, its place in a class."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import pilotlight
from pilotlight import failover
from pilotlight.errors import ConfigError, ProviderFault
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault


@pytest.fixture
def route(clock):
    a = ScriptedTarget("a", Fault.TIMEOUT, clock=clock)
    return Route(
        "chat", (a, ScriptedTarget("b", "b says so", clock=clock, local=True)), clock=clock
    )


def test_name_doc_and_module_stay(route):
    @failover(route)
    def summarise(text: str, *, target) -> str:
        """Make it short."""
        return target.say()

    assert (summarise.__name__, summarise.__doc__) == ("summarise", "Make it short.")
    assert summarise.__module__ == __name__
    assert summarise.__wrapped__.__name__ == "summarise"


def test_callers_see_the_signature_without_target(route):
    @failover(route)
    def summarise(text: str, limit: int = 3, *, target, loud: bool = False) -> str: ...

    assert str(inspect.signature(summarise)) == (
        "(text: 'str', limit: 'int' = 3, *, loud: 'bool' = False) -> 'str'"
    )


def test_each_colour_stays_what_it_is(route):
    def function(*, target): ...
    async def coroutine(*, target): ...
    def generator(*, target):
        yield

    async def agenerator(*, target):
        yield

    for one in (function, coroutine, generator, agenerator):
        guarded = failover(route)(one)
        for question in (
            inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
        ):  # fmt: skip
            assert question(guarded) == question(one), (one.__name__, question.__name__)


def test_arguments_and_results_go_through(route):
    seen = []

    @failover(route)
    def ask(first, *rest, target, last="z"):
        seen.append((target.name, first, rest, last))
        return target.say() and {"any": "thing"}

    assert ask("a", "b", "c", last="d") == {"any": "thing"}
    assert seen == [("a", "a", ("b", "c"), "d"), ("b", "a", ("b", "c"), "d")]


def test_methods_class_methods_and_static_methods(route):
    class Bot:
        tone = "calm"

        @failover(route)
        def say(self, *, target):
            return self.tone, target.say()

        @failover(route)
        async def asay(self, *, target):
            return self.tone, target.say()

        @classmethod
        @failover(route)
        def of_class(cls, *, target):
            return cls.tone, target.say()

        @staticmethod
        @failover(route)
        def static(tone, *, target):
            return tone, target.say()

    bot = Bot()
    assert bot.say() == ("calm", "b says so")
    assert asyncio.run(bot.asay()) == ("calm", "b says so")
    assert Bot.of_class() == ("calm", "b says so")
    assert bot.static("calm") == ("calm", "b says so")


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_above_a_class_method_it_says_where_it_belongs(route, kind):
    """It could not tell a coroutine from a function there, and would guard neither."""
    with pytest.raises(TypeError, match=f"below @{kind.__name__}"):
        failover(route)(kind(lambda *, target: None))


def test_a_function_without_target_is_refused_at_once(route):
    def summarise(text): ...

    with pytest.raises(TypeError) as caught:
        failover(route)(summarise)
    message = str(caught.value)
    assert "summarise() takes no `target`" in message
    assert "def summarise(..., *, target)" in message

    def positional(target, /): ...

    with pytest.raises(TypeError, match="takes no `target`"):
        failover(route)(positional)


@pytest.mark.parametrize(
    ("args", "error", "mend"),
    [
        ((), TypeError, '@failover("chat")'),
        ((lambda *, target: None,), TypeError, '@failover("chat")'),
        ((3,), TypeError, "as strings"),
        (("openai/gpt-4o", 3), TypeError, "as strings"),
        (("openai/", "ollama/x"), ConfigError, "provider/model"),
        (("openai/gpt-4o", "openai/gpt-4o"), ConfigError, "name it once"),
    ],
)
def test_bad_arguments_are_refused_where_they_are_written(args, error, mend):
    with pytest.raises(error) as caught:
        failover(*args)
    assert mend in str(caught.value)


def test_a_route_stands_alone(route):
    with pytest.raises(TypeError, match="one Route alone"):
        failover(route, "ollama/x")


def test_names_are_looked_up_at_the_first_call_and_not_at_import():
    @failover("chat")
    def ask(*, target): ...

    with pytest.raises(ConfigError, match="unknown route 'chat'"):
        ask()


def test_accept_may_refuse_what_the_function_returned(clock):
    a, b = ScriptedTarget("a", "no", clock=clock), ScriptedTarget("b", "yes", clock=clock)

    @failover(Route("chat", (a, b), clock=clock), accept=lambda said: said == "yes")
    def ask(*, target):
        return target.say()

    assert ask() == "yes"


def test_a_provider_fault_raised_by_the_function_is_taken_at_its_word(route):
    """A function that checks its own answer may say what is wrong with it."""

    @failover(route)
    def ask(*, target):
        if target.name == "a":
            raise ProviderFault("rate_limited", target.name, "by hand", retry_after=33.0)
        return "fine"

    with pilotlight.receipts() as log:
        assert ask() == "fine"
    first = log[0].attempts[0]
    assert (first.fault, first.retry_after, first.evidence) == ("rate_limited", 33.0, "by hand")
    assert route.targets[0].health.breaker.retry_after == pytest.approx(33.0)


def test_a_providers_own_exception_is_diagnosed(route):
    @failover(route)
    def ask(*, target):
        if target.name == "a":
            raise ConnectionResetError("peer")
        return "fine"

    with pilotlight.receipts() as log:
        assert ask() == "fine"
    assert [a.fault for a in log[0].attempts] == ["connection_error", None]


def test_a_deadline_holds_for_all_attempts_together(clock):
    from pilotlight.testing import Fails

    a = ScriptedTarget("a", Fails(Fault.TIMEOUT, takes=10.0), clock=clock)

    @failover(Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock), total_timeout=10)
    def ask(*, target):
        return target.say()

    with pytest.raises(pilotlight.DeadlineExceeded):
        ask()


def test_each_call_of_a_generator_is_a_call_of_its_own(route):
    @failover(route)
    def words(*, target):
        yield from target.words()

    one, two = words(), words()
    assert [next(one), next(two), *one, *two] == ["b ", "b ", "says ", "so", "says ", "so"]


def test_empty_items_do_not_commit_a_stream(clock):
    a, b = ScriptedTarget("a", clock=clock), ScriptedTarget("b", clock=clock)

    @failover(Route("chat", (a, b), clock=clock))
    def words(*, target):
        yield ""
        yield None
        if target.name == "a":
            raise ConnectionResetError
        yield "text"

    assert list(words()) == ["", None, "text"]  # nothing of the first target's


def test_target_may_stand_anywhere_among_the_positional_parameters():
    route = Route("r", (ScriptedTarget("a"),))

    @failover(route)
    def first(target, text):
        return target.name, text

    @failover(route)
    def middle(text, target, more="more"):
        return text, target.name, more

    class Client:
        @failover(route)
        def method(self, target, text):
            return target.name, text

    assert first("x") == first(text="x") == ("a", "x")
    assert middle("x") == ("x", "a", "more")
    assert middle("x", "y") == ("x", "a", "y")
    assert Client().method("x") == ("a", "x")
