"""What recorded traffic showed: good answers that a reader could take for bad ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from pilotlight import AllTargetsFailed, Pilotlight, Route
from pilotlight.catalog.model_names import substituted
from pilotlight.config.schema import parse
from pilotlight.registry import Registry
from pilotlight.vocabulary.faults import Fault
from tests.providers.loopback import Loopback, said

CHAT: Final = [{"role": "user", "content": "hello"}]
BOTH: Final = pytest.mark.parametrize("via", [None, "litellm"])


@contextmanager
def asked(answer: Any, via: str | None, model: str = "openai/gpt-4o") -> Iterator[Route]:
    with Loopback(lambda *_: said(answer)) as server:
        target = {
            "model": model,
            "api_base": server.url,
            "api_key": "k",
            "retry": {"max_retries": 0},
        }
        if via:
            target["via"] = via
        given = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
        with Pilotlight(parse(given, "test"), registry=Registry()) as app:
            yield app.route("r")


def whole(finish: str | None = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    counts = {"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10, **(usage or {})}
    return {**body, "choices": [choice], "usage": counts}


@BOTH
@pytest.mark.parametrize("content", [None, ""])
def test_a_refusal_in_words_is_an_answer(via: str | None, content: str | None) -> None:
    with asked(whole(content=content, refusal="I can't help with that."), via) as route:
        assert route.complete(CHAT).text == "I can't help with that."


@BOTH
@pytest.mark.parametrize(
    ("reasoning", "finish", "is_answer"),
    [(9, "length", True), (0, "length", False), (9, "stop", False)],
)
def test_hidden_reasoning_that_meets_the_limit_is_an_answer(via, reasoning, finish, is_answer):
    usage = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
    with asked(whole(finish, usage, content=""), via) as route:
        if is_answer:
            assert route.complete(CHAT).receipt.attempts[0].reasoning_tokens == reasoning
            return
        with pytest.raises(AllTargetsFailed) as raised:
            route.complete(CHAT)
        assert raised.value.receipt.attempts[0].fault == Fault.EMPTY_RESPONSE


@pytest.mark.parametrize("tier", [{}, {"service_tier": None}, {"service_tier": 5}])
def test_an_answer_that_litellm_falls_over_is_read_from_the_wire(tier: dict[str, Any]) -> None:
    answer = {**whole(content="hi"), **tier}
    with asked(answer, "litellm", "groq/llama-3.3-70b-versatile") as route:
        found = route.complete(CHAT)
    assert found.text == "hi"
    assert found.response.choices[0].message.content == "hi"
    assert found.receipt.attempts[0].completion_tokens == 9


@BOTH
def test_a_call_of_both_kinds_at_once_keeps_its_function(via: str | None) -> None:
    """So Anthropic's gateways send it: each field that OpenAI knows is there, and empty."""
    call = {
        "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'},
        "custom": {"name": "", "input": ""},
    }  # fmt: skip
    empty = {"function_call": {"name": "", "arguments": ""}, "annotations": [{"type": "file"}]}
    with asked(whole("tool_calls", content="", tool_calls=[call], **empty), via) as route:
        (kept,) = route.complete(CHAT).response.choices[0].message.tool_calls
    assert (kept.id, kept.function.name, kept.function.arguments) == ("t", "f", '{"a":1}')


@BOTH
def test_arguments_as_an_object_become_text(via: str | None) -> None:
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    with asked(whole("tool_calls", content=None, tool_calls=[call]), via) as route:
        (kept,) = route.complete(CHAT).response.choices[0].message.tool_calls
    assert json.loads(kept.function.arguments) == {"a": 1}


@BOTH
def test_a_filter_that_speaks_under_status_200_has_blocked(via: str | None) -> None:
    error = {"message": "The response was filtered", "code": "content_filter", "status": 400}
    with asked({"error": error}, via) as route, pytest.raises(Exception) as raised:
        route.complete(CHAT)
    assert not isinstance(raised.value, AllTargetsFailed)


@BOTH
@pytest.mark.parametrize("error", [None, False, "", {}])
def test_no_error_in_a_large_body_is_none(via: str | None, error: Any) -> None:
    with asked({"error": error, **whole(content="x" * 100_000)}, via) as route:
        assert len(route.complete(CHAT).text) == 100_000


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("deepseek-chat", "deepseek-v4-flash", False),
        ("deepseek-reasoner", "deepseek-v4-flash", False),
        ("deepseek-chat", "deepseek-r1", False),
        ("deepseek-reasoner", "deepseek-chat", True),
        ("mistral-large-latest", "mistral-large-2411", False),
        ("mistral-large", "mistral-large-3-2512", False),
        ("mistral-large", "mistral-small-3-2512", True),
        ("gemini-flash", "gemini-2.5-flash-lite", True),
        ("grok", "grok-4-fast", False),
        ("deepseek-chat", "qwen-3", True),
        ("gpt-4o", "gpt-4o-mini", True),
    ],
)
def test_an_alias_answers_under_its_present_name(one: str, other: str, differ: bool) -> None:
    assert substituted(one, other) is differ
