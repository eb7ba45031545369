"""Requests of the pivot, of every kind that it can hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
# Hypothesis draws words of our own sources, too; this one marks what a vendor's tool has done.
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda said: bool(said.strip()) and "srvtoolu" not in said
)
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100) | st.sampled_from(
    ["call_0", "toolu_01A", "fc_1|item", "x" * 94, "abcdefghi"]
)
NAMES = st.sampled_from(["look", "find-it", "get_weather"])
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=2).map(json.dumps)
IMAGE = {"type": "image_url", "image_url": {"url": PIXEL}}
PARTS = st.lists(
    WORDS.map(lambda said: {"type": "text", "text": said}) | st.just(IMAGE), min_size=1, max_size=3
)
USER = st.fixed_dictionaries({"role": st.just("user"), "content": WORDS | PARTS})
SYSTEM = st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": WORDS})


@st.composite
def rounds(draw: Any) -> list[Any]:
    """An assistant's turn, with calls of tools and their results in any order."""
    ids = draw(st.lists(IDS, max_size=3, unique=True))
    message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | WORDS)}
    if ids:
        message["tool_calls"] = [
            {
                "id": each,
                "type": "function",
                "function": {"name": draw(NAMES), "arguments": draw(ARGUMENTS)},
            }
            for each in ids
        ]
    elif not message["content"]:
        message["content"] = draw(WORDS)
    results = [
        {"role": "tool", "tool_call_id": each, "content": draw(WORDS | PARTS)}
        for each in draw(st.permutations(ids))
    ]
    return [message, *results]


@st.composite
def conversations(draw: Any) -> list[Any]:
    said = draw(st.lists(SYSTEM, max_size=2))
    for _ in range(draw(st.integers(1, 4))):
        said.append(draw(USER))
        said += draw(rounds())
    return [*said, draw(USER)]


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 2}},
    "required": ["city"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": SCHEMA}}
    for name in ("look", "find-it", "get_weather")
]
# Every option of the pivot, each with a value that asks for something.
OPTIONS: dict[str, Any] = {
    "temperature": 0.3, "top_p": 0.9, "max_tokens": 300, "max_completion_tokens": 301,
    "stop": ["END"], "n": 2, "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 3, "user": "u-1",
    "reasoning_effort": "high", "parallel_tool_calls": False, "tool_choice": "required",
    "service_tier": "flex", "store": True, "metadata": {"a": "b"}, "verbosity": "low",
    "prediction": {"type": "content", "content": "x"}, "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"}, "prompt_cache_key": "k",
    "safety_identifier": "s-1", "top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000},
    "web_search_options": {}, "safety_settings": [{"category": "c", "threshold": "t"}],
    "num_ctx": 100, "next_years_option": {"a": 1},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
}  # fmt: skip
