"""Agents: LangChain's fallback middleware beside ours."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langchain_pilotlight import FailoverMiddleware
from pilotlight import BreakerPolicy

from ..conftest import openai

THREE_IN_A_ROW = BreakerPolicy(failure_rate=1.0, minimum_calls=3)
USER = {"messages": [("user", "hi")]}


@tool
def weather(city: str) -> str:
    """Say what the weather is like."""
    return f"Sunny in {city}."


@tool
def approve(what: str) -> str:
    """Ask a person."""
    return f"The person said: {interrupt(what)}"


def test_runs_remember_what_earlier_runs_have_found(server, plain, local):
    server.fault("primary", "server_error")
    theirs = create_agent(plain, [weather], middleware=[ModelFallbackMiddleware(local)])
    for _ in range(5):
        theirs.invoke({"messages": [("user", "use the tool")]})
    assert server.hits("primary") == 10
    server.reset()
    server.fault("primary", "server_error")
    middleware = FailoverMiddleware(local, breaker=THREE_IN_A_ROW)
    ours = create_agent(openai(server), [weather], middleware=[middleware])
    for _ in range(5):
        state = ours.invoke({"messages": [("user", "use the tool")]})
        assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert server.hits("primary") == 3
    assert [each["reason"] for each in state["pilotlight"]] == ["breaker_open"] * 2


async def test_the_async_agent_and_the_listener(server, primary, local):
    server.fault("primary", "server_error")
    seen = []
    middleware = FailoverMiddleware(local, on_failover=seen.append)
    state = await create_agent(primary, [], middleware=[middleware]).ainvoke(USER)
    assert state["messages"][-1].text.startswith("This is llama3.2")
    assert [(each.source, each.target, each.reason) for each in seen] == [
        ("openai/gpt-4o", "ollama/llama3.2:3b", "server_error")
    ]


def test_a_listener_that_breaks_costs_nothing(server, primary, local):
    server.fault("primary", "server_error")
    middleware = FailoverMiddleware(local, on_failover=lambda _: 1 / 0)
    assert create_agent(primary, [], middleware=[middleware]).invoke(USER)["messages"][-1].text


def streamed(agent):
    pieces = {}
    for chunk, _ in agent.stream(USER, stream_mode="messages"):
        if isinstance(chunk, AIMessageChunk):
            pieces[chunk.id] = pieces.get(chunk.id, "") + chunk.text
    return [text for text in pieces.values() if text]


def test_nothing_is_left_of_a_dead_model_s_half_sentence(server, plain, local):
    server.fault("primary", "cut", after=3)
    theirs = create_agent(plain, [], middleware=[ModelFallbackMiddleware(local)])
    told = streamed(theirs)
    assert len(told) == 2
    assert told[0] == "This is gpt-4o "
    ours = create_agent(openai(server), [], middleware=[FailoverMiddleware(local)])
    assert [text[:16] for text in streamed(ours)] == ["This is llama3.2"]


@dataclass
class Sensitivity:
    secret: bool = False


def test_local_only_decides_for_each_request(server, primary, local):
    middleware = FailoverMiddleware(local, local_only=lambda r: r.runtime.context.secret)
    agent = create_agent(primary, [], middleware=[middleware], context_schema=Sensitivity)
    assert "llama3.2" in agent.invoke(USER, context=Sensitivity(True))["messages"][-1].text
    assert server.hits("primary") == 0
    assert "gpt-4o" in agent.invoke(USER, context=Sensitivity())["messages"][-1].text
    server.reset()
    agent.invoke(USER)  # no context: the function fails, and so nothing leaves
    assert server.hits("primary") == 0


def test_an_interrupt_of_the_graph_is_no_failure(server, primary, local):
    agent = create_agent(
        primary, [approve], middleware=[FailoverMiddleware(local)], checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "1"}}
    state = agent.invoke({"messages": [("user", "approve it with the tool")]}, thread)
    assert state["__interrupt__"]
    state = agent.invoke(Command(resume="yes"), thread)
    assert state["messages"][-2].text == "The person said: yes"
    assert server.hits("local") == 0


def test_a_400_is_the_caller_s(server, primary, local):
    server.fault("primary", "bad_request")
    with pytest.raises(Exception) as caught:
        create_agent(primary, [], middleware=[FailoverMiddleware(local)]).invoke(USER)
    assert caught.value.status_code == 400
    assert server.hits("local") == 0
