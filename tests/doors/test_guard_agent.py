"""An agent's conversation that fails over at every turn and comes back: its history stays fit."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest
from kit_exchange import dialect_at, refusing, wants_stream
from kit_guard import CITY, TOOL, configured, pivot

from pilotlight import guard, receipts
from pilotlight.providers.relay.ways import dialect_named
from tests.providers.loopback import Loopback, Say, said

TURNS: Final = 6
IDS: Final = {
    "openai_chat": "call_{}_" + "x" * 20,
    "anthropic_messages": "toolu_{}",
    "ollama": "o{}",
}
MODELS: Final = {
    "openai_chat": "openai/gpt-4o", "anthropic_messages": "anthropic/claude-opus-4-8",
    "gemini": "gemini/gemini-2.5-flash", "ollama": "ollama/llama3.2",
}  # fmt: skip


class Agent:
    """An API that calls a tool at each turn, and is down at every second one."""

    def __init__(self, up: Iterator[bool]) -> None:
        self.up = up
        self.turn = itertools.count()
        self.histories: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, path: str, body: bytes) -> bytes:
        if not body or path.endswith("/api/show"):
            return said({})
        if not next(self.up):
            return refusing(500)(path, body)
        assert not wants_stream(path, body)
        dialect = dialect_at(path)
        self.histories.append((dialect, json.loads(body)))
        number = next(self.turn)
        function = {"name": "weather", "arguments": json.dumps({"city": f"C{number}"})}
        call = {"id": IDS.get(dialect, "g{}").format(number), "type": "function"}
        message = {"content": f"turn {number}", "tool_calls": [{**call, "function": function}]}
        return said(dialect_named(dialect).write_answer(pivot(message, "tool_calls")))


def talk_to_openai(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "how is the weather everywhere?"}]
    for _ in range(TURNS):
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
            for call in message.tool_calls
        ]


def talk_to_claude(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "how is the weather everywhere?"}]
    tools: Any = [{"name": "weather", "input_schema": CITY}]
    for _ in range(TURNS):
        answer = client.messages.create(
            model="claude-opus-4-8", max_tokens=99, messages=messages, tools=tools
        )
        messages.append({"role": "assistant", "content": answer.model_dump()["content"]})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
            for block in answer.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})


def calls_and_results(dialect: str, body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The ids of a history's calls and of its results, in order; Gemini has names."""
    if dialect == "gemini":
        parts = [part for content in body["contents"] for part in content["parts"]]
        calls = [p["functionCall"]["name"] for p in parts if "functionCall" in p]
        return calls, [p["functionResponse"]["name"] for p in parts if "functionResponse" in p]
    messages = body["messages"]
    if dialect == "anthropic_messages":
        blocks = [b for m in messages if isinstance(m["content"], list) for b in m["content"]]
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call) for call in calls)
        return calls, [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
    if dialect == "ollama":
        calls = [c["function"]["name"] for m in messages for c in m.get("tool_calls", ())]
        return calls, [m["tool_name"] for m in messages if m["role"] == "tool"]
    calls = [call["id"] for m in messages for call in m.get("tool_calls", ())]
    return calls, [m["tool_call_id"] for m in messages if m["role"] == "tool"]


CLIENTS: Final[dict[str, tuple[Callable[[str], Any], Callable[[Any], None]]]] = {
    "openai": (lambda url: openai.OpenAI(api_key="k", base_url=url), talk_to_openai),
    "anthropic": (lambda url: anthropic.Anthropic(api_key="k", base_url=url), talk_to_claude),
}


@pytest.mark.parametrize("spare", MODELS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_conversation_goes_back_and_forth(
    name: str, spare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, talk = CLIENTS[name]
    first, second = Agent(itertools.cycle([True, False])), Agent(itertools.repeat(True))
    second.turn = first.turn
    with Loopback(first) as primary, Loopback(second) as other:
        base = other.url + ("/v1beta" if spare == "gemini" else "")
        target = (
            f'[targets.other]\nmodel = "{MODELS[spare]}"\napi_base = "{base}"\napi_key = "k2"\n'
            'health = "off"\n[breaker]\nfailure_rate = 1.0\nconsecutive_failures = 99\n'
            "minimum_calls = 99\n"
        )
        with configured(tmp_path, monkeypatch, None, target), receipts() as log:
            talk(guard(make(primary.url), fallback="other"))
    assert [each.outcome for each in log] == ["primary", "failover"] * (TURNS // 2)
    assert len(first.histories) == len(second.histories) == TURNS // 2
    for dialect, body in (*first.histories, *second.histories):
        calls, results = calls_and_results(dialect, body)
        assert calls == results
    assert len(calls_and_results(*second.histories[-1])[0]) == TURNS - 1


def test_a_tool_with_side_effects_runs_once_when_the_provider_dies_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[str] = []
    says: Say = Agent(iter([True, False, False]))
    with (
        Loopback(says) as primary,
        Loopback(lambda _path, _body: said(dialect_named("ollama").write_answer(
            pivot({"content": "paid, enjoy"}, "stop")
        ))) as spare,
        configured(tmp_path, monkeypatch, spare),
        receipts() as log,
    ):  # fmt: skip
        client = guard(openai.OpenAI(api_key="k", base_url=primary.url), fallback="spare")
        messages: list[Any] = [{"role": "user", "content": "pay"}]
        while True:
            answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])
            message = answer.choices[0].message
            if not message.tool_calls:
                break
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                paid.append(call.function.arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": "done"})
    assert len(paid) == 1
    assert message.content == "paid, enjoy"
    assert [each.outcome for each in log] == ["primary", "failover"]
