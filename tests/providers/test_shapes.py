"""Answers in OpenAI's shape, with and without litellm."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import types
import warnings
from typing import Any

import pytest

from pilotlight.providers import shapes
from pilotlight.providers.ollama.answer import ChunkBuilder, completion_from
from pilotlight.providers.shapes import Shape

CALL = {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Zürich"}}}
ANSWER: dict[str, Any] = {
    "message": {
        "role": "assistant",
        "content": "",
        "thinking": "Let me see.",
        "tool_calls": [CALL],
    },
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 11,
    "eval_count": 7,
}
REPLY = completion_from(ANSWER, model="llama3.2", created=1, id="chatcmpl-1")


def spoken(content: str, reason: str | None = "stop") -> dict[str, Any]:
    said = {"message": {"content": content}, "done": reason is not None, "done_reason": reason}
    return completion_from(said, model="llama3.2", created=1, id="chatcmpl-1")


def streamed(include_usage: bool = False) -> list[dict[str, Any]]:
    builder = ChunkBuilder("llama3.2", created=1, id="chatcmpl-1", include_usage=include_usage)
    lines: list[dict[str, Any]] = [
        {"message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False},
        {"message": {"role": "assistant", "content": "Hel"}, "done": False},
        {"message": {"role": "assistant", "content": "lo"}, "done": False},
        {"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}, "done": False},
        {
            "message": {"role": "assistant", "content": "!"},
            "done": True,
            "done_reason": "length",
            "prompt_eval_count": 11,
            "eval_count": 7,
        },
    ]
    chunks = [chunk for line in lines if (chunk := builder.feed(line))]
    return [*chunks, *([usage] if (usage := builder.usage_chunk()) else [])]


@pytest.fixture(scope="module")
def litellm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes.as_model_response(REPLY, "ollama")
        return sys.modules["litellm"]


class TestShape:
    def test_reads_by_attribute_and_by_item_all_the_way_down(self) -> None:
        reply = Shape(REPLY)
        assert reply.choices[0].message.tool_calls[0].function.name == "weather"
        assert reply["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"
        assert reply.choices[0]["message"].reasoning_content == "Let me see."
        assert reply.usage.total_tokens == reply["usage"]["total_tokens"] == 18
        assert reply.get("usage").prompt_tokens == 11
        assert reply.get("nothing", 5) == 5
        assert "choices" in reply and "nothing" not in reply
        assert [value for value in reply.values() if isinstance(value, Shape)] == [reply.usage]
        assert dict(reply.items())["usage"].total_tokens == 18

    def test_optional_parts_read_as_none_but_are_no_keys(self) -> None:
        message = Shape(spoken("hi")).choices[0].message
        assert message.tool_calls is None
        assert message.reasoning_content is None
        assert "tool_calls" not in message and "tool_calls" not in dict(message)

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        reply = Shape(REPLY)
        with pytest.raises(AttributeError, match="contents"):
            _ = reply.choices[0].message.contents
        with pytest.raises(AttributeError):
            _ = reply.content  # that of the message is optional, this one does not exist
        with pytest.raises(KeyError):
            _ = reply["contents"]
        assert not hasattr(reply, "_hidden_params")

    def test_is_a_plain_dict_to_those_who_want_one(self) -> None:
        reply = Shape(REPLY)
        assert reply == REPLY and REPLY == reply
        assert reply != Shape(spoken("hi"))
        assert dict(reply) == {**reply} == REPLY
        assert json.loads(json.dumps(reply)) == REPLY
        assert json.loads(json.dumps({"messages": [reply.choices[0].message]})) == {
            "messages": [REPLY["choices"][0]["message"]]
        }
        assert dict(reply)["choices"][0].message.role == "assistant"

    def test_dumps_like_a_pydantic_model(self) -> None:
        reply = Shape(spoken("hi", None))
        dumped = reply.model_dump()
        assert type(dumped) is type(dumped["choices"][0]) is dict
        dumped["choices"][0]["message"]["content"] = "changed"
        assert reply.choices[0].message.content == "hi"
        assert "finish_reason" not in reply.model_dump(exclude_none=True, mode="json")["choices"][0]
        assert json.loads(reply.model_dump_json()) == json.loads(reply.model_dump_json(indent=2))
        assert "Zürich" in Shape(REPLY).model_dump_json()

    def test_cannot_be_changed(self) -> None:
        reply = Shape(REPLY)
        with pytest.raises(TypeError, match="read-only"):
            reply["model"] = "other"
        with pytest.raises(TypeError, match="read-only"):
            setattr(reply, "model", "other")  # noqa: B010
        with pytest.raises(TypeError, match="read-only"):
            del reply.choices[0].message["content"]
        for change in (reply.clear, reply.popitem, reply.update):
            with pytest.raises(TypeError, match="read-only"):
                change()
        with pytest.raises(TypeError, match="read-only"):
            reply |= {"model": "other"}
        assert reply == REPLY

    def test_survives_copies_and_pickling(self) -> None:
        reply = Shape(REPLY)
        message = reply.choices[0].message
        for twin in (
            copy.copy(message),
            copy.deepcopy(message),
            message.copy(),
            pickle.loads(pickle.dumps(message)),
            Shape(message, "message"),
        ):
            assert type(twin) is Shape and twin == message
            assert twin.function_call is None  # it knows what it is

    def test_shows_itself(self) -> None:
        reply = Shape(spoken("hi"))
        assert repr(reply).startswith("Shape(id='chatcmpl-1', object='chat.completion', created=1")
        assert "Message(role='assistant', content='hi')" in repr(reply)
        assert {"choices", "usage", "model_dump"} <= set(dir(reply))


class TestWithout:
    """Nothing heavy is imported for a shape."""

    def test_chunks_read_as_litellms_do(self) -> None:
        chunks = [Shape(chunk) for chunk in streamed()]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello!"
        assert chunks[0].usage is None and chunks[0].choices[0].delta.role == "assistant"

    def test_half_imported_litellm_does_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = types.ModuleType("litellm")
        module.__spec__ = importlib.util.spec_from_loader("litellm", loader=None)
        assert module.__spec__ is not None
        monkeypatch.setitem(sys.modules, "litellm", module)
        monkeypatch.setitem(sys.modules, "litellm.types.utils", types.ModuleType("utils"))
        assert shapes.litellm_loaded()
        module.__spec__._initializing = True  # type: ignore[attr-defined] # as importlib does
        assert not shapes.litellm_loaded()
        monkeypatch.delitem(sys.modules, "litellm")
        assert not shapes.litellm_loaded()

    def test_neither_litellm_nor_ollama_is_imported_for_a_local_answer(self) -> None:
        script = """
