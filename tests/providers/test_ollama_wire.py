"""OpenAI's shapes to Ollama's and back.  Facts: Ollama API docs and server source, v0.33.

Long, because it is a table: each field of the one dialect beside that of the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pydantic
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pilotlight.providers.ollama.answer import (
    ChunkBuilder,
    UnsupportedInput,
    chat_request,
    completion_from,
    load_request,
)

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def body(options: Mapping[str, Any] | None = None, *messages: object) -> dict[str, Any]:
    return chat_request("llama3.2", messages or [USER], options or {}, stream=False).body


def converted(*messages: object) -> list[dict[str, Any]]:
    converted: list[dict[str, Any]] = body({}, *messages)["messages"]
    return converted


def answer(**more: Any) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": "hi"}, "done": True, "done_reason": "stop"}
    return completion_from({**said, **more}, model="llama3.2", created=1, id="x")


class TestRequest:
    def test_the_bare_body_refuses_silent_truncation(self) -> None:
        assert chat_request("m", [USER], {}, stream=True) == (
            {
                "model": "m",
                "messages": [USER],
                "stream": True,
                "truncate": False,
                "shift": False,
                "options": {},
            },
            (),
        )

    def test_context_is_always_sent_and_the_calls_own_wins(self) -> None:
        def num_ctx(options: dict[str, Any]) -> Any:
            made = chat_request("m", [USER], options, stream=False, context=8192)
            return made.body["options"]["num_ctx"]

        assert num_ctx({}) == 8192
        assert num_ctx({"num_ctx": 100}) == 100
        assert num_ctx({"num_ctx": 100, "extra_body": {"num_ctx": 200}}) == 200
        assert num_ctx({"num_ctx": 100, "options": {"num_ctx": 300}}) == 300
        assert num_ctx({"extra_body": {"options": {"num_ctx": 400}}}) == 400
        assert num_ctx({"num_ctx": None}) == 8192

    def test_sampling_options(self) -> None:
        options = {
            "temperature": 0,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.0,
            "min_p": None,
        }
        wanted = {name: value for name, value in options.items() if value is not None}
        assert body({**options, "stop": "END", "max_tokens": 5})["options"] == {
            **wanted,
            "stop": ["END"],
            "num_predict": 5,
        }
        assert body({"stop": ["a", "b"]})["options"] == {"stop": ["a", "b"]}
        assert body({"stop": []})["options"] == {}

    def test_of_several_limits_the_more_exact_name_wins(self) -> None:
        limits = {"max_tokens": 1, "max_completion_tokens": 2}
        assert body(limits)["options"] == {"num_predict": 2}
        assert body({**limits, "num_predict": 3})["options"] == {"num_predict": 3}

    def test_keep_alive_is_top_level_and_the_calls_own_wins(self) -> None:
        made = chat_request("m", [USER], {}, stream=False, keep_alive="10m").body
        assert made["keep_alive"] == "10m"
        made = chat_request("m", [USER], {"keep_alive": 0}, stream=False, keep_alive="10m").body
        assert made["keep_alive"] == 0
        assert "keep_alive" not in body()

    def test_truncation_can_be_allowed(self) -> None:
        assert body({"truncate": True, "extra_body": {"shift": True}})["truncate"] is True
        assert body({"extra_body": {"shift": True}})["shift"] is True

    @pytest.mark.parametrize(
        ("effort", "think"),
        [
            ("none", False),
            ("minimal", "low"),
            ("low", "low"),
            ("medium", "medium"),
            ("high", "high"),
            ("xhigh", "max"),
            ({"effort": "high"}, "high"),
        ],
    )
    def test_reasoning_effort_becomes_think(self, effort: object, think: object) -> None:
        assert body({"reasoning_effort": effort})["think"] == think

    def test_think_is_passed_and_wins(self) -> None:
        assert body({"think": True, "reasoning_effort": "low"})["think"] is True
        assert "think" not in body()
        made = chat_request("m", [USER], {"reasoning_effort": "a lot"}, stream=False)
        assert "think" not in made.body and made.lost == ("reasoning_effort",)

    def test_response_format(self) -> None:
        class City(pydantic.BaseModel):
            name: str

        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        named = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        assert body({"response_format": {"type": "json_object"}})["format"] == "json"
        assert body({"response_format": named})["format"] == schema
        assert body({"response_format": City})["format"] == City.model_json_schema()
        assert body({"format": schema})["format"] == schema
        assert "format" not in body({"response_format": {"type": "text"}})
        assert "format" not in body({"format": ""})
        with pytest.raises(UnsupportedInput, match="response_format"):
            body({"response_format": {"type": "grammar"}})

    def test_tools(self) -> None:
        assert body({"tools": (MappingProxyType(TOOL),)})["tools"] == [TOOL]
        assert "tools" not in body({"tools": [TOOL], "tool_choice": "none"})
        assert "tools" not in body({"tools": []})
        made = chat_request("m", [USER], {"tools": [TOOL], "tool_choice": "required"}, stream=False)
        assert made.body["tools"] == [TOOL] and made.lost == ("tool_choice",)

    def test_logprobs_are_asked_for_at_the_top(self) -> None:
        made = body({"logprobs": True, "top_logprobs": 3})
        assert (made["logprobs"], made["top_logprobs"]) == (True, 3)

    def test_says_what_it_could_not_express(self) -> None:
        harmless = {"metadata": {}, "timeout": 3, "api_key": "k", "n": 1}
        lost = {"n": 2, "logit_bias": {"1": 2}, "parallel_tool_calls": False, "newfangled": 1}
        made = chat_request("m", [USER], {**harmless, "tool_choice": "auto"}, stream=False)
        assert made.lost == ()
        made = chat_request("m", [USER], {**harmless, **lost}, stream=False)
        assert made.lost == ("logit_bias", "n", "newfangled", "parallel_tool_calls")
        assert "k" not in json.dumps(list(made.body))

    def test_extra_body_cannot_change_model_messages_or_stream(self) -> None:
        made = body({"extra_body": {"model": "x:cloud", "messages": [], "stream": True}})
        assert (made["model"], made["messages"], made["stream"]) == ("llama3.2", [USER], False)

    def test_the_callers_objects_are_left_alone(self) -> None:
        options = {"extra_body": {"options": {"num_ctx": 1}}, "stop": ["a"]}
        before = json.dumps([options, USER])
        body(options, USER)
        assert json.dumps([options, USER]) == before

    def test_loading_asks_for_the_same_context(self) -> None:
        assert load_request("m", context=4096, keep_alive=-1) == {
            "model": "m",
            "messages": [],
            "stream": False,
            "shift": False,  # as calls have it: another value would load the model again
            "keep_alive": -1,
            "options": {"num_ctx": 4096},
        }
        assert "options" not in load_request("m")

    def test_loading_takes_what_is_decided_at_load_time_from_the_targets_options(self) -> None:
        options = {"num_gpu": 7, "temperature": 1, "options": {"num_ctx": 1024, "num_thread": 2}}
        made = load_request("m", context=4096, options=options)
        assert made["options"] == {"num_ctx": 1024, "num_gpu": 7, "num_thread": 2}


class TestMessages:
    def test_roles(self) -> None:
        roles = ["system", "developer", "user", "assistant"]
        said = converted(*({"role": role, "content": "x"} for role in roles))
        assert [m["role"] for m in said] == ["system", "system", "user", "assistant"]

    def test_parts_are_joined_and_images_unpacked(self) -> None:
        (said,) = converted(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO Rw=="}},
                    {"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg/%3E"},
                    "this?",
                ],
            }
        )
        assert said == {
            "role": "user",
            "content": "What is\nthis?",
            "images": ["iVBORw==", "PHN2Zy8+"],
        }

    @pytest.mark.parametrize(
        ("part", "why"),
        [
            ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "leave"),
            ({"type": "image_url", "image_url": "file:///etc/passwd"}, "leave"),
            ({"type": "image_url"}, "no address"),
            ({"type": "image_url", "image_url": "data:application/pdf;base64,AA=="}, "pdf"),
            ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "audio/wav"),
            ({"type": "file", "file": {}}, "another vendor"),
            (5, "no type"),
        ],
    )
    def test_what_ollama_cannot_take_is_refused(self, part: object, why: str) -> None:
        with pytest.raises(UnsupportedInput, match=rf"messages\[1\].*{why}"):
            body({}, USER, {"role": "user", "content": [part]})

    def test_reasoning_goes_back_as_thinking(self) -> None:
        blocks = [{"type": "thinking", "thinking": "secret"}, {"type": "text", "text": "ok"}]
        (said,) = converted({"role": "assistant", "content": blocks, "reasoning_content": "hm"})
        assert said == {"role": "assistant", "content": "ok", "thinking": "hm"}

    def test_a_tools_answer_gets_the_tools_name(self) -> None:
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        said = converted(
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
            {"role": "tool", "tool_call_id": "c2", "content": "43", "name": "g"},
        )
        assert said == [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
                ],
            },
            {"role": "tool", "content": "42", "tool_name": "f", "tool_call_id": "c1"},
            {"role": "user", "content": "43"},  # of a call that nobody has made
        ]

    def test_the_old_function_calls_still_work(self) -> None:
        said = converted(
            {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "name": "f", "content": "42"},
        )
        (call,) = said[0]["tool_calls"]
        assert call["function"] == {"index": 0, "name": "f", "arguments": {}}
        assert said[1]["tool_call_id"] == call["id"]
        assert (said[1]["content"], said[1]["tool_name"]) == ("42", "f")

    @pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "[" * 100_000])
    def test_broken_arguments_are_carried_as_a_text_and_named(self, arguments: str) -> None:
        """The model has written them: a conversation does not end there."""
        call = {"id": "c1", "function": {"name": "f", "arguments": arguments}}
        turn = {"role": "assistant", "tool_calls": [call]}
        made = chat_request("m", [USER, turn], {}, stream=False)
        function = made.body["messages"][1]["tool_calls"][0]["function"]
        assert function["arguments"] == {"arguments": arguments}
        assert "tool_arguments" in made.lost

    @pytest.mark.parametrize(
        "messages", [[], [{"content": "x"}], ["hi"], [{"role": "user", "content": 5}]]
    )
    def test_what_is_no_message_is_refused(self, messages: list[Any]) -> None:
        with pytest.raises(ValueError):  # so can a caller who does not know our type
            chat_request("m", messages, {}, stream=False)

    def test_objects_are_as_good_as_dicts(self) -> None:
        class Message(pydantic.BaseModel):
            role: str
            content: str | None = None
            tool_calls: list[dict[str, Any]] | None = None

        said = converted(Message(role="user", content="hi"), MappingProxyType(USER))
        assert said == [USER, USER]

    def test_everything_can_be_put_into_json(self) -> None:
        arguments: Mapping[str, Any] = MappingProxyType({"a": (1, MappingProxyType({}))})
        call = {"id": "c", "function": MappingProxyType({"name": "f", "arguments": arguments})}
        made = body({"tools": [TOOL]}, {"role": "assistant", "tool_calls": [call]})
        assert json.loads(json.dumps(made)) == made


class TestCompletion:
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ({"done_reason": "stop"}, "stop"),
            ({"done_reason": "length"}, "length"),
            ({"done_reason": "load"}, None),
            ({"done_reason": "unload"}, None),
            ({"done_reason": None}, None),
            ({"done": False}, None),
        ],
    )
    def test_finish_reason(self, said: dict[str, Any], reason: str | None) -> None:
        assert answer(**said)["choices"][0]["finish_reason"] == reason

    def test_a_cut_tool_call_stays_cut(self) -> None:
        message = {"tool_calls": [{"function": {"name": "f"}}]}
        assert answer(message=message)["choices"][0]["finish_reason"] == "tool_calls"
        cut = answer(message=message, done_reason="length")
        assert cut["choices"][0]["finish_reason"] == "length"

    def test_absent_counts_are_zero(self) -> None:
        assert set(answer()["usage"].values()) == {0}
        assert answer(eval_count=3)["usage"] == {
            "prompt_tokens": 0,
            "completion_tokens": 3,
            "total_tokens": 3,
        }

    def test_old_servers_get_ids_for_their_tool_calls(self) -> None:
        call = {"function": {"name": "f", "arguments": {"a": "ü"}}}
        made = answer(message={"content": "", "tool_calls": [call, {**call, "id": "call_x"}]})
        message = made["choices"][0]["message"]
        assert message["content"] is None
        first, second = message["tool_calls"]
        assert first["id"].startswith("call_") and second["id"] == "call_x"
        assert first["function"] == {"name": "f", "arguments": '{"a": "ü"}'}
        assert first["type"] == "function"

    def test_text_beside_a_tool_call_is_kept(self) -> None:
        made = answer(message={"content": "Wait.", "tool_calls": [{"function": {"name": "f"}}]})
        assert made["choices"][0]["message"]["content"] == "Wait."

    @pytest.mark.parametrize("message", [None, [], {"content": None, "tool_calls": "x"}, {}])
    def test_odd_messages_are_empty(self, message: object) -> None:
        assert answer(message=message)["choices"][0]["message"]["content"] == ""


class TestChunkBuilder:
    def builder(self, include_usage: bool = False) -> ChunkBuilder:
        return ChunkBuilder("llama3.2", created=1, id="x", include_usage=include_usage)

    def test_a_stream(self) -> None:
        builder = self.builder()
        assert builder.feed({"message": {"role": "assistant", "content": ""}}) is None
        first = builder.feed({"message": {"content": "Hel"}, "done": False})
        assert first == {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "llama3.2",
            "system_fingerprint": "fp_ollama",
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": "Hel"},
                    "finish_reason": None,
                }
            ],
        }
        second = builder.feed({"message": {"content": "lo"}, "done": False})
        assert second and second["choices"][0]["delta"] == {"content": "lo"}
        assert (builder.text, builder.done, builder.prompt_tokens) == ("Hello", False, None)
        last = builder.feed({"message": {}, "done": True, "done_reason": "stop", "eval_count": 2})
        assert last and last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
        assert last["usage"]["completion_tokens"] == builder.completion_tokens == 2
        assert builder.done and builder.done_reason == builder.finish_reason == "stop"
        assert builder.usage_chunk() is None

    def test_the_last_line_may_carry_all(self) -> None:
        builder = self.builder()
        calls = [
            {"id": "a", "function": {"name": "f", "arguments": {}}},
            {"function": {"name": "g"}},
        ]
        made = builder.feed(
            {
                "message": {"content": "x", "thinking": "y", "tool_calls": calls},
                "done": True,
                "done_reason": "stop",
            }
        )
        assert made
        (choice,) = made["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["delta"]["role"] == "assistant"
        assert (choice["delta"]["content"], choice["delta"]["reasoning_content"]) == ("x", "y")
        assert [(c["index"], c["function"]["name"]) for c in choice["delta"]["tool_calls"]] == [
            (0, "f"),
            (1, "g"),
        ]
        assert builder.tool_calls_seen == 2

    def test_tool_calls_are_counted_across_lines(self) -> None:
        builder = self.builder()
        line = {"message": {"tool_calls": [{"function": {"index": 0, "name": "f"}}]}}
        made = [builder.feed(line), builder.feed(line), builder.feed({"done": True})]
        calls = [c for m in made if m for c in m["choices"][0]["delta"].get("tool_calls", ())]
        assert [call["index"] for call in calls] == [0, 1]
        assert len({call["id"] for call in calls}) == 2

    def test_usage_comes_as_an_extra_chunk_when_asked_for(self) -> None:
        builder = self.builder(include_usage=True)
        assert builder.usage_chunk() is None
        line = {"done": True, "done_reason": "length", "prompt_eval_count": 3, "eval_count": 4}
        last = builder.feed(line)
        assert last and "usage" not in last
        extra = builder.usage_chunk()
        assert extra and extra["usage"]["total_tokens"] == 7
        assert extra["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]

    def test_an_error_line_is_remembered(self) -> None:
        builder = self.builder()
        assert builder.feed({"error": "model runner has unexpectedly stopped"}) is None
        assert builder.error == "model runner has unexpectedly stopped"
        assert not builder.done

    def test_a_model_that_ran_elsewhere_is_noticed(self) -> None:
        builder = self.builder()
        builder.feed({"message": {"content": "x"}, "remote_host": "https://ollama.com:443"})
        builder.feed({"message": {"content": "y"}})
        assert builder.remote_host == "https://ollama.com:443"

    def test_logprobs_ride_with_their_text(self) -> None:
        line = {"message": {"content": "x"}, "logprobs": [{"token": "x", "logprob": -1.0}]}
        made = self.builder().feed(line)
        assert made and made["choices"][0]["logprobs"]["content"] == [
            {"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}
        ]


Values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
Calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(lambda u: f"call_{u.hex}"),
            "function": st.fixed_dictionaries(
                {
                    "name": st.text(min_size=1),
                    "arguments": st.dictionaries(st.text(), Values, max_size=3),
                }
            ),
        }
    ),
    max_size=3,
    unique_by=lambda call: str(call["id"]),
)


@given(content=st.text(), thinking=st.text(), calls=Calls)
def test_what_the_model_said_goes_back_to_it_unchanged(
    content: str, thinking: str, calls: list[dict[str, Any]]
) -> None:
    """Answer -> OpenAI's shape -> the next request: the same text, thoughts and tool calls."""
    said = {"role": "assistant", "content": content, "thinking": thinking, "tool_calls": calls}
    reply = answer(message=said)["choices"][0]["message"]
    assume(content or thinking or calls)  # a turn that says nothing is not sent
    back = converted(reply, *({"role": "tool", "tool_call_id": c["id"]} for c in calls))
    assert back[0]["content"] == content
    assert back[0].get("thinking", "") == thinking
    assert back[0].get("tool_calls", []) == [
        {"id": call["id"], "function": {"index": index, **call["function"]}}
        for index, call in enumerate(calls)
    ]
    assert [m["tool_name"] for m in back[1:]] == [call["function"]["name"] for call in calls]


