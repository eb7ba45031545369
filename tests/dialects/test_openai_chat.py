"""OpenAI's chat completions as a target, and the servers that speak it in manners of their own."""

from __future__ import annotations

from typing import Any

import pytest
import strict
from asking import OPTIONS, TOOLS, conversations
from hypothesis import given
from hypothesis import strategies as st
from saying import ASKED, chunks_of, cut, joined

from pilotlight.dialects import openai_chat as dialect
from pilotlight.dialects.base import Unable
from pilotlight.dialects.openai_chat.manners import manner_of

HI = [{"role": "user", "content": "hi"}]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def written(
    messages: Any = HI, model: str = "gpt-4o", manner: str = "openai", **options: Any
) -> Any:
    request = {"model": model, "messages": messages, **options}
    return dialect.write_request(request, manner_of(manner))


@given(conversations())
def test_what_came_from_nobody_else_goes_out_as_it_came(messages):
    first = written(messages, tools=TOOLS, stream_options={"include_usage": True})
    strict.taken("openai", first.body)
    again = dialect.write_request(first.body)
    assert again.body == first.body
    assert again.lost == ()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-mini", "gpt-5.2", "o3"])
@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_body_or_is_named_as_lost(name, model):
    bare = written(model=model, tools=TOOLS)
    if name == "stop" and model in ("gpt-5-mini", "o3"):
        with pytest.raises(Unable, match="no stop sequences"):
            written(model=model, stop=OPTIONS[name])
        return
    with_it = written(model=model, tools=TOOLS, **{name: OPTIONS[name]})
    assert set(with_it.lost) - set(bare.lost) or with_it.body != bare.body


def test_a_model_is_not_sent_what_it_refuses():
    made = written(model="o3", max_tokens=5, temperature=0.2, top_p=1, reasoning_effort="low")
    assert made.body == {"model": "o3", "messages": HI, "reasoning_effort": "low",
                         "max_completion_tokens": 5}  # fmt: skip
    assert made.lost == ("temperature",)
    assert written(model="gpt-4o", reasoning_effort="low").lost == ("reasoning_effort",)
    assert written(model="gpt-5.2", temperature=0.2).lost == ()
    assert written(model="gpt-5.2", temperature=0.2, reasoning_effort="low").lost == (
        "temperature",
    )


def test_servers_of_other_manners_get_what_they_know():
    own = {"min_p": 0.1, "max_completion_tokens": 5}
    vllm = written(manner="hosted_vllm", model="m", **own)
    assert (vllm.body, vllm.lost) == ({"model": "m", "messages": HI, **own}, ())
    assert written(manner="mistral", model="m", **own).body["max_tokens"] == 5
    thought = [*HI, {"role": "assistant", "content": "a", "reasoning_content": "r"}, *HI]
    assert written(thought, manner="deepseek", model="m").body["messages"] == thought
    assert written(thought).lost == ("reasoning",)
    mark = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    marked = [{"role": "user", "content": [mark]}]
    assert written(marked, manner="openrouter").body["messages"] == marked
    assert written(marked).lost == ("cache_control",)
    told = [{"role": "developer", "content": "d"}, *HI]
    assert written(told).body["messages"] == told
    assert written(told, manner="groq").body["messages"][0]["role"] == "system"


def test_the_tools_of_other_vendors():
    claude = {"name": "look", "input_schema": {"type": "object"}, "description": "d"}
    made = written(tools=[claude, {"type": "web_search_20250305", "name": "web_search"}])
    assert made.body["tools"] == [
        {
            "type": "function",
            "function": {"name": "look", "parameters": {"type": "object"}, "description": "d"},
        }
    ]
    assert made.lost == ("server_tool:web_search",)
    with pytest.raises(Unable):
        written(tools=[{"type": "bash_20250124", "name": "bash"}])


@given(st.data())
def test_a_stream_says_what_the_whole_answer_says(data):
    said, thought, arguments = (data.draw(TEXTS) for _ in range(3))
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": arguments}}
    message = {"role": "assistant", "content": said, "reasoning": thought, "tool_calls": [call]}
    head = {"id": "x", "created": ASKED.created, "model": "m"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    answer = {**head, "usage": usage,
              "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}  # fmt: skip
    deltas: list[Any] = [{"role": "assistant"}]
    deltas += [{"reasoning": piece} for piece in data.draw(cut(thought))]
    deltas += [{"content": piece} for piece in data.draw(cut(said))]
    deltas.append({"tool_calls": [{**call, "function": {"name": "look", "arguments": ""}}]})
    deltas += [
        {"tool_calls": [{"function": {"arguments": piece}}]} for piece in data.draw(cut(arguments))
    ]
    events = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    reader = dialect.reader(ASKED)
    whole = joined(chunks_of(reader, [*events, {**head, "choices": [], "usage": usage}]))
    assert reader.ended
    read = dialect.read_answer(answer, ASKED)
    for each in (whole, read):
        each["choices"][0]["message"] = {
            k: v for k, v in each["choices"][0]["message"].items() if v
        }
    assert whole == read


def test_answers_that_are_spelt_otherwise_are_read_as_they_are_meant():
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
    ]
    call = {"id": "c", "function": {"name": "look", "arguments": {"a": 1}}}
    said = {
        "choices": [{"message": {"content": content, "tool_calls": [call]}, "finish_reason": ""}]
    }
    (choice,) = dialect.read_answer(said, ASKED)["choices"]
    assert choice["message"]["content"] == "a"
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert choice["finish_reason"] is None
    (chunk,) = dialect.reader(ASKED).feed(
        {"choices": [{"delta": {"content": "a"}}], "x_groq": {"usage": {"prompt_tokens": 2}}}
    )
    assert chunk["usage"] == {"prompt_tokens": 2}


def test_an_error_in_the_middle_of_a_stream_is_no_end():
    reader = dialect.reader(ASKED)
    assert reader.feed({"error": {"message": "busy", "code": "overloaded"}}) == []
    assert (reader.refusal.kind, reader.ended) == ("overloaded", False)
