"""What somebody meets who tries it for the first time, and gets things wrong."""

from __future__ import annotations

import asyncio
import copy
import json
import traceback

import pytest
from kit_exchange import MODELS, well
from ways import DOORS, SHAPES, run

import pilotlight
from pilotlight import AllTargetsFailed, DeadlineExceeded, InvalidCall, ProviderFault, guard
from pilotlight.config.schema import parse
from pilotlight.registry import Registry
from pilotlight.routes.route import Route
from pilotlight.testing import Fails, FakeClock, ScriptedTarget, outage
from pilotlight.vocabulary.faults import RULES, Elsewhere, Fault
from tests.providers.loopback import Loopback

HELLO = [{"role": "user", "content": "hello"}]
FAILS_OVER = [f for f in Fault if RULES[f].elsewhere is Elsewhere.YES]


def chained(depth: int) -> Exception:
    """An error as libraries raise them: from another, from another."""
    error: Exception = OSError("the first of all")
    for number in range(depth):
        try:
            raise RuntimeError(f"number {number}") from error
        except RuntimeError as told:
            error = told
    try:
        raise ProviderFault(Fault.OVERLOADED, evidence="the last of all") from error
    except ProviderFault as told:
        return told


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_fails_is_told_in_few_lines(clock, door, shape):
    """However deep the libraries' own errors are nested."""
    a = ScriptedTarget("a", Fails(Fault.SERVER_ERROR, error=chained(20)), clock=clock)
    b = ScriptedTarget("b", Fails(Fault.OVERLOADED, error=chained(20)), clock=clock)
    with pytest.raises(AllTargetsFailed) as caught:
        run(door, shape, Route("chat", (a, b), clock=clock))
    printed = "".join(traceback.format_exception(caught.value))
    assert "the last of all" in printed
    assert "number 19" not in printed
    assert "the first of all" not in printed
    within = "".join(traceback.format_list(traceback.extract_tb(caught.value.__traceback__)))
    assert printed.count("\n") < within.count("\n") + 20


def test_what_an_error_was_raised_from_can_still_be_reached(clock):
    a = ScriptedTarget("a", Fails(Fault.SERVER_ERROR, error=chained(3)), clock=clock)
    with pytest.raises(AllTargetsFailed) as caught:
        Route("chat", (a,), clock=clock).complete(HELLO)
    error, found = caught.value.exceptions[0], []
    while error is not None:
        found.append(str(error))
        error = error.__cause__ or error.__context__
    assert found == [
        "overloaded (the last of all)",
        "number 2",
        "number 1",
        "number 0",
        "the first of all",
    ]


def test_a_deadline_is_told_in_few_lines_too(clock):
    slow = Fails(Fault.TIMEOUT, takes=9.0, error=chained(20))
    a, b = ScriptedTarget("a", slow, clock=clock), ScriptedTarget("b", slow, clock=clock)
    with pytest.raises(DeadlineExceeded) as caught:
        Route("chat", (a, b), clock=clock, total_timeout=5.0).complete(HELLO)
    printed = "".join(traceback.format_exception(caught.value))
    assert "the last of all" in printed
    assert "number 19" not in printed


@pytest.mark.parametrize("first", FAILS_OVER)
@pytest.mark.parametrize("second", FAILS_OVER)
def test_the_message_has_a_line_for_each_target(first, second):
    clock = FakeClock()
    a, b = ScriptedTarget("a", first, clock=clock), ScriptedTarget("b", second, clock=clock)
    with pytest.raises(AllTargetsFailed) as caught:
        Route("chat", (a, b), clock=clock).complete(HELLO)
    head, *lines = str(caught.value).splitlines()
    assert head == "no target of route 'chat' answered:"
    assert [line.split(";")[0].split(",")[0] for line in lines] == [f"  a {first}", f"  b {second}"]


# The mend of an endpoint that is not there, has no key, or lacks the model.