@given(lines=st.lists(st.tuples(st.text(), st.text(), Calls), max_size=5), usage=st.booleans())
def test_a_stream_says_the_same_as_the_whole_answer(
    lines: list[tuple[str, str, list[dict[str, Any]]]], usage: bool
) -> None:
    """However the words are spread over lines, the last included, none is lost or doubled."""
    builder = ChunkBuilder("m", created=1, id="x", include_usage=usage)
    spoken = [{"content": c, "thinking": t, "tool_calls": k} for c, t, k in lines] or [{}]
    chunks = [builder.feed({"message": m, "done": False}) for m in spoken[:-1]]
    chunks.append(builder.feed({"message": spoken[-1], "done": True, "done_reason": "stop"}))
    choices = [chunk["choices"][0] for chunk in chunks if chunk]
    deltas = [choice["delta"] for choice in choices]
    sent = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert "".join(d.get("content") or "" for d in deltas) == "".join(c for c, _, _ in lines)
    assert builder.text == "".join(c for c, _, _ in lines)
    assert "".join(d.get("reasoning_content", "") for d in deltas) == "".join(
        t for _, t, _ in lines
    )
    assert [call["index"] for call in sent] == list(range(builder.tool_calls_seen))
    assert [json.loads(call["function"]["arguments"]) for call in sent] == [
        call["function"]["arguments"] for _, _, calls in lines for call in calls
    ]
    assert [d.get("role") for d in deltas] == ["assistant", *[None] * (len(deltas) - 1)]
    reasons = [choice["finish_reason"] for choice in choices]
    assert reasons == [*[None] * (len(choices) - 1), "tool_calls" if sent else "stop"]
