"""A stream put together is the answer that an unstreamed call would have got."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.providers.gathering import gathered

TEXT = st.text(min_size=1, max_size=12)
TOKEN = st.fixed_dictionaries({"token": TEXT, "logprob": st.floats(-9, 0)})
CALL = st.fixed_dictionaries(
    {
        "id": TEXT,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
    }
)
SPOKEN = {
    "reasoning_content": TEXT,
    "refusal": TEXT,
    "annotations": st.lists(
        st.fixed_dictionaries({"type": st.just("url_citation"), "url": TEXT}), min_size=1
    ),
    "provider_specific_fields": st.fixed_dictionaries({"citations": st.lists(TEXT, min_size=1)}),
}
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT}, optional=SPOKEN),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none(),
            "tool_calls": st.lists(CALL, min_size=1, max_size=3),
        },
        optional=SPOKEN,
    ),
)
CHOICE = st.fixed_dictionaries(
    {"message": MESSAGE, "finish_reason": st.sampled_from(["stop", "length", "tool_calls"])},
    optional={"logprobs": st.fixed_dictionaries({"content": st.lists(TOKEN, min_size=1)})},
)
USAGE = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(0, 99),
        "completion_tokens": st.integers(0, 99),
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": st.integers(0)}),
    }
)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    choices = draw(st.lists(CHOICE, min_size=1, max_size=3))
    head = {"id": "c1", "object": "chat.completion", "created": 7, "model": draw(TEXT)}
    more = draw(st.fixed_dictionaries({}, optional={"service_tier": TEXT, "usage": USAGE}))
    return {**head, **more, "choices": [{"index": n, **each} for n, each in enumerate(choices)]}


def cut(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.sets(st.integers(1, len(text) - 1)))) if len(text) > 1 else []
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def deltas(draw: st.DrawFn, message: dict[str, Any]) -> list[dict[str, Any]]:
    """The pieces of a message, in an order that a server may send."""
    pieces: list[dict[str, Any]] = [
        {"role": "assistant", "content": draw(st.sampled_from(["", None]))}
    ]
    if message["content"] is None:
        pieces[0]["content"] = None
    for name in ("reasoning_content", "content", "refusal"):
        pieces += [{name: part} for part in cut(draw, message.get(name) or "") if part]
    for place, call in enumerate(message.get("tool_calls") or ()):
        first, *rest = cut(draw, call["function"]["arguments"])
        begun = {**call, "index": place, "function": {**call["function"], "arguments": first}}
        pieces.append({"tool_calls": [begun]})
        pieces += [{"tool_calls": [{"index": place, "function": {"arguments": p}}]} for p in rest]
    pieces += [{"annotations": [each]} for each in message.get("annotations") or ()]
    if fields := message.get("provider_specific_fields"):
        pieces += [{"provider_specific_fields": {"citations": [c]}} for c in fields["citations"]]
    return pieces


def chunks(draw: st.DrawFn, answer: dict[str, Any]) -> list[dict[str, Any]]:
    answer = copy.deepcopy(answer)
    usage, choices = answer.pop("usage", None), answer.pop("choices")
    head = {**answer, "object": "chat.completion.chunk"}
    queues: list[list[dict[str, Any]]] = []
    for choice in choices:
        tokens = (choice.get("logprobs") or {}).get("content") or []
        queue = [{"delta": each, "finish_reason": None} for each in deltas(draw, choice["message"])]
        queue += [{"delta": {}, "logprobs": {"content": [each]}} for each in tokens]
        queue.append({"delta": {}, "finish_reason": choice["finish_reason"]})
        queues.append([{"index": choice["index"], **each} for each in queue])
    made = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        made.append({**head, "choices": [queue.pop(0)]})
    return made if usage is None else [*made, {**head, "choices": [], "usage": usage}]


@given(data=st.data(), answer=answers())
def test_what_was_cut_into_chunks_is_whole_again(data, answer):
    pieces = chunks(data.draw, answer)
    before = copy.deepcopy(pieces)
    assert gathered(pieces) == answer
    assert pieces == before  # the chunks are somebody else's


def test_an_old_function_call_an_audio_and_a_call_without_a_type():
    said = [
        {"choices": [{"delta": {"function_call": {"name": "f", "arguments": '{"a"'}}}]},
        {"choices": [{"delta": {"function_call": {"arguments": ": 1}"}}}]},
        {"choices": [{"delta": {"audio": {"id": "x", "data": "QUJD"}}}]},
        {"choices": [{"delta": {"audio": {"data": "REVG", "transcript": "hi"}}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "g"}}]}}]},
    ]
    (choice,) = gathered(said)["choices"]
    message = choice["message"]
    assert message["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert message["audio"] == {"id": "x", "data": "QUJDREVG", "transcript": "hi"}
    assert message["tool_calls"] == [{"type": "function", "function": {"name": "g"}}]


def test_blocks_of_thought_end_with_their_signature():
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": None},
        {"type": "thinking", "thinking": "b"},
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "thinking", "thinking": "c"},
        {"type": "redacted_thinking", "data": "zz"},
    ]
    said = [{"choices": [{"delta": {"thinking_blocks": [each]}}]} for each in blocks]
    assert gathered(said)["choices"][0]["message"]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "ab", "signature": "s1"},
        {"type": "thinking", "thinking": "c"},
        {"type": "redacted_thinking", "data": "zz"},
    ]


@pytest.mark.parametrize("said", [[], [{}], [{"choices": None}], [{"choices": []}]])
def test_nothing_said_is_no_choice(said):
    assert gathered(said)["choices"] == []