def test_the_mend_stands_on_the_line_of_its_target(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    data = {
        "targets": {
            "gpt": {"model": "openai/gpt-4o"},
            "local": {"model": "ollama/llama3.2", "api_base": "http://127.0.0.1:9"},
        },
        "routes": {"chat": {"targets": ["gpt", "local"]}},
    }
    with (
        pilotlight.Pilotlight(parse(data, "test"), registry=Registry()) as app,
        pytest.raises(AllTargetsFailed) as caught,
    ):
        app.route("chat").complete(HELLO)
    _, gpt, local = str(caught.value).splitlines()
    assert gpt.startswith("  gpt auth_failed; no API key: set OPENAI_API_KEY")
    assert local.endswith("; no Ollama answers; start it with `ollama serve`")


# Things of a wrong kind.

ROUTE = Route("chat", (ScriptedTarget("a"),))
WRONG = {
    "tools=[print]": lambda: ROUTE.complete(HELLO, tools=[print]),
    "tools=[a function]": lambda: ROUTE.complete(HELLO, tools=[lambda: None]),
    "tools=[a class]": lambda: ROUTE.complete(HELLO, tools=[dict]),
    "tools=[a name]": lambda: ROUTE.complete(HELLO, tools=["look"]),
    "tools=print": lambda: ROUTE.complete(HELLO, tools=print),
    "tools={}": lambda: ROUTE.complete(HELLO, tools={"type": "function"}),
    "functions=[print]": lambda: ROUTE.complete(HELLO, functions=[print]),
    "model=": lambda: ROUTE.complete(HELLO, model="gpt-4o"),
    "messages=text": lambda: ROUTE.complete("hello"),
    "messages=texts": lambda: ROUTE.complete(["hello"]),
    "messages=None": lambda: ROUTE.complete(None),
    "guard(model)": lambda: guard("gpt-4o"),
    "guard(route)": lambda: guard(ROUTE),
    "accept=": lambda: ROUTE.accepting(True),
    "route(None)": lambda: pilotlight.load({}).route(None),
    "target(None)": lambda: pilotlight.load({}).target(None),
    "load(list)": lambda: pilotlight.load(["openai/gpt-4o"]),
    "asgi(name)": lambda: pilotlight.asgi("chat"),
    "completion(list)": lambda: pilotlight.completion(model=["openai/gpt-4o"], messages=HELLO),
    "completion(bare)": lambda: pilotlight.completion(model="gpt-4o", messages=HELLO),
    "completion(slip)": lambda: pilotlight.completion(model="opnai/gpt-4o", messages=HELLO),
    "completion(colon)": lambda: pilotlight.completion(model="openai:gpt-4o", messages=HELLO),
    "failover(list)": lambda: pilotlight.failover(["openai/gpt-4o", "ollama/llama3.2"]),
    "failover(slip)": lambda: pilotlight.failover("opnai/gpt-4o", "ollama/llama3.2"),
    "failover(timeout)": lambda: pilotlight.failover("openai/gpt-4o", timeout=3),
    "failover(fallbacks)": lambda: pilotlight.failover("openai/gpt-4o", fallbacks=["a/b"]),
    "outage(kind)": lambda: outage("openai", "server_eror"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_thing_of_a_wrong_kind_is_one_clear_line(wrong):
    with pytest.raises((InvalidCall, pilotlight.ConfigError, TypeError, ValueError)) as caught:
        WRONG[wrong]()
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 240
    assert "NoneType" not in said or "messages" in said
    assert "object is not" not in said
    assert any(mend in said for mend in ("should be", "write ", "did you mean", "; ")), said


def test_nothing_is_asked_after_a_mistake():
    target = ScriptedTarget("a")
    for tools in ([print], ["look"], [dict], print):
        with pytest.raises(InvalidCall, match="tools"):
            Route("chat", (target,)).complete(HELLO, tools=tools)
    assert not target.calls


# What the caller has given stays as it was.

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
MESSAGES = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": [{"type": "text", "text": "hello"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    {"role": "user", "content": "And now?"},
]
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OPTIONS = {
    "tools": [{"type": "function", "function": {"name": "look", "parameters": PARAMETERS}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "stop": ["END"],
    "extra_headers": {"x-mine": "1"},
    "extra_body": {"mine": {"a": [1]}},
    "metadata": {"user": "u1"},
    "temperature": 0.5,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("via", [None, "litellm"])
@pytest.mark.parametrize("model", MODELS.values())
def test_what_the_caller_has_given_is_never_changed(model, via, shape):
    if via and model.startswith("ollama"):
        via = None  # Ollama is asked straight, always
    with Loopback(well) as server:
        base = server.url + ("/v1beta" if model.startswith("gemini") else "")
        extra = {"mine": {"b": [1]}}
        target = {"model": model, "api_base": base, "options": {"extra_body": extra}, "via": via}
        if not model.startswith("ollama"):
            target["api_key"] = "k"
        data = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"], "total_timeout": 20}}}
        before = json.dumps([data, MESSAGES, OPTIONS])
        messages, options = copy.deepcopy((MESSAGES, OPTIONS))
        with pilotlight.Pilotlight(parse(data, "test"), registry=Registry()) as app:
            ask(app.route("r"), shape, messages, options)
        assert json.dumps([data, messages, options]) == before


def ask(route: Route, shape: str, messages: list, options: dict) -> None:
    async def read() -> None:
        async for _ in route.astream(messages, **options):
            pass

    async def whole() -> None:
        await route.acomplete(messages, **options)

    try:
        if shape == "complete":
            route.complete(messages, **options)
        elif shape == "stream":
            list(route.stream(messages, **options))
        else:
            asyncio.run(whole() if shape == "acomplete" else read())
    except Exception:  # what an API is not told is not this test's affair
        pass
