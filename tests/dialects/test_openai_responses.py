"""OpenAI's Responses API as a target."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import strict
from asking import IMAGE, OPTIONS, PIXEL, SCHEMA, TOOLS, conversations
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from saying import ASKED, chunks_of, cut, events, joined, recorded

from pilotlight.dialects import openai_responses as dialect
from pilotlight.dialects.base import Unable, Unreadable

HI = [{"role": "user", "content": "hi"}]


def written(messages: Any = HI, model: str = "gpt-5-mini", **options: Any) -> Any:
    return dialect.write_request({"model": model, "messages": messages, **options})


# Answers and streams.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CITED = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
PARTS = st.fixed_dictionaries(
    {"type": st.just("output_text"), "text": TEXTS},
    optional={"annotations": st.lists(st.just(CITED), min_size=1, max_size=2)},
) | st.fixed_dictionaries({"type": st.just("refusal"), "refusal": TEXTS})
ITEMS = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("message"), "id": st.just("msg_1"), "role": st.just("assistant"),
            "content": st.lists(PARTS, min_size=1, max_size=2),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("reasoning"), "id": st.just("rs_1"),
            "encrypted_content": st.just("openai-s"),
            "summary": st.lists(
                st.fixed_dictionaries({"type": st.just("summary_text"), "text": TEXTS.filter(bool)}),
                max_size=2,
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("function_call"), "id": st.just("fc_1"), "call_id": st.just("call_1"),
            "name": st.just("look"), "arguments": st.dictionaries(TEXTS, TEXTS).map(json.dumps),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("custom_tool_call"), "call_id": st.just("call_2"), "name": st.just("sql"), "input": TEXTS}
    ),
    st.just({"type": "web_search_call", "id": "ws_1", "status": "completed"}),
)  # fmt: skip
ENDS = st.sampled_from(
    [
        {"status": "completed"},
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
    ]
)
RESPONSES = st.builds(
    lambda items, end, count: {
        "id": "resp_1", "model": "gpt-5", "created_at": ASKED.created, "output": items, **end,
        "usage": {"input_tokens": count, "output_tokens": 2,
                  "output_tokens_details": {"reasoning_tokens": count}},
    },
    st.lists(ITEMS, max_size=4),
    ENDS,
    st.integers(0, 9),
)  # fmt: skip


@st.composite
def streamed(draw: Any, response: dict[str, Any]) -> list[Any]:
    """Cut a response into events as OpenAI does, each text anywhere, or not at all."""
    said: list[Any] = [{"type": "response.created", "response": {**response, "output": []}}]
    for place, item in enumerate(response["output"]):
        at = {"output_index": place}
        kind = item["type"]
        said.append({"type": "response.output_item.added", **at, "item": {**item, "content": []}})
        for part in item.get("content", ()):
            field = {"output_text": "text", "refusal": "refusal"}[part["type"]]
            for piece in draw(cut(part[field])):
                said.append({"type": f"response.{part['type']}.delta", **at, "delta": piece})
            for each in part.get("annotations", ()):
                said.append(
                    {"type": "response.output_text.annotation.added", **at, "annotation": each}
                )
        if draw(st.booleans()):
            for part in item.get("summary", ()):
                said.append({"type": "response.reasoning_summary_part.added", **at})
                for piece in draw(cut(part["text"])):
                    said.append(
                        {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
                    )
            for name, field in (
                ("function_call_arguments", "arguments"),
                ("custom_tool_call_input", "input"),
            ):
                for piece in draw(cut(item.get(field, ""))):
                    if kind.startswith(name[:8]):
                        said.append({"type": f"response.{name}.delta", **at, "delta": piece})
        said.append({"type": "response.output_item.done", **at, "item": item})
    return [*said, {"type": f"response.{response['status']}", "response": response}]


def plain(answer: Any) -> Any:
    for choice in answer["choices"]:
        choice["message"] = {k: v for k, v in choice["message"].items() if v}
        choice.pop("logprobs", None)
    return answer


def test_a_call_of_a_tool_that_takes_a_text():
    events_ = [
        {"type": "response.output_item.added", "output_index": 0,
         "item": {"type": "custom_tool_call", "call_id": "c", "name": "sql"}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "SELECT"},
    ]  # fmt: skip
    chunks = chunks_of(dialect.reader(ASKED), events_)
    (first,), (second,) = (c["choices"][0]["delta"]["tool_calls"] for c in chunks)
    assert first["custom"] == {"name": "sql", "input": ""}
    assert second == {"index": 0, "custom": {"input": "SELECT"}}


@given(st.data())
def test_a_stream_says_what_the_whole_answer_says(data):
    response = data.draw(RESPONSES)
    reader = dialect.reader(ASKED)
    chunks = chunks_of(reader, data.draw(streamed(response)))
    assert reader.ended
    assert plain(joined(chunks)) == plain(dialect.read_answer(response, ASKED))


def test_a_recorded_stream_says_what_its_last_event_says_as_a_whole():
    strange = {"8099d16578", "036f45a448"}  # items of one place; numbers rounded twice
    for entry in recorded("openai", "responses", "/responses"):
        if not entry["stream"] or entry["id"] in strange:
            continue
        said = list(events(entry["body"]))
        last = [
            each
            for each in said
            if each.get("type") in ("response.completed", "response.incomplete")
        ]
        whole = joined(chunks_of(dialect.reader(ASKED), said))
        for event in last:
            read = plain(dialect.read_answer(event["response"], ASKED))
            assert plain(whole) == {**read, "created": ASKED.created}, entry["id"]


@given(RESPONSES)
def test_what_it_said_goes_back_to_it_as_it_came(response):
    seen: list[str] = []
    for number, item in enumerate(response["output"]):
        if "call_id" in item:
            item["call_id"] = f"call_{number}"
            seen.append(item["call_id"])
    said = dialect.read_answer(response, ASKED)["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": each, "content": "done"} for each in seen]
    sent = written([*HI, said, *results, *HI], tools=TOOLS).body["input"]
    came = response["output"]
    while came and came[-1]["type"] == "reasoning":
        came.pop()  # the API takes no thought that leads to nothing
    if "provider_specific_fields" in said:
        assert sent[1 : 1 + len(came)] == came
    outputs = [each["call_id"] for each in sent if each.get("type", "").endswith("_output")]
    assert outputs == seen


def test_a_failure_is_no_answer():
    reader = dialect.reader(ASKED)
    error = {"code": "server_error", "message": "m"}
    failed = {"type": "response.failed", "response": {"status": "failed", "error": error}}
    assert reader.feed(failed) == []
    assert (reader.ended, reader.refusal.kind) == (False, "server_error")
    other = dialect.reader(ASKED)
    other.feed({"type": "error", "code": "rate_limit_exceeded", "message": "m"})
    assert other.refusal.kind == "rate_limit_exceeded"


# Requests.


@given(conversations())
def test_a_conversation_is_one_that_it_takes(messages):
    strict.taken("openai-responses", written(messages, tools=TOOLS).body)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-mini", "gpt-5.2"])
@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"stop"}))
def test_each_option_changes_the_body_or_is_named_as_lost(name, model):
    bare = written(model=model, tools=TOOLS)
    with_it = written(model=model, tools=TOOLS, **{name: OPTIONS[name]})
    if name != "store":
        assert set(with_it.lost) - set(bare.lost) or with_it.body != bare.body


def test_what_must_not_be_lost_makes_it_unable():
    sound = [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA=="}}]}
    ]
    for messages, options in (
        (sound, {}),
        (HI, {"stop": "END"}),
        (HI, {"background": True}),
        (HI, {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
    ):
        with pytest.raises(Unable):
            written(messages, **options)


def test_a_request():
    file = {
        "type": "file",
        "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
    }
    made = written(
        [{"role": "developer", "content": "d"}, {"role": "user", "content": [IMAGE, file]}],
        max_completion_tokens=5, reasoning_effort="low", verbosity="low", logprobs=True,
        tools=[TOOLS[0], {"type": "custom", "custom": {"name": "sql"}}, {"type": "code_interpreter"}],
        tool_choice={"type": "function", "function": {"name": "look"}}, parallel_tool_calls=False,
        web_search_options={"search_context_size": "low"}, stream=True, temperature=0.1,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    )  # fmt: skip
    assert made.body == {
        "model": "gpt-5-mini", "store": False, "stream": True, "max_output_tokens": 16,
        "input": [
            {"role": "developer", "content": [{"type": "input_text", "text": "d"}]},
            {"role": "user", "content": [
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
            ]},
        ],
        "tools": [
            {"type": "function", "name": "look", "description": "d", "parameters": SCHEMA, "strict": False},
            {"type": "custom", "name": "sql"}, {"type": "code_interpreter"},
            {"type": "web_search", "search_context_size": "low"},
        ],
        "tool_choice": {"type": "function", "name": "look"}, "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low",
                 "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False}},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }  # fmt: skip
    assert made.lost == ("temperature",)


def test_reasoning_that_lies_at_openai_is_not_asked_for_where_nothing_is_stored():
    items = [{"type": "reasoning", "id": "rs_1", "summary": []},
             {"type": "message", "content": [{"type": "output_text", "text": "a"}]}]  # fmt: skip
    said = dialect.read_answer({"output": items}, ASKED)["choices"][0]["message"]
    made = written([*HI, said, *HI])
    assert made.body["input"][1:-1] == items[1:]
    assert made.lost == ("reasoning",)
    assert written([*HI, said, *HI], store=True).body["input"][1:-1] == items


# A caller who speaks it.


def ordered(response: Any) -> Any:
    """Return a response of what the pivot holds by itself: a thought, a message, calls."""
    kinds = ["message", "function_call", "custom_tool_call"]
    items = [i for i in response["output"] if i["type"] in kinds]
    for number, item in enumerate(items):
        if "call_id" in item:
            item["call_id"] = f"call_{number}"
    messages = [i for i in items if i["type"] == "message"][:1]
    for message in messages:
        for part in message["content"]:
            part.pop("annotations", None)
    return {**response, "output": messages + [i for i in items if i["type"] != "message"]}


@given(RESPONSES.map(ordered))
def test_an_answer_that_is_written_and_read_is_the_same(response):
    answer = dialect.read_answer(response, ASKED)
    assert plain(dialect.read_answer(dialect.write_answer(answer), ASKED)) == plain(answer)


@given(st.data())
def test_a_stream_that_is_written_and_read_is_the_same(data):
    response = data.draw(RESPONSES.map(ordered))
    chunks = chunks_of(dialect.reader(ASKED), data.draw(streamed(response)))
    writer = dialect.writer()
    told = json.loads(json.dumps([e for c in chunks for e in writer.feed(c)] + writer.finish()))
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    whole = plain(joined(chunks))
    assert plain(joined(chunks_of(dialect.reader(ASKED), told))) == whole
    assert plain(dialect.read_answer(told[-1]["response"], ASKED)) == whole


def test_what_is_written_is_what_the_sdk_declares():
    kinds = {
        get_args(c.model_fields["type"].annotation)[0]: c
        for c in get_args(get_args(ResponseStreamEvent)[0])
    }
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    page = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
    }
    deltas: list[Any] = [
        {"role": "assistant", "content": ""}, {"reasoning_content": "t"}, {"content": "hi"},
        {"annotations": [page]}, {"refusal": "no"}, {"tool_calls": [call]},
    ]  # fmt: skip
    head = {"id": "x", "created": 1, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    writer = dialect.writer()
    told = [e for c in chunks for e in writer.feed(c)] + writer.finish()
    for event in told:
        kinds[event["type"]].model_validate(event)
    Response.model_validate(dialect.write_answer({**joined(chunks), "usage": {}}))
    heard = plain(joined(chunks_of(dialect.reader(ASKED), told)))["choices"]
    del heard[0]["message"]["provider_specific_fields"]  # the thought, as the API's own item
    assert heard == plain(joined(chunks))["choices"]


def test_a_thought_is_told_and_heard():
    chunks = [{"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta}]}
              for delta in ({"reasoning_content": "a"}, {"reasoning_content": "b"}, {"content": "c"})]  # fmt: skip
    writer = dialect.writer()
    told = [e for c in chunks for e in writer.feed(c)] + writer.finish()
    message = joined(chunks_of(dialect.reader(ASKED), told))["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("ab", "c")


@given(conversations())
def test_a_request_that_is_written_and_read_is_written_the_same_again(messages):
    first = written(messages, tools=TOOLS, tool_choice="required", max_tokens=50).body
    read = dialect.read_request(first)
    assert read.lost == ()
    assert dialect.write_request(read.request).body == first


def test_a_recorded_request_is_read_and_written_as_it_was():
    for entry in recorded("openai", "responses", "/responses"):
        request = entry["req"]
        if not isinstance(request.get("input"), list):
            continue
        try:
            made = dialect.write_request({**dialect.read_request(request).request, "store": True})
        except (Unable, Unreadable):
            continue
        came = [i for i in request["input"] if i.get("type") not in (None, "message")]
        sent = [i for i in made.body["input"] if i.get("type") not in (None, "message")]
        ids = [
            [i["call_id"] for i in items if i["type"] == "function_call"] for items in (came, sent)
        ]
        assert ids[0] == ids[1], entry["id"]
        reasons = [
            [
                {n: v for n, v in i.items() if n != "status"}
                for i in items
                if i["type"] == "reasoning"
            ]
            for items in (came, sent)
        ]
        assert reasons[0] == reasons[1], entry["id"]
