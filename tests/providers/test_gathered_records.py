"""What real providers sent is the same answer, whole or put together.

The recordings lie beside the project, where they are there at all; `test_gathering.py` makes up
its own.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pilotlight.app import Pilotlight
from pilotlight.config.schema import parse
from pilotlight.providers.gathering import gathered
from pilotlight.providers.replies import flattened
from pilotlight.registry import Registry
from tests.providers.loopback import Loopback, reply

Json = dict[str, Any]
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "chats.jsonl.gz"
pytestmark = [
    pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside the project"),
    pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated"),
]
GROWING = ("content", "reasoning_content", "reasoning", "refusal")
ASK = [{"role": "user", "content": "hi"}]


@cache
def records(wire: str, stream: bool) -> list[Json]:
    lines = gzip.open(RECORDED, "rt", encoding="utf-8").read().splitlines()
    every = map(json.loads, lines)
    wanted = {"op": "chat", "wire": wire, "stream": stream, "status": 200}
    return [one for one in every if wanted.items() <= one.items()]


def spoken(said: Any) -> Any:
    """What was said, without what is only empty."""
    if isinstance(said, dict):
        return {key: value for key, each in said.items() if (value := spoken(each)) not in _EMPTY}
    return [spoken(each) for each in said] if isinstance(said, list) else said


_EMPTY: Any = (None, "", [], {})


# An answer, cut.


def cut(text: str, chance: random.Random) -> list[str]:
    at = sorted(chance.sample(range(len(text) + 1), min(4, len(text))))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def deltas(message: Json, chance: random.Random) -> Iterator[Json]:
    for name, value in message.items():
        if name in GROWING and isinstance(value, str):
            yield from ({name: piece} for piece in cut(value, chance))
        elif name == "tool_calls":
            for place, call in enumerate(value or ()):
                if "function" not in call:
                    yield {"tool_calls": [{**call, "index": place}]}
                    continue
                first, *rest = cut(call["function"].get("arguments") or "", chance) or [""]
                yield {"tool_calls": [_call(call, place, first)]}
                for piece in rest:
                    yield {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}
        else:
            yield {name: value}


def _call(call: Json, place: int, arguments: str) -> Json:
    return {**call, "index": place, "function": {**call["function"], "arguments": arguments}}


def chunks(answer: Json, chance: random.Random) -> Iterator[Json]:
    head = {key: value for key, value in answer.items() if key not in ("choices", "usage")}
    for choice in answer["choices"]:
        rest = {key: value for key, value in choice.items() if key != "message"}
        for delta in deltas(choice["message"], chance):
            yield {**head, "choices": [{"index": choice.get("index", 0), "delta": delta}]}
        yield {**head, "choices": [{**rest, "delta": {}}]}
    yield {**head, "choices": [], "usage": answer.get("usage")}


def test_every_recorded_answer_that_is_cut_into_chunks_is_whole_again():
    chance, seen = random.Random(0), 0
    for record in records("openai", False):
        body = record["body"]
        answer = json.loads(body) if isinstance(body, str) else body
        if not all("message" in one for one in answer.get("choices") or [{}]):
            continue
        answer = flattened(answer)
        for choice in answer["choices"]:
            choice.setdefault("index", 0)
            choice.pop("delta", None)  # Perplexity has both
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
                call.setdefault("type", "function")
        whole = gathered(chunks(answer, chance))
        assert spoken(whole) == spoken({**answer, "object": "chat.completion"}), record["id"]
        seen += 1
    assert seen > 300


# A stream, put together.


def events(body: str) -> Iterator[Json]:
    for event in body.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in event.split("\n") if line[:5] == "data:")
        if data and data != "[DONE]":
            yield flattened(json.loads(data), "delta")


def test_every_recorded_stream_is_put_together_to_what_it_said():
    seen = 0
    for record in records("openai", True):
        said = list(events(record["body"]))
        if not any(one.get("choices") for one in said):
            continue
        answer = gathered(said)
        choices = [one for each in said for one in each.get("choices") or ()]
        own = [one for one in choices if one.get("index", 0) == 0]
        text = "".join((one.get("delta") or {}).get("content") or "" for one in own)
        (message, finish) = (answer["choices"][0][name] for name in ("message", "finish_reason"))
        assert (message["content"] or "") == text, record["id"]
        reasons = [one["finish_reason"] for one in own if one.get("finish_reason")]
        assert finish == (reasons[-1] if reasons else None), record["id"]
        counts = [each["usage"] for each in said if each.get("usage")]
        assert answer.get("usage") == (counts[-1] if counts else answer.get("usage"))
        for call in message.get("tool_calls") or ():
            assert call["function"]["name"] and "index" not in call
            assert isinstance(json.loads(call["function"].get("arguments") or "{}"), dict)
        seen += 1
    assert seen > 100


# A stream, read by its provider.


def model_of(record: Json) -> str:
    if record["wire"] == "gemini":
        return "gemini/" + record["url"].rsplit("/models/", 1)[1].split(":")[0]
    return f"{record['provider']}/{record['req'].get('model', 'x')}"


COUNTED = re.compile(r'"usage":\s*\{|"usageMetadata":|"eval_count":')
BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta", "ollama": ""}


@pytest.mark.parametrize("wire", BASES)
def test_a_gathered_answer_is_what_the_stream_would_have_shown(wire):
    known = ("anthropic", "azure", "deepseek", "gemini", "mistral", "ollama", "openai")
    picked = [one for one in records(wire, True) if one["provider"] in known][::5]
    assert picked
    for record in picked:
        sent = reply(record["body"].encode(), kind=record["headers"].get("content-type", ""))
        with Loopback(lambda *_, sent=sent: sent) as server:
            target = {
                "model": model_of(record),
                "api_base": server.url + BASES[wire],
                "retry": {"attempts": 0},
                **({"health": "off"} if wire == "ollama" else {"api_key": "k"}),
                **({"options": {"api_version": "2024-10-21"}} if "azure" in record["url"] else {}),
            }
            routes = {"r": {"targets": ["t"], "gather": "always"}}
            given = parse({"targets": {"t": target}, "routes": routes}, "test")
            with Pilotlight(given, registry=Registry()) as app:
                stream = app.route("r").stream(ASK, stream_options={"include_usage": True})
                shown = [one.model_dump(exclude_none=True) for one in stream]
                answer = app.route("r").complete(ASK)
        (one,), (other,) = answer.receipt.attempts, stream.receipt.attempts
        told = COUNTED.search(record["body"]) is not None  # else litellm makes a count up
        tokens = ("prompt_tokens", "completion_tokens") if told else ()
        counted = ("finish_reason", *tokens)
        assert {n: getattr(one, n) for n in counted} == {n: getattr(other, n) for n in counted}, (
            record["id"]
        )
        assert answer.text == stream.text, record["id"]
        whole = gathered(shown)
        calls, asked = (
            spoken(each["choices"][0]["message"].get("tool_calls"))
            for each in (answer.response.model_dump(), whole)
        )
        assert [c["function"] for c in calls or ()] == [c["function"] for c in asked or ()]
