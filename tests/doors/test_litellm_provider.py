"""`pilotlight.register_litellm()`: routes as models of litellm's."""

from __future__ import annotations

import asyncio

import pytest
from kit_gateway import ASK, MODELS, config

import pilotlight
from pilotlight_chaos import ChaosServer

# litellm looks at its own chunks by a name that pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning")


@pytest.fixture
def chaos():
    with ChaosServer(models=MODELS) as server:
        yield server


@pytest.fixture
def litellm(chaos):
    settings = config(chaos)
    settings["targets"]["via"] = settings["targets"]["gpt"] | {"via": "litellm"}
    settings["routes"]["through"] = {"targets": ["via", "local"]}
    with pilotlight.load(settings) as app:
        pilotlight.register_litellm(app)
        import litellm

        before = list(litellm.custom_provider_map)
        yield litellm
        assert litellm.custom_provider_map == before


def told(chunks) -> str:
    return "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)


async def listed(chunks) -> list:
    return [each async for each in chunks]


WAYS = {
    "whole": lambda it, model, **more: it.completion(model, ASK, **more).choices[0].message.content,
    "stream": lambda it, model, **more: told(it.completion(model, ASK, stream=True, **more)),
    "async": lambda it, model, **more: (
        asyncio.run(it.acompletion(model, ASK, **more)).choices[0].message.content
    ),
    "async stream": lambda it, model, **more: told(asyncio.run(_stream(it, model, **more))),
}


async def _stream(it, model, **more):
    return await listed(await it.acompletion(model, ASK, stream=True, **more))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("route", ["chat", "through"])
def test_a_route_is_a_model(way, route, litellm, chaos):
    """Also where a target of the route goes through litellm itself."""
    ask = WAYS[way]
    with pilotlight.receipts() as log:
        assert ask(litellm, f"pilotlight/{route}").startswith("This is gpt-4o")
        chaos.fault("cloud", "overloaded")
        assert ask(litellm, f"pilotlight/{route}", temperature=0.1).startswith("This is llama3.2")
    assert [each.route for each in log] == [route, route]
    assert [each.outcome for each in log] == ["primary", "failover"]


def test_the_tokens_of_a_stream_are_told(litellm):
    chunks = list(
        litellm.completion(
            "pilotlight/chat", ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [each.usage.prompt_tokens for each in chunks if getattr(each, "usage", None)] == [5]
    reasons = [each.choices[0].finish_reason for each in chunks if each.choices]
    assert [each for each in reasons if each] == ["stop"]


@pytest.mark.parametrize("way", WAYS)
def test_tools_go_both_ways(way, litellm, chaos):
    tool = {
        "name": "pay",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    }
    tools = [{"type": "function", "function": tool}]
    if "stream" in way:
        chunks = (
            list(
                litellm.completion(
                    "pilotlight/chat", ASK, stream=True, tools=tools, tool_choice="required"
                )
            )
            if way == "stream"
            else asyncio.run(
                _stream(litellm, "pilotlight/chat", tools=tools, tool_choice="required")
            )
        )
        message = litellm.stream_chunk_builder(chunks).choices[0].message
    else:
        more = {"tools": tools, "tool_choice": "required"}
        answer = (
            litellm.completion("pilotlight/chat", ASK, **more)
            if way == "whole"
            else asyncio.run(litellm.acompletion("pilotlight/chat", ASK, **more))
        )
        message = answer.choices[0].message
    assert message.tool_calls[0].function.name == "pay"


def test_embeddings(litellm):
    whole = litellm.embedding("pilotlight/vectors", ["a", "b"]).data
    later = asyncio.run(litellm.aembedding("pilotlight/vectors", ["a", "b"])).data
    assert len(whole) == 2
    assert whole[0]["embedding"] == later[0]["embedding"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("model", "fault", "status"),
    [
        ("nothing", None, 404),
        ("cloud", "overloaded", 503),
        ("cloud", "rate_limit", 429),
        ("cloud", "auth", 401),
    ],
)
def test_what_a_route_raises_is_litellms_own_exception(way, model, fault, status, litellm, chaos):
    if fault is not None:
        chaos.fault("cloud", fault)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        WAYS[way](litellm, f"pilotlight/{model}")
    assert type(raised.value).__module__ == "litellm.exceptions"
    assert raised.value.status_code == status


def test_once_more_replaces_it(litellm, chaos):
    settings = config(chaos)
    settings["routes"]["chat"]["targets"] = ["local"]
    before = len(litellm.custom_provider_map)
    kept = litellm.custom_provider_map
    with pilotlight.load(settings) as app:
        pilotlight.register_litellm(app)
        assert len(litellm.custom_provider_map) == before
        assert WAYS["whole"](litellm, "pilotlight/chat").startswith("This is llama3.2")
    litellm.custom_provider_map = kept


def test_it_is_private_where_it_is_awaited(litellm, chaos):
    with pilotlight.private():
        for ask in WAYS.values():
            assert ask(litellm, "pilotlight/chat").startswith("This is llama3.2")
    assert all(each.name == "house" for each in chaos.requests())
    assert WAYS["whole"](litellm, "pilotlight/chat").startswith("This is gpt-4o")


def test_a_route_is_no_target():
    with pytest.raises(pilotlight.ConfigError, match="is a route, and no model"):
        pilotlight.load({"targets": {"x": {"model": "pilotlight/chat"}}})


@pytest.mark.parametrize("way", ["stream", "async stream"])
def test_a_stream_that_breaks_is_told_and_never_begun_anew(way, litellm, chaos):
    """litellm's readers could not be told that the text before is void."""
    settings = config(chaos)
    settings["routes"]["chat"]["on_interrupt"] = "restart"
    kept = litellm.custom_provider_map
    chaos.fault("cloud", "cut")
    with pilotlight.load(settings) as app:
        pilotlight.register_litellm(app)
        with pytest.raises(Exception) as raised:  # noqa: PT011
            WAYS[way](litellm, "pilotlight/chat")
    litellm.custom_provider_map = kept
    assert type(raised.value).__module__ == "litellm.exceptions"
    assert chaos.requests("house") == []
