"""A conversation of thirty turns that fails over at every turn, over sockets, between five APIs.

Each API is played strictly: it refuses what the real one would, and another's seals.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from saying import joined

import pilotlight
from pilotlight_chaos import ChaosServer, LocalModel

PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": CITY}}
    for name in ("weather", "clock")
]
SEARCH = {"type": "web_search"}
SEARCHES = ("claude", "gemini", "responses")  # of their own
# What the user asks for, one after the other, and what else is asked of the call.
ASKED: list[tuple[Any, dict[str, Any]]] = [
    ("hello", {}),
    ("use weather and clock", {"reasoning_effort": "medium"}),
    ("what now?", {"tool_choice": {"type": "function", "function": {"name": "clock"}}}),
    ([{"type": "text", "text": "what is this?"}, PIXEL], {"reasoning_effort": "low"}),
    ("search for news", {}),
    ("use weather", {"parallel_tool_calls": False}),
    ("as before", {"tool_choice": "required", "reasoning_effort": "medium"}),
]
TURNS = 30


def targets(server: ChaosServer) -> dict[str, Any]:
    models = {
        "chat": ("openai/gpt-4o", "/v1"),
        "responses": ("openai/responses/gpt-5", "/v1"),
        "claude": ("anthropic/claude-sonnet-4-5", ""),
        "gemini": ("gemini/gemini-3-pro", "/v1beta"),
        "local": ("ollama/llama3.2", ""),
    }
    return {
        name: {"model": model, "api_base": server.base(name) + path}
        | ({} if name == "local" else {"api_key": "k"})
        for name, (model, path) in models.items()
    }


def hops(names: list[str]) -> Iterator[str]:
    """Yield who answers: each after each other before a pair comes again."""
    left = set(itertools.permutations(names, 2))
    here = names[0]
    while True:
        yield here
        left = left or set(itertools.permutations(names, 2))
        ways = [there for there in names if (here, there) in left]
        there = max(ways or names, key=lambda name: sum(a == name for a, _ in left))
        left.discard((here, there))
        here = there


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    able = ("completion", "tools", "thinking", "vision")
    model = LocalModel("llama3.2", capabilities=able, num_ctx=32_000)
    with ChaosServer(strict=True, models=[model]) as running:
        yield running


def said(answer: Any, stream: bool) -> Any:
    """Return the message as a caller keeps it for the next turn: as JSON."""
    if stream:
        chunks = [json.loads(json.dumps(chunk.model_dump())) for chunk in answer]
        return joined([each | {"choices": each.get("choices") or []} for each in chunks])[
            "choices"
        ][0]["message"]
    return answer.response.choices[0].message.model_dump(exclude_none=True)


def is_spoken(target: Any) -> bool:
    """Tell an API that is asked in its own dialect: what litellm makes of a conversation is its."""
    module = type(target.provider).__module__
    return module.startswith(("pilotlight.providers.native", "pilotlight.providers.ollama"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_thirty_turns_that_fail_over_at_every_turn_are_taken_each_time(server, stream):
    table = targets(server)
    app = pilotlight.load(
        {
            "targets": table,
            "routes": {"chat": {"targets": list(table)}},
            "retry": {"max_retries": 0},
            "breaker": {
                "minimum_calls": 10_000,
                "consecutive_failures": 10_000,
                "suspicion": False,
            },
        }
    )
    route = app.route("chat")
    names = [target.name for target in route.targets if is_spoken(target)]
    assert set(names) >= {"claude", "gemini", "local"}
    who = hops(names)
    pairs, before = set(), ""
    messages: list[Any] = [{"role": "system", "content": "be brief"}]
    for turn in range(TURNS):
        text, options = ASKED[turn % len(ASKED)]
        messages.append({"role": "user", "content": text})
        for _ in range(2):  # the model, and once more after its tools
            up = next(who)
            server.heal()
            for name in table.keys() - {up}:
                server.fault(name, "server_error")
            asked = {"tools": [*TOOLS, SEARCH] if up in SEARCHES else TOOLS, **options}
            ask = route.stream if stream else route.complete
            answer = ask(messages, **asked)
            message = said(answer, stream)
            assert answer.served_by == up
            pairs.add((before, up))
            before = up
            messages.append(json.loads(json.dumps(message)))
            for call in message.get("tool_calls") or ():
                shown: Any = [{"type": "text", "text": "22"}, PIXEL] if turn % 2 else "22"
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": shown})
            if not message.get("tool_calls"):
                break
            options = {name: value for name, value in options.items() if name != "tool_choice"}
    assert pairs >= set(itertools.permutations(names, 2))
    for name in names:
        sent = json.dumps([request.body for request in server.requests(name)])
        came = {vendor for vendor, mark in SEALS.items() if mark in sent}
        assert came == {name} & SEALS.keys(), name


# How the seals of the stand-ins begin: each went back to its own vendor, and to nobody else.
SEALS = {"claude": "YW50aHJvcGlj", "gemini": "Z2VtaW5p", "responses": "b3BlbmFp"}
