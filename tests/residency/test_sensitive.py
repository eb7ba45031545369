"""`sensitive`: asked once, before anything is sent; can make a call more private, never less."""

from __future__ import annotations

import asyncio
import sys

import pytest

import pilotlight
from pilotlight import failover, load
from pilotlight.doors import dropin
from pilotlight.errors import AllTargetsFailed, ConfigError, DeadlineExceeded
from pilotlight.events import ResidencyRefused
from pilotlight.privacy import classification, residency
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from tests.residency.guard import MESSAGES, PROMPT, Written, writing

SHAPES = ("complete", "acomplete", "stream", "astream")
DOORS = ("client", "dropin", "decorator")
WAYS = [(door, shape) for door in DOORS for shape in SHAPES]
CLEAN = [{"role": "user", "content": "The patient is <PERSON>, what now?"}]


class Hook:
    """Answers what it is told to, or raises it; `asked` lists what it was given."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def __call__(self, messages):
        self.asked.append(messages)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(classification, "_complained", set())


def route_with(hook, *, closed_only=False, **how):
    clock = how.setdefault("clock", FakeClock())
    targets = [ScriptedTarget("cloud", "from the cloud", clock=clock)]
    if not closed_only:
        targets.append(ScriptedTarget("home", "from home", local=True, clock=clock))
    return Route("chat", tuple(targets), sensitive=hook, **how)


async def drained(items):
    return [item async for item in items]


def by_client(shape, route, **how):
    if shape == "complete":
        route.complete(MESSAGES, **how)
    elif shape == "acomplete":
        asyncio.run(route.acomplete(MESSAGES, **how))
    elif shape == "stream":
        list(route.stream(MESSAGES, **how))
    else:
        asyncio.run(_astream(route, how))


async def _astream(route, how):
    await drained(route.astream(MESSAGES, **how))


def by_dropin(shape, route, **how):
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    pilot._routes["chat"] = route
    given = {"model": "chat", "messages": MESSAGES, **how}

    async def main():
        await drained(await dropin.acompletion(**given, stream=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropin, "default", lambda: pilot)
        if shape == "complete":
            dropin.completion(**given)
        elif shape == "acomplete":
            asyncio.run(dropin.acompletion(**given))
        elif shape == "stream":
            list(dropin.completion(**given, stream=True))
        else:
            asyncio.run(main())


def by_decorator(shape, route, *, sent=None, **how):
    sent = [] if sent is None else sent
    guard = failover(route, **how)

    @guard
    def plain(messages, *, target):
        sent.append(messages)
        return target.say()

    @guard
    async def aplain(messages, *, target):
        sent.append(messages)
        return target.say()

    @guard
    def items(messages, *, target):
        sent.append(messages)
        yield from target.words()

    @guard
    async def aitems(messages, *, target):
        sent.append(messages)
        for word in target.words():
            yield word

    ways = {
        "complete": lambda: plain(MESSAGES),
        "acomplete": lambda: asyncio.run(aplain(messages=MESSAGES)),
        "stream": lambda: list(items(MESSAGES)),
        "astream": lambda: asyncio.run(drained(aitems(messages=MESSAGES))),
    }
    ways[shape]()


CALLERS = {"client": by_client, "dropin": by_dropin, "decorator": by_decorator}


def call(door, shape, route, **how):
    """Make one call and return its receipt."""
    with pilotlight.receipts() as log:
        CALLERS[door](shape, route, **how)
    return log[0]


# What its answers mean.


@pytest.mark.parametrize("answer", [None, False])
@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_nothing_special_changes_nothing(door, shape, answer):
    hook = Hook(answer)
    receipt = call(door, shape, route_with(hook))
    assert (receipt.served_by, receipt.private) == ("cloud", False)
    assert hook.asked == [MESSAGES]


@pytest.mark.parametrize("answer", [True, ValueError(PROMPT), PROMPT, [], 1, [{"content": "x"}]])
@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_true_and_whatever_it_can_not_say_make_the_call_private(door, shape, answer):
    route = route_with(Hook(answer))
    receipt = call(door, shape, route)
    assert (receipt.served_by, receipt.private) == ("home", True)
    assert route.targets[0].calls == []
    assert [(skip.reason, skip.detail) for skip in receipt.skipped] == [("residency", "not_local")]


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_other_messages_are_sent_instead_to_every_target(door, shape):
    route, sent = route_with(Hook(CLEAN)), []
    route.targets[0].script[:] = [Fault.AUTH_FAILED]
    receipt = call(door, shape, route, **({"sent": sent} if door == "decorator" else {}))
    assert [attempt.target for attempt in receipt.attempts] == ["cloud", "home"]
    if door != "decorator":
        sent = [each.messages for target in route.targets for each in target.calls]
    assert sent == [CLEAN, CLEAN]
    assert MESSAGES[0]["content"].endswith(f"{PROMPT}, what now?")  # the caller's own are kept


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_a_call_that_is_private_already_is_not_asked_about(door, shape):
    hook = Hook(False)
    assert call(door, shape, route_with(hook), private=True).served_by == "home"
    with pilotlight.private():
        assert call(door, shape, route_with(hook)).served_by == "home"
    assert call(door, shape, route_with(hook, private=True)).served_by == "home"
    assert hook.asked == []


def test_it_is_asked_once_a_call_however_many_attempts_there_are():
    hook, clock = Hook(False), FakeClock()
    failing = [ScriptedTarget(n, Fault.SERVER_ERROR, clock=clock) for n in "abc"]
    with pytest.raises(AllTargetsFailed):
        Route("chat", tuple(failing), clock=clock, sensitive=hook).complete(MESSAGES)
    assert len(hook.asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (True, "`sensitive` said so"),
        (ValueError(PROMPT), "`sensitive` raised ValueError"),
        (PROMPT, "`sensitive` returned a str that is no answer"),
    ],
)
@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_without_a_local_target_the_call_fails_and_nothing_is_sent(door, shape, answer, why):
    route, told = route_with(Hook(answer), closed_only=True), []
    pilotlight.listeners.append(told.append)
    with pytest.raises(ConfigError, match="no local target") as caught, writing() as written:
        CALLERS[door](shape, route)
    written.error(caught.value)
    assert why in str(caught.value)
    assert route.targets[0].calls == []
    assert [(type(each), each.target, each.rule) for each in told] == [
        (ResidencyRefused, "cloud", "not_local")
    ]
    assert written.leaks(PROMPT) == []


def test_its_trouble_is_told_once_and_without_the_prompt(caplog):
    route = route_with(Hook(ValueError(PROMPT)))
    with caplog.at_level("DEBUG", "pilotlight"):
        route.complete(MESSAGES)
        route.complete(MESSAGES)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "test_sensitive:Hook raised ValueError" in caplog.text
    assert Written(caplog.text.splitlines()).leaks(PROMPT) == []


def test_its_time_is_the_calls_time():
    clock = FakeClock()

    def slow(messages):
        clock.advance(3.0)
        return False

    hurried = route_with(slow, clock=clock, deadline=3.0)
    with pytest.raises(DeadlineExceeded):
        hurried.complete(MESSAGES)
    patient = route_with(slow, clock=clock, deadline=3.5)
    assert patient.complete(MESSAGES).text == "from the cloud"


def test_what_it_asks_by_pilotlight_is_private_and_not_asked_about_again():
    depth = []

    def judge(messages):
        depth.append(1)
        return route.complete([{"role": "user", "content": "private?"}]).served_by == "home"

    route = route_with(judge)
    assert route.complete(MESSAGES).served_by == "home"
    assert len(depth) == 1
    assert not residency.is_private()


# A function's arguments.


def judged(function, hook, *args, **kwargs):
    """Return whether a call of this function was private, and what the hook was shown."""
    with pilotlight.receipts() as log:
        failover(route_with(hook))(function)(*args, **kwargs)
    return log[0].private, [message["content"] for asked in hook.asked for message in asked]


def test_without_messages_the_texts_among_the_arguments_are_judged():
    def ask(question, *, extra=None, target):
        return target.say()

    shown = judged(ask, Hook(False), "hello", extra={"notes": [PROMPT], "n": 3})
    assert shown == (False, ["hello", PROMPT])
    assert judged(ask, Hook(True), "hello")[0]


def test_where_there_is_no_text_nothing_is_known():
    def ask(thing=None, *, target):
        return target.say()

    for arguments in [(), (object(),), (b"bytes",)]:
        assert judged(ask, Hook(False), *arguments) == (True, [])


def test_other_messages_need_an_argument_to_be_put_in():
    def ask(question, *, target):
        return target.say()

    assert judged(ask, Hook(CLEAN), PROMPT) == (True, [PROMPT])


# How it is named.


def a_hook(messages):
    return True


async def an_async_hook(messages):
    return False


class Async:
    async def __call__(self, messages):
        return False


@pytest.fixture
def module(monkeypatch):
    monkeypatch.setitem(sys.modules, "house_rules", sys.modules[__name__])
    return "house_rules"


def configured(where, given):
    targets = {"gpt": {"model": "openai/gpt-4o"}, "local": {"model": "ollama/llama3.2"}}
    data = {"targets": targets, "routes": {"chat": {"targets": ["gpt", "local"]}}}
    (data if where == "sensitive" else data["routes"]["chat"])["sensitive"] = given
    return load(data)


PLACES = ["sensitive", "routes.chat.sensitive"]


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("given", ["house_rules:a_hook", a_hook])
def test_it_may_be_named_or_given_for_a_route_or_for_all(module, where, given):
    with configured(where, given) as pilot:
        assert pilot.route("chat").sensitive is a_hook


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("house_rules", 'should name a function, as "package.module:function"'),
        (":a_hook", "should name a function"),
        ("no_such_module:f", "can't import no_such_module (ModuleNotFoundError"),
        ("house_rules:nothing", "house_rules has no 'nothing'"),
        ("house_rules:PLACES", "names a list; it should name a function"),
        ("house_rules:an_async_hook", "is an async function"),
        (Async(), "is an async function"),
        (3, "names a int"),
    ],
)
def test_what_can_not_be_asked_is_an_error_at_load(module, where, given, said):
    with pytest.raises(ConfigError) as caught:
        configured(where, given)
    assert f"{where}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_route_made_by_hand_takes_no_async_function_either():
    with pytest.raises(ConfigError, match="async"):
        route_with(an_async_hook)


def test_a_coroutine_from_a_plain_function_is_no_answer():
    assert route_with(lambda messages: an_async_hook(messages)).complete(MESSAGES).receipt.private


def test_the_default_holds_for_bare_models_and_a_routes_own_comes_before_it(module):
    data = {
        "targets": {"local": {"model": "ollama/llama3.2"}},
        "routes": {"own": {"targets": ["local"], "sensitive": "house_rules:judged"}},
        "sensitive": "house_rules:a_hook",
    }
    with load(data) as pilot:
        assert pilot.adhoc(["openai/gpt-4o"]).sensitive is a_hook
        assert pilot.route("own").sensitive is not a_hook
        assert pilot.route("own").accepting(bool).sensitive is pilot.route("own").sensitive


def test_another_address_for_one_call_keeps_the_routes_rules(module):
    with configured("routes.chat.sensitive", a_hook) as pilot:
        route, _ = dropin._route_for(pilot, "openai/gpt-4o", {"api_base": "http://127.0.0.1:9/v1"})
        assert route.sensitive is a_hook
        assert route is not pilot.route("chat")
