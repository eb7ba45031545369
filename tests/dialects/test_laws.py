"""What holds for every dialect: any JSON is read or refused, and nothing is quoted."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from asking import OPTIONS, TOOLS, conversations
from hypothesis import given, settings
from hypothesis import strategies as st
from saying import ASKED, events, recorded

from pilotlight.dialects import anthropic_messages, gemini, ollama, openai_chat, openai_responses
from pilotlight.dialects.base import Refusal, Unable, Unreadable
from tests.anyjson import LOST, places, put

DIALECTS: dict[str, Any] = {
    "anthropic": anthropic_messages,
    "gemini": gemini,
    "openai": openai_chat,
    "responses": openai_responses,
    "ollama": ollama,
}
SECRET = "what-was-said"
SAID: dict[str, list[Any]] = {
    "anthropic": [
        {
            "id": "msg_1", "type": "message", "model": "m", "stop_reason": "tool_use",
            "content": [
                {"type": "thinking", "thinking": SECRET, "signature": "s"},
                {"type": "text", "text": SECRET, "citations": [{"type": "web_search_result_location", "url": "u"}]},
                {"type": "tool_use", "id": "t", "name": "look", "input": {"a": SECRET}},
                {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}},
            ],
            "usage": {"input_tokens": 3, "output_tokens": 4, "iterations": [{"input_tokens": 1}]},
        }
    ],
    "gemini": [
        {
            "responseId": "r", "modelVersion": "m",
            "candidates": [
                {
                    "index": 0, "finishReason": "STOP",
                    "content": {"parts": [
                        {"text": SECRET, "thought": True, "thoughtSignature": "s"},
                        {"text": SECRET},
                        {"functionCall": {"name": "look", "args": {"a": SECRET}, "id": "i"}},
                        {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
                    ]},
                    "groundingMetadata": {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]},
                    "logprobsResult": {"chosenCandidates": [{"token": "a", "logProbability": -1}],
                                       "topCandidates": [{"candidates": [{"token": "a"}]}]},
                }
            ],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
            "promptFeedback": {"blockReason": "SAFETY"},
        }
    ],
}  # fmt: skip
STREAMED: dict[str, list[Any]] = {
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": SECRET}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "look", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "error", "error": {"type": "overloaded_error", "message": SECRET}},
        {"type": "message_stop"},
    ],
}  # fmt: skip
SAID["openai"] = [
    {
        "id": "x", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": [{"type": "text", "text": SECRET}],
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": SECRET}}],
        }}],
        "usage": {"prompt_tokens": 1},
    }
]  # fmt: skip
STREAMED["openai"] = [
    {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant", "content": SECRET}}]},
    {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "look", "arguments": SECRET}}]}}]},
    {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 1}},
    {"error": {"message": SECRET, "code": "overloaded"}},
]  # fmt: skip
SAID["responses"] = [
    {
        "id": "resp_1", "model": "m", "status": "incomplete", "created_at": 1,
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": SECRET}]},
            {"type": "message", "content": [
                {"type": "output_text", "text": SECRET, "annotations": [{"type": "url_citation"}], "logprobs": [{"token": "a"}]},
                {"type": "refusal", "refusal": SECRET},
            ]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": SECRET},
            {"type": "image_generation_call", "result": "AA==", "output_format": "png"},
        ],
        "usage": {"input_tokens": 1, "output_tokens_details": {"reasoning_tokens": 1}},
    }
]  # fmt: skip
STREAMED["responses"] = [
    {"type": "response.created", "response": {"id": "r", "model": "m"}},
    {"type": "response.reasoning_summary_part.added", "output_index": 0},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": SECRET},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": "function_call", "call_id": "c", "name": "look"}},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": SECRET},
    {"type": "response.output_item.done", "output_index": 1, "item": SAID["responses"][0]["output"][2]},
    {"type": "response.output_text.delta", "output_index": 2, "delta": SECRET, "logprobs": [{"token": "a"}]},
    {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation", "url": "u"}},
    {"type": "response.output_item.done", "output_index": 0, "item": SAID["responses"][0]["output"][0]},
    {"type": "response.incomplete", "response": SAID["responses"][0]},
]  # fmt: skip
SAID["ollama"] = [
    {
        "model": "m", "done": True, "done_reason": "stop", "eval_count": 1,
        "message": {"content": SECRET, "thinking": SECRET, "tool_calls": [
            {"function": {"name": "look", "arguments": {"a": SECRET}}}]},
        "logprobs": [{"token": "a", "top_logprobs": [{"token": "b"}]}],
    }
]  # fmt: skip
STREAMED["ollama"] = [{"message": {"content": SECRET}}, *SAID["ollama"], {"error": SECRET}]
STREAMED["gemini"] = [*SAID["gemini"], {"error": {"code": 503, "message": SECRET}}]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
SPOILT = st.just(LOST) | st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def spoilt(draw: Any, body: Any) -> Any:
    """Put anything in the place of something, or nothing."""
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from(list(places(body))))
        value = draw(SPOILT)
        body = put(body, at, value if at or value is not LOST else None)
    return body


@pytest.mark.parametrize("name", DIALECTS)
@given(st.data())
def test_any_json_at_any_place_of_an_answer_is_read_or_unreadable(name, data):
    said = data.draw(spoilt(data.draw(st.sampled_from(SAID[name]))))
    DIALECTS[name].read_refusal(said)
    try:
        answer = DIALECTS[name].read_answer(said, ASKED)
    except Unreadable as odd:
        assert SECRET not in str(odd)
    else:
        json.dumps(answer)


@pytest.mark.parametrize("name", DIALECTS)
@given(st.data())
def test_any_json_at_any_place_of_a_stream_is_read_or_unreadable(name, data):
    said = data.draw(spoilt(STREAMED[name]).filter(lambda value: type(value) is list))
    reader = DIALECTS[name].reader(ASKED)
    try:
        for event in said:
            json.dumps(reader.feed(event))
    except Unreadable as odd:
        assert SECRET not in str(odd)
    json.dumps(reader.finish())


@pytest.mark.parametrize("name", DIALECTS)
@given(st.data())
def test_any_json_at_any_place_of_a_request_is_written_or_can_not_be(name, data):
    author = data.draw(st.sampled_from(sorted(DIALECTS)))
    said = DIALECTS[author].read_answer(SAID[author][0], ASKED)["choices"][0]["message"]
    messages = [*data.draw(conversations()), said]
    request = {"model": "m", "messages": messages, "tools": TOOLS}
    for option in data.draw(st.sets(st.sampled_from(sorted(OPTIONS)), max_size=4)):
        request[option] = OPTIONS[option]
    request = data.draw(spoilt(request).filter(lambda value: type(value) is dict))
    before = copy.deepcopy(request)
    try:
        written = DIALECTS[name].write_request(request)
    except Unable:
        pass
    else:
        json.dumps(written.body)
    assert request == before


# Content that is an object, and an error under status 200.
ODD = {"d8d8a5ad35", "bf95d7dadb"}


@pytest.mark.parametrize("name", DIALECTS)
@given(st.data())
def test_any_json_at_any_place_of_a_callers_request_is_read_or_unreadable(name, data):
    request = {"model": "m", "messages": data.draw(conversations()), "tools": TOOLS}
    body = data.draw(spoilt(DIALECTS[name].write_request(request).body))
    try:
        read = DIALECTS[name].read_request(body)
    except Unreadable:
        return
    json.dumps(read.request)
    for other in DIALECTS.values():
        with contextlib.suppress(Unable):
            other.write_request(read.request)


@pytest.mark.parametrize("author", DIALECTS)
@pytest.mark.parametrize("reader", DIALECTS)
@settings(max_examples=25)
@given(st.data())
def test_whatever_could_be_read_can_be_written_in_every_dialect(author, reader, data):
    said = data.draw(spoilt(STREAMED[author][:-1]).filter(lambda value: type(value) is list))
    source, writer = DIALECTS[author].reader(ASKED), DIALECTS[reader].writer()
    told = []
    with contextlib.suppress(Unreadable):
        for event in said:
            for chunk in source.feed(event):
                told += writer.feed(chunk)
    for chunk in source.finish():
        told += writer.feed(chunk)
    json.dumps([*told, *writer.finish()])
    with contextlib.suppress(Unreadable):
        answer = DIALECTS[author].read_answer(data.draw(spoilt(SAID[author][0])), ASKED)
        json.dumps(DIALECTS[reader].write_answer(answer))


@pytest.mark.parametrize("name", DIALECTS)
def test_a_refusal_that_is_written_is_read(name):
    refusal = Refusal("no", "overloaded_error")
    read = DIALECTS[name].read_refusal(DIALECTS[name].write_refusal(refusal))
    assert read.message == "no"
    assert read.kind == (None if name == "ollama" else "overloaded_error")


@pytest.mark.parametrize("name", DIALECTS)
def test_recorded_answers_and_streams_are_read(name):
    for entry in recorded(name) if name not in ("responses", "ollama") else ():
        if entry["stream"]:
            reader = DIALECTS[name].reader(ASKED)
            for event in events(entry["body"]):
                reader.feed(event)
            if name == "openai" and "[DONE]" in entry["body"]:
                reader.feed(openai_chat.LAST_WORD)
            reader.finish()
            assert reader.ended or reader.refusal, entry["id"]
        elif entry["id"] in ODD:
            with pytest.raises(Unreadable):
                DIALECTS[name].read_answer(json.loads(entry["body"]), ASKED)
        else:
            assert DIALECTS[name].read_answer(json.loads(entry["body"]), ASKED)["choices"]
