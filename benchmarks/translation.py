"""A request of thirty turns with ten tools, and its translation: every dialect, each way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from benchmarks.measure import Figure, quiet_collector, steadily
from benchmarks.rows import Row
from pilotlight.dialects import anthropic_messages, gemini, ollama, openai_chat, openai_responses

TURNS, TOOLS = 30, 10
ROUNDS, TIMES = 9, 40
LIMIT = 300e-6
MODELS: Final[Mapping[str, tuple[Any, str]]] = {
    "OpenAI chat": (openai_chat, "gpt-4o"),
    "OpenAI Responses": (openai_responses, "gpt-5"),
    "Claude": (anthropic_messages, "claude-sonnet-4-5"),
    "Gemini": (gemini, "gemini-3-pro"),
    "Ollama": (ollama, "llama3.2"),
}


def request(model: str) -> dict[str, Any]:
    """Return the request of an agent: each third turn calls two tools at once."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief. " * 20}]
    for turn in range(TURNS):
        messages.append({"role": "user", "content": f"Question {turn}: how is the weather? " * 4})
        if turn % 3 == 0:
            arguments = json.dumps({"city": "Paris", "day": "Monday", "units": "metric"})
            calls = [
                {
                    "id": f"call_{turn}_{number}",
                    "type": "function",
                    "function": {"name": f"tool_{number}", "arguments": arguments},
                }
                for number in range(2)
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": "22 degrees, sunny. " * 6}
                for call in calls
            ]
        messages.append({"role": "assistant", "content": f"It is sunny, as on day {turn}. " * 5})
    messages.append({"role": "user", "content": "And tomorrow?"})
    return {"model": model, "messages": messages, "tools": [_tool(n) for n in range(TOOLS)]}


def _tool(number: int) -> dict[str, Any]:
    properties = {
        "city": {"type": "string", "description": "The city's name"},
        "day": {"type": "string", "enum": ["Monday", "Tuesday", "Wednesday"]},
        "units": {"type": "string", "description": "metric or imperial"},
        "hours": {"type": "array", "items": {"type": "integer"}},
    }
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    described = {"name": f"tool_{number}", "description": "Tells the weather of a day."}
    return {"type": "function", "function": {**described, "parameters": schema}}


def rows() -> list[Row]:
    """Measure."""
    cases: dict[str, Callable[[], float]] = {}
    for name, (dialect, model) in MODELS.items():
        asked = request(model)
        body = dialect.write_request(asked).body
        cases[f"to {name}"] = partial(_timed, partial(dialect.write_request, asked))
        cases[f"from {name}"] = partial(_timed, partial(dialect.read_request, body))
    with quiet_collector():
        found = steadily(cases, ROUNDS)
    return [_row(way, rounds) for way, rounds in found.items()]


def _timed(translate: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    for _ in range(TIMES):
        translate()
    return (time.thread_time_ns() - began) / TIMES / 1e9


def _row(way: str, rounds: list[float]) -> Row:
    spent = Figure(rounds)
    return Row(
        f"translation {way}, {TURNS} turns and {TOOLS} tools",
        spent.told("us"),
        f"<= {LIMIT * 1e6:.0f} us",
        spent.median <= LIMIT,
        values=spent.values(),
        promise="translation",
    )