import sys
from pilotlight.providers import shapes
from pilotlight.providers.ollama import answer, http, request
body, _ = request.chat_request("m", [{"role": "user", "content": "x"}], {}, stream=False)
said = {"message": {"content": "hi"}, "done": True, "done_reason": "stop"}
reply = shapes.Shape(answer.completion_from(said, model="m", created=1, id="x"))
assert reply.choices[0].message.content == "hi"
print(sorted({"litellm", "ollama", "openai", "pydantic"} & set(sys.modules)))
"""
        path = os.pathsep.join(p for p in sys.path if p)
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.stdout.strip(), ran.stderr) == ("[]", "")


@pytest.mark.usefixtures("litellm")
@pytest.mark.filterwarnings("ignore:.*ReadOnly.*")  # litellm's, when its classes are first used
class TestLitellm:
    """The same answers as litellm's own objects."""

    def test_is_what_is_asked_for(self, litellm: Any) -> None:
        assert type(shapes.as_model_response(REPLY, "ollama")) is litellm.ModelResponse
        assert type(shapes.as_model_response_stream(streamed()[0])) is litellm.ModelResponseStream
        assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"]

    def test_answer(self) -> None:
        reply: Any = shapes.as_model_response(Shape(REPLY), "ollama")
        choice = reply.choices[0]
        assert choice.message.content is None
        assert choice.message.tool_calls[0].id == "call_1"
        assert json.loads(choice.message.tool_calls[0].function.arguments) == {"city": "Zürich"}
        assert choice.message.reasoning_content == "Let me see."
        assert choice.finish_reason == "tool_calls"
        assert reply.usage.prompt_tokens == 11
        assert (reply.model, reply.id) == ("llama3.2", "chatcmpl-1")
        assert reply.model_dump()["choices"][0]["message"]["tool_calls"][0]["id"] == "call_1"

    @pytest.mark.parametrize("reason", ["stop", "length", None])
    def test_no_finish_reason_is_made_up(self, reason: str | None) -> None:
        reply: Any = shapes.as_model_response(spoken("hi", reason), "ollama")
        assert reply.choices[0].finish_reason == reason
        assert reply.model_dump()["choices"][0]["finish_reason"] == reason

    @pytest.mark.parametrize("include_usage", [False, True])
    def test_chunks(self, include_usage: bool) -> None:
        chunks: list[Any] = [shapes.as_model_response_stream(c) for c in streamed(include_usage)]
        deltas = [chunk.choices[0].delta for chunk in chunks]
        assert deltas[0].role == "assistant"
        assert deltas[0].reasoning_content == "Hm."
        assert "".join(delta.content or "" for delta in deltas) == "Hello!"
        (call,) = [call for delta in deltas for call in delta.tool_calls or ()]
        assert (call.index, call.id, call.function.name) == (0, "call_1", "weather")
        assert json.loads(call.function.arguments) == {"city": "Zürich"}
        assert chunks[-1].usage.total_tokens == 18
        assert [getattr(chunk, "usage", None) for chunk in chunks[:-1]] == [None] * len(chunks[:-1])
        assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == [
            "length"
        ]

    @pytest.mark.parametrize("include_usage", [False, True])
    def test_litellm_puts_the_chunks_together_again(
        self, litellm: Any, include_usage: bool
    ) -> None:
        chunks: list[Any] = [shapes.as_model_response_stream(c) for c in streamed(include_usage)]
        whole = litellm.stream_chunk_builder(chunks)
        message = whole.choices[0].message
        assert (message.content, message.reasoning_content) == ("Hello!", "Hm.")
        assert message.tool_calls[0].function.name == "weather"
        assert whole.choices[0].finish_reason == "length"
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (11, 7)

    def test_logprobs_are_kept(self) -> None:
        said = {
            "message": {"content": "a"},
            "done": True,
            "done_reason": "stop",
            "logprobs": [
                {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}
            ],
        }
        reply = completion_from(said, model="m", created=1, id="x")
        whole: Any = shapes.as_model_response(reply, "ollama")
        (entry,) = whole.choices[0].logprobs.content
        assert (entry.token, entry.top_logprobs[0].token) == ("a", "b")
