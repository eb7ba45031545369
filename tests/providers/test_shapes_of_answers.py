"""Any JSON anywhere in an answer: it is an answer that can be read, or a fault that fails over."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotlight import Pilotlight, Route
from pilotlight.config.schema import parse
from pilotlight.records.lines import encode
from pilotlight.registry import Registry
from pilotlight.vocabulary.faults import RULES, Elsewhere, Fault
from tests.anyjson import ANY, LOST, places, put, written
from tests.providers.loopback import Loopback, reply

CHAT: Final = [{"role": "user", "content": "hello"}]
CALL: Final = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOGPROB: Final = {"token": "h", "logprob": -0.1, "bytes": [1], "top_logprobs": []}
OPENAI: Final = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "system_fingerprint": "fp", "service_tier": "default",
    "choices": [{
        "index": 0, "finish_reason": "stop", "logprobs": {"content": [LOGPROB], "refusal": None},
        "message": {
            "role": "assistant", "content": "hi", "refusal": None, "annotations": [],
            "tool_calls": [CALL], "reasoning_content": "hm",
        },
    }],
    "usage": {
        "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}  # fmt: skip
RESPONSES: Final = {
    "id": "r", "object": "response", "created_at": 1, "model": "gpt-4o", "status": "completed",
    "incomplete_details": None, "error": None,
    "output": [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{
            "type": "output_text", "text": "hi", "logprobs": [LOGPROB], "annotations": [
                {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
            ],
        }]},
    ],
    "usage": {
        "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}  # fmt: skip
ANTHROPIC: Final = {
    "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [
        {"type": "text", "text": "hi"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ],
    "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0},
}  # fmt: skip
GEMINI: Final = {
    "candidates": [{
        "content": {"role": "model", "parts": [
            {"text": "hi"}, {"functionCall": {"name": "f", "args": {"a": 1}}},
        ]},
        "finishReason": "STOP", "index": 0, "safetyRatings": [],
    }],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
    "modelVersion": "gemini-2.5-flash", "responseId": "r",
}  # fmt: skip
COHERE: Final = {
    "id": "c", "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant", "tool_plan": "p", "tool_calls": [CALL],
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}],
        "citations": [{
            "start": 0, "end": 2, "text": "hi", "type": "TEXT_CONTENT",
            "sources": [{"type": "document", "id": "d", "document": {"title": "t", "url": "u"}}],
        }],
    },
    "usage": {
        "billed_units": {"input_tokens": 1, "output_tokens": 1}, "cached_tokens": 1,
        "tokens": {"input_tokens": 1, "output_tokens": 2, "reasoning_tokens": 1},
    },
}  # fmt: skip
OLLAMA: Final = {
    "model": "llama3.2", "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
    "message": {
        "role": "assistant", "content": "hi", "thinking": "hm",
        "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": {"a": 1}}}],
    },
    "prompt_eval_count": 1, "eval_count": 1, "logprobs": [LOGPROB], "total_duration": 1,
}  # fmt: skip
EMBEDDED: Final = {
    "object": "list", "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}  # fmt: skip
OLLAMA_EMBEDDED: Final = {"model": "m", "embeddings": [[0.1, 0.2]], "prompt_eval_count": 1}
IMAGES: Final = {
    "created": 1, "data": [{"url": "http://x/1.png", "b64_json": None, "revised_prompt": "p"}],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}  # fmt: skip

# name: model, more of the target, the operation, a good body
WIRES: Final[dict[str, tuple[str, dict[str, Any], str, Any]]] = {
    "direct": ("openai/gpt-4o", {}, "complete", OPENAI),
    "responses": ("openai/responses/gpt-4o", {}, "complete", RESPONSES),
    "litellm": ("openai/gpt-4o", {"via": "litellm"}, "complete", OPENAI),
    "groq": ("groq/llama-3.3-70b-versatile", {"via": "litellm"}, "complete", OPENAI),
    "anthropic": ("anthropic/claude-sonnet-4-5", {}, "complete", ANTHROPIC),
    "gemini": ("gemini/gemini-2.5-flash", {}, "complete", GEMINI),
    "claude-litellm": ("anthropic/claude-sonnet-4-5", {"via": "litellm"}, "complete", ANTHROPIC),
    "gemini-litellm": ("gemini/gemini-2.5-flash", {"via": "litellm"}, "complete", GEMINI),
    "cohere": ("cohere/command-a-03-2025", {}, "complete", COHERE),
    "ollama": ("ollama/llama3.2", {}, "complete", OLLAMA),
    "embeddings": ("openai/text-embedding-3-small", {}, "embed", EMBEDDED),
    "ollama embeddings": ("ollama/nomic-embed-text", {}, "embed", OLLAMA_EMBEDDED),
    "images": ("openai/dall-e-3", {}, "image", IMAGES),
}
GOOD: Final = {"complete": OPENAI, "embed": EMBEDDED, "image": IMAGES}


EXAMPLES: Final = int(os.environ.get("PILOTLIGHT_SHAPES", "60"))


class Stage:
    """A target of a wire that says odd things, and one behind it that is well."""

    def __init__(self, wire: str) -> None:
        model, more, self.operation, self.good = WIRES[wire]
        self.body = b""
        self.server = Loopback(lambda *_: reply(self.body)).__enter__()
        well = written(GOOD[self.operation]).encode()
        self.second = Loopback(lambda *_: reply(well)).__enter__()
        quick = {
            "retry": {"max_retries": 0},
            "space": "s",
            "breaker": {
                "minimum_calls": 10_000,
                "consecutive_failures": 10_000,
                "suspicion": False,
                "window": 60,
            },
        }
        base = {} if model.startswith(("ollama", "anthropic", "gemini")) else {"api_key": "k"}
        first = {"model": model, "api_base": self.server.url, **base, **more, **quick}
        if not model.startswith("ollama"):
            first["api_key"] = "k"
        behind = WIRES[
            {"complete": "direct", "embed": "embeddings", "image": "images"}[self.operation]
        ]
        second = {"model": behind[0], "api_base": self.second.url, "api_key": "k", **quick}
        given = {
            "targets": {"odd": first, "well": second},
            "routes": {"r": {"targets": ["odd", "well"]}},
        }
        self.app = Pilotlight(parse(given, "test"), registry=Registry())

    @property
    def route(self) -> Route:
        return self.app.route("r")

    def ask(self, body: str, asynchronous: bool) -> Any:
        self.body = body.encode("utf-8", "surrogatepass")
        asked: Any = CHAT if self.operation == "complete" else "hello"
        if not asynchronous:
            return getattr(self.route, self.operation)(asked)
        name = {"complete": "acomplete", "embed": "aembed", "image": "aimage"}[self.operation]
        return asyncio.run(getattr(self.route, name)(asked))

    def close(self) -> None:
        self.app.close()
        self.server.__exit__()
        self.second.__exit__()


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[str, Stage]]:
    made = {wire: Stage(wire) for wire in WIRES}
    yield made
    for stage in made.values():
        stage.close()


def read(answer: Any) -> None:
    """Read all that an answer promises."""
    encode(answer.receipt, "p")
    json.dumps(answer.receipt.to_dict()).encode()
    answer.response.model_dump()
    repr(answer)
    if hasattr(answer, "text"):
        assert answer.text.encode() is not None
        choice = answer.response.choices[0]
        assert choice.finish_reason is None or isinstance(choice.finish_reason, str)
        assert choice.message.content is None or isinstance(choice.message.content, str)
        for call in choice.message.tool_calls or ():
            if call.type == "function":
                assert isinstance(call.function.name, str)
                assert isinstance(call.function.arguments, str)
        usage = getattr(answer.response, "usage", None)
        assert usage is None or usage.model_dump() is not None
    if hasattr(answer, "vectors"):
        assert all(type(each) in (int, float) for each in answer.vectors[0])
    first = answer.receipt.attempts[0]
    for count in (first.prompt_tokens, first.completion_tokens, first.reasoning_tokens):
        assert count is None or (type(count) is int and count >= 0)


def check(stage: Stage, body: str, asynchronous: bool) -> None:
    answer = stage.ask(body, asynchronous)
    read(answer)
    first = answer.receipt.attempts[0]
    if first.fault is None:
        assert answer.served_by == "odd"
    else:
        assert answer.served_by == "well"
        assert RULES[Fault(first.fault)].elsewhere is not Elsewhere.NO
        assert first.fault != Fault.SERVER_ERROR
        assert first.status == 200


@pytest.mark.parametrize("wire", WIRES)
def test_the_good_body_is_an_answer(stages: dict[str, Stage], wire: str) -> None:
    stage = stages[wire]
    answer = stage.ask(written(stage.good), False)
    assert answer.served_by == "odd"
    read(answer)


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_json_anywhere_is_an_answer_or_a_fault(stages, wire, data) -> None:
    stage = stages[wire]
    at = data.draw(st.sampled_from(list(places(stage.good))), "place")
    value = data.draw(ANY | st.just(LOST) if at else ANY, "value")
    if value is LOST and isinstance(at[-1], int):
        value = None
    check(stage, written(put(stage.good, at, value)), data.draw(st.booleans(), "async"))
