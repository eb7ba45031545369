"""An agent's conversation through the gateway fails over at every turn and back.

The played providers are strict: a history that their real APIs would refuse, they refuse.
"""

from __future__ import annotations

import anthropic
import openai
import pytest
from kit_gateway import MODELS, config, serving

from pilotlight_chaos import ChaosServer

TURNS = 6
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = {"role": "user", "content": "How is the weather?"}


def turns(site, chaos):
    """Begin each turn with the first target up or down, in turns."""
    for number in range(TURNS):
        if number % 2:
            chaos.fault("first", "overloaded")
        else:
            chaos.heal("first")
        site.gateway.app.target("first").health.breaker.close()
        yield number


def of_anthropic(site, chaos) -> None:
    tool = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}
    messages = [QUESTION]
    with anthropic.Anthropic(base_url=site.url, api_key="k", max_retries=0) as client:
        for _ in turns(site, chaos):
            said = client.messages.create(
                model="agent", max_tokens=200, messages=messages, tools=[tool],
                tool_choice={"type": "any"},
            )  # fmt: skip
            messages.append(
                {"role": "assistant", "content": said.model_dump(exclude_none=True)["content"]}
            )
            results = [
                {"type": "tool_result", "tool_use_id": each.id, "content": "sunny"}
                for each in said.content
                if each.type == "tool_use"
            ]
            assert results
            again = {"type": "text", "text": QUESTION["content"]}
            messages.append({"role": "user", "content": [*results, again]})


def of_openai(site, chaos) -> None:
    tool = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
    messages = [QUESTION]
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key="k", max_retries=0) as client:
        for _ in turns(site, chaos):
            said = (
                client.chat.completions.create(
                    model="agent",
                    messages=messages,
                    tools=[{"type": "function", "function": tool}],
                    tool_choice="required",
                )
                .choices[0]
                .message
            )
            messages.append(said.model_dump(exclude_none=True))
            assert said.tool_calls
            messages += [
                {"role": "tool", "tool_call_id": each.id, "content": "sunny"}
                for each in said.tool_calls
            ]
            messages.append(QUESTION)


TARGETS = {
    "openai": ("openai/gpt-4o", "/v1"),
    "anthropic": ("anthropic/claude-sonnet-4-5", ""),
    "gemini": ("gemini/gemini-2.5-flash", "/v1beta"),
    "ollama": ("ollama/llama3.2", ""),
}


@pytest.mark.parametrize("talk", [of_anthropic, of_openai])
@pytest.mark.parametrize("first", TARGETS)
@pytest.mark.parametrize("second", TARGETS)
def test_a_conversation_goes_back_and_forth(talk, first, second):
    with ChaosServer(models=MODELS, strict=True, eager_tools=True) as chaos:
        settings = config(chaos)
        for name, (model, path) in (("first", TARGETS[first]), ("second", TARGETS[second])):
            known = {"model": model, "api_base": f"{chaos.base(name)}{path}", "api_key": name}
            settings["targets"][name] = known | {"retry": {"max_retries": 0}}
        settings["routes"]["agent"] = {"targets": ["first", "second"]}
        with serving(settings) as site:
            talk(site, chaos)
        assert len(chaos.requests("second")) == TURNS // 2
