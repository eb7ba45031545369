"""What real answers cost, by their own APIs' counts: beside a reference that was written by hand.

The recordings lie beside the project, where they are there at all; `test_spending.py` has cases
of its own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pilotlight
from tests.providers.loopback import Loopback, reply

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "chats.jsonl.gz"
pytestmark = [
    pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside the project"),
    pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated"),
]
Json = dict[str, Any]
IN, OUT, CACHED, WRITTEN = 3.0, 15.0, 0.3, 3.75  # dollars for a million tokens
PRICE = {"input": IN, "output": OUT, "cached_input": CACHED, "cache_write": WRITTEN}
ASK: Any = [{"role": "user", "content": "hi"}]


def openai(usage: Json) -> float:
    """`prompt_tokens` has the cached ones in it (OpenAI's API reference, usage)."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    cached = min(cached, usage["prompt_tokens"])  # xAI has told of more
    sent = usage["prompt_tokens"] - cached
    return sent * IN + cached * CACHED + (usage.get("completion_tokens") or 0) * OUT


def anthropic(usage: Json) -> float:
    """`input_tokens` has the cached ones not in it (Anthropic's API reference, messages).

    Of an answer in several iterations all of them are billed (the same, compaction).
    """
    if iterations := usage.get("iterations"):
        return sum(map(anthropic, iterations))
    return (
        usage["input_tokens"] * IN
        + (usage.get("cache_read_input_tokens") or 0) * CACHED
        + (usage.get("cache_creation_input_tokens") or 0) * WRITTEN
        + usage["output_tokens"] * OUT
    )


def gemini(usage: Json) -> float:
    """Thoughts are not in `candidatesTokenCount`; tool prompts are paid as input (Gemini's API)."""
    cached = usage.get("cachedContentTokenCount") or 0
    sent = usage["promptTokenCount"] + (usage.get("toolUsePromptTokenCount") or 0)
    said = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    return (sent - cached) * IN + cached * CACHED + said * OUT


COUNT = {"openai": "prompt_tokens", "anthropic": "input_tokens", "gemini": "promptTokenCount"}
MODELS: dict[str, tuple[str, str, Callable[[Json], float]]] = {
    "openai": ("openai/gpt-4.1", "/v1", openai),
    "anthropic": ("anthropic/claude-sonnet-4-5", "", anthropic),
    "gemini": ("gemini/gemini-2.5-flash", "/v1beta", gemini),
}


@cache
def records(wire: str, stream: bool) -> list[Json]:
    lines = gzip.open(RECORDED, "rt", encoding="utf-8").read().splitlines()
    wanted = {"op": "chat", "wire": wire, "stream": stream, "status": 200}
    found = [one for one in map(json.loads, lines) if wanted.items() <= one.items()]
    return [one for one in found if COUNT[wire] in (usage_of(one, wire) or ())]


def usage_of(record: Json, wire: str) -> Json | None:
    """The last counts that a body has; Anthropic's stream tells them in two events."""
    body = record["body"]
    if not record["stream"]:
        try:
            said = json.loads(body)
        except ValueError:
            return None
        return said.get("usage") or said.get("usageMetadata")
    found: Json = {}
    for line in body.splitlines():
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            continue
        try:
            event = json.loads(line[5:])
        except ValueError:
            return None
        if not isinstance(event, dict):
            return None
        inner = event.get("message") or {}
        told = event.get("usage") or event.get("usageMetadata") or inner.get("usage") or {}
        if wire == "gemini" and told:
            found = {}  # each event counts anew
        found |= {key: value for key, value in told.items() if value is not None}
    return found or None


OWN = {"openai": ("openai", "azure", "deepseek", "mistral"), "anthropic": ("anthropic",)}


def cost(record: Json, wire: str) -> float | None:
    """What pilotlight says that it cost; None where it is no answer (a refusal in words, say)."""
    model, path, _ = MODELS[wire]
    sent = reply(record["body"].encode(), kind=record["headers"].get("content-type", ""))
    with Loopback(lambda *_: sent) as server:
        target = {
            "model": model, "api_base": server.url + path, "api_key": "k", "price": PRICE,
            "retry": {"max_retries": 0},
        }  # fmt: skip
        routes = {"r": {"targets": ["t"], "gather": "never"}}
        with pilotlight.load({"targets": {"t": target}, "routes": routes}) as app:
            with pilotlight.receipts() as log:
                try:
                    if record["stream"]:
                        for _ in app.route("r").stream(ASK):
                            pass
                    else:
                        app.route("r").complete(ASK)
                except Exception:
                    return None
            return log[0].cost


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("wire", MODELS)
def test_a_real_answer_costs_what_the_reference_says(wire, stream):
    known = [one for one in records(wire, stream) if one["provider"] in OWN.get(wire, (wire,))]
    picked = known[:: max(1, len(known) // 60)]
    seen = 0
    for record in picked:
        reckoned = MODELS[wire][2](usage_of(record, wire)) / 1e6
        if (told := cost(record, wire)) is not None:
            assert told == pytest.approx(reckoned, abs=1e-9), (record["id"], usage_of(record, wire))
            seen += 1
    assert seen > len(picked) * 0.9 > 20
