"""What can't be sent to anybody is refused before anything is, and says how to mend it."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel
from ways import HELLO

import pilotlight
from pilotlight import ConfigError, InvalidCall, load
from pilotlight.doors import dropin
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget

BAD_MESSAGES = [
    ([], "messages is empty"),
    ("hello", '[{"role": "user", "content": "Hello"}]'),
    (b"hello", "messages is a bytes"),
    ({"role": "user", "content": "hi"}, "messages is a dict"),
    (None, "messages is a NoneType"),
    (7, "messages is a int"),
    ([{"content": "hi"}], 'messages[0] has no role; add "role": "user"'),
    ([{"role": "user"}, {"role": ""}], "messages[1] has no role"),
    ([{"role": 3}], "messages[0] has no role"),
    (["hi"], "messages[0] is a str; it should be a dict"),
]


@pytest.fixture
def gpt(clock):
    return ScriptedTarget("gpt", clock=clock)


@pytest.fixture
def route(gpt, clock):
    return Route("chat", (gpt,), clock=clock)


def every_shape(route: Route):
    """The four ways to make a call; the streams are made, not read."""
    return [
        route.complete,
        lambda *a, **k: asyncio.run(route.acomplete(*a, **k)),
        route.stream,
        route.astream,
    ]


@pytest.mark.parametrize(("messages", "told"), BAD_MESSAGES)
def test_bad_messages(route, gpt, messages, told):
    for call in every_shape(route):
        with pytest.raises(InvalidCall) as caught:
            call(messages)
        assert told in str(caught.value)
    assert not gpt.calls


def test_messages_may_be_any_sequence_of_dicts_and_of_an_sdks_messages(route, gpt):
    class Message(BaseModel):
        role: str = "user"
        content: str = "there"

    route.complete(({"role": "user", "content": "hi"}, Message()))
    assert len(gpt.calls) == 1


@pytest.mark.parametrize("total_timeout", [0, -1, float("nan"), "30"])
def test_a_bad_deadline(route, gpt, total_timeout):
    for call in every_shape(route):
        with pytest.raises(InvalidCall, match="a positive number of seconds"):
            call(HELLO, total_timeout=total_timeout)
    assert not gpt.calls


def test_a_private_call_without_a_local_target(route, gpt):
    for call in every_shape(route):
        with pytest.raises(ConfigError) as caught:
            call(HELLO, private=True)
        message = str(caught.value)
        assert "route 'chat' has no local target" in message
        assert "nothing was sent" in message
        assert "routes.chat.targets" in message
    assert not gpt.calls


def test_a_route_without_targets():
    with pytest.raises(ConfigError, match="'chat' has no targets"):
        Route("chat", ())


def test_the_same_target_twice(gpt, clock):
    with pytest.raises(ConfigError, match="names 'gpt' twice; name it once"):
        Route("chat", (gpt, ScriptedTarget("b", clock=clock), gpt))


def test_two_strings_for_one_target_are_one_target():
    pilot = load({"targets": {"gpt": {"model": "openai/gpt-4o"}}})
    assert [t.name for t in pilot.adhoc(["gpt", "openai/gpt-4o", "ollama/x"]).targets] == [
        "gpt", "ollama/x",
    ]  # fmt: skip


def test_an_unknown_route_names_the_nearest():
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    with pytest.raises(ConfigError, match="unknown route 'chta'; did you mean 'chat'"):
        pilot.route("chta")
    with pytest.raises(ConfigError, match="known routes: chat"):
        pilot.route("zzz")
    with pytest.raises(ConfigError, match="pilotlight init"):
        load({}).route("chat")


def test_an_unknown_target_names_the_nearest():
    pilot = load({"targets": {"local": {"model": "ollama/a"}}})
    with pytest.raises(ConfigError, match="unknown target 'locl'; did you mean 'local'"):
        pilot.target("locl")


def test_the_only_route_answers_to_default():
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    assert pilot.route() is pilot.route("chat") is pilot.routes["chat"]


@pytest.mark.parametrize(
    ("model", "mend"),
    [
        ("gpt-4o", '"openai/gpt-4o"'),
        ("claude-x", '"anthropic/claude-x"'),
        ("llama3", '"ollama/llama3"'),
    ],
)
def test_a_bare_model_is_told_its_provider(model, mend, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        pilotlight.completion(model, HELLO)
    assert mend in str(caught.value)


def test_a_stream_without_any_chunk_does_not_leak_stop_iteration(monkeypatch, clock):
    """`StopIteration` out of a call would end the caller's own loop in silence."""
    from pilotlight.core.provider import Ended

    class Nothing:
        commits = staticmethod(bool)
        ended = staticmethod(Ended)
        failed = close = lambda *_: None

        def __iter__(self):
            return iter(())

        async def __aiter__(self):
            return
            yield

        async def aclose(self):
            pass

    gpt = ScriptedTarget("gpt", clock=clock)
    gpt.provider.stream = gpt.provider.astream = lambda call, attempt: Nothing()
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    pilot._routes["chat"] = Route("chat", (gpt,), clock=clock)
    monkeypatch.setattr(dropin, "default", lambda: pilot)
    assert list(dropin.completion("chat", HELLO, stream=True)) == []

    async def main():
        return [chunk async for chunk in await dropin.acompletion("chat", HELLO, stream=True)]

    assert asyncio.run(main()) == []
