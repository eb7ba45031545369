"""What goes straight to a server is what litellm would have sent, and is read as litellm reads it.

Each request is made twice over a socket, once by each way, and compared as JSON.  The models are
those of litellm's own table, so that a new litellm which treats one of them otherwise is seen.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pilotlight.app import Pilotlight
from pilotlight.catalog import models as model_table
from pilotlight.catalog.litellm_module import litellm
from pilotlight.catalog.providers import Spec
from pilotlight.config.schema import parse
from pilotlight.core.provider import Call
from pilotlight.providers.openai import rules
from pilotlight.providers.openai.rules import DIALECTS, body_of, dialect_of
from pilotlight.registry import Registry
from pilotlight.wire.http import dumped

ASK = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": "Grüß dich"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Go on."},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look around.",
        "parameters": {"type": "object", "properties": {"way": {"type": "string"}}},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "x",
        "strict": True,
        "schema": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}
VALUES: dict[str, Any] = {
    "temperature": 0.2,
    "top_p": 0.5,
    "max_tokens": 7,
    "stop": ["x", "y"],
    "max_completion_tokens": 9,
    "seed": 3,
    "n": 2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"5": 1},
    "tools": [TOOL],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": SCHEMA,
    "stream_options": {"include_usage": True},
}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "parts": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "an image": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"},
                },
            ],
        }
    ],
    "a tool was called": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ],
    "a tool was called in words": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "Wait.", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ],
    "a system prompt alone": [{"role": "system", "content": "x"}],
    "an answer begun": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
    "nothing": [{"role": "user", "content": ""}],
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi there"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    "system_fingerprint": "fp_1",
    "service_tier": "default",  # litellm's way to Groq fails on an answer without it
}


class Recorder(ThreadingHTTPServer):
    """Answers everything alike, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answer: dict[str, Any] = ANSWER
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers, said))
        kind, body = "application/json", json.dumps(self.server.answer).encode()
        if said.get("stream"):
            events = [json.dumps(event) for event in self.server.events]
            body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
            kind = "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    litellm()
    with Recorder() as running:
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def _usual(recorder: Recorder) -> None:
    recorder.answer = ANSWER
    recorder.events = chunks([{"role": "assistant", "content": "hi"}, {"content": " there"}])
    recorder.seen.clear()


def chunks(deltas: list[dict[str, Any]], finish: str = "stop") -> list[dict[str, Any]]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    return [{**head, "choices": [choice]} for choice in choices]


def ask(recorder: Recorder, model: str, via: str | None, call: Call) -> Any:
    target = {"model": model, "api_base": recorder.base, "api_key": "sk-equal", "via": via}
    given = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
    with Pilotlight(parse(given, "test"), registry=Registry()) as app:
        messages, options = copy.deepcopy(call.messages), copy.deepcopy(dict(call.options))
        if call.stream:
            return list(app.route("r").stream(messages, **options))
        return app.route("r").complete(messages, **options)


def sent_by_litellm(recorder: Recorder, model: str, call: Call) -> dict[str, Any]:
    recorder.seen.clear()
    ask(recorder, model, "litellm", call)
    (request,) = recorder.seen
    assert request[0] == "/v1/chat/completions"
    return request[2]


def straight(model: str, call: Call) -> dict[str, Any] | None:
    spec = Spec("t", model, "http://127.0.0.1/v1")
    dialect = dialect_of(spec, own_server=True)
    body = None if dialect is None else body_of(dialect, spec, call)
    return None if body is None else json.loads(dumped(body))


OWN = {"openai", "lm_studio", "llamafile", "hosted_vllm"}
STREAMED = {f"{provider}/my-model" for provider in OWN} | {"openai/gpt-4o", "openai/gpt-5"}
STREAMED |= {"mistral/mistral-large-latest", "deepseek/deepseek-chat", "xai/grok-3"}


def known_models() -> list[str]:
    """Return every chat model of litellm's table that may be asked straight, and some others."""
    rows = model_table.table().items()
    found = {f"{provider}/{name}" for provider in OWN for name in ("my-model", "org/my-model:7b")}
    for name, row in rows:
        provider = row.get("litellm_provider")
        if provider in DIALECTS and row.get("mode", "chat") in ("chat", "responses", "completion"):
            bare = name.removeprefix(f"{provider}/")
            found.add(f"{provider}/{bare}")
    return sorted(name for name in found if dialect_of(Spec("t", name), own_server=True))


def test_there_is_something_to_compare() -> None:
    models = known_models()
    assert len(models) > 150
    assert {name.partition("/")[0] for name in models} == set(DIALECTS)
    assert "openai/gpt-4o" in models
    assert "openai/gpt-5" in models
    assert not [name for name in models if name.startswith(("openai/o1", "openai/o3", "openai/o4"))]


@pytest.mark.parametrize("part", range(8))
def test_every_model_is_sent_the_same(recorder: Recorder, part: int) -> None:
    """With everything at once that its dialect allows, streamed and not."""
    for model in known_models()[part::8]:
        dialect = dialect_of(Spec("t", model), own_server=True)
        assert dialect is not None
        options = {name: value for name, value in VALUES.items() if name in dialect.options}
        for stream in (False, True) if model in STREAMED else (False,):
            rest = (
                options if stream else {k: v for k, v in options.items() if k != "stream_options"}
            )
            call = Call("r", ASK, rest, stream=stream)
            assert straight(model, call) == sent_by_litellm(recorder, model, call), model


@pytest.mark.parametrize("provider", sorted(DIALECTS))
def test_each_option_and_message_by_itself(recorder: Recorder, provider: str) -> None:
    model = {"openai": "openai/gpt-4o", "mistral": "mistral/mistral-large-latest"}.get(
        provider, f"{provider}/my-model"
    )
    calls = [Call("r", ASK, {name: value}) for name, value in VALUES.items()]
    calls += [Call("r", ASK, {"stop": "x"}), Call("r", ASK, {"temperature": None})]
    calls += [Call("r", ASK, {"response_format": {"type": "json_object"}})]
    named = {"type": "function", "function": {"name": "look"}}
    calls += [Call("r", ASK, {"tools": [TOOL], "tool_choice": named})]
    calls += [Call("r", messages) for messages in MESSAGES.values()]
    compared = 0
    for call in calls:
        if (ours := straight(model, call)) is not None:
            assert ours == sent_by_litellm(recorder, model, call), call
            compared += 1
    assert compared >= len(DIALECTS[provider].options)


LEFT_TO_LITELLM = [
    Call("r", ASK, {"user": "u"}),
    Call("r", ASK, {"metadata": {"a": "b"}}),
    Call("r", ASK, {"extra_body": {"k": 1}}),
    Call("r", ASK, {"extra_headers": {"x-a": "b"}}),
    Call("r", ASK, {"reasoning_effort": "low"}),
    Call("r", ASK, {"tool_choice": "auto"}),  # without tools litellm drops it, or does not
    Call("r", ASK, {"response_format": dict}),
    Call("r", ASK, {"something_new": 1}),
    Call("r", [{"role": "developer", "content": "x"}]),
    Call("r", [{"role": "user", "content": "x", "name": "bob"}]),
    Call("r", [{"role": "user", "content": None}]),
    Call("r", [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
    Call("r", [{"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}]),
    Call("r", [{"role": "assistant", "content": "x", "reasoning_content": "y"}]),
    Call("r", ASK, operation="embeddings"),
]


@pytest.mark.parametrize("call", LEFT_TO_LITELLM)
@pytest.mark.parametrize("provider", sorted(DIALECTS))
def test_what_litellm_may_change_is_left_to_it(provider: str, call: Call) -> None:
    spec = Spec("t", f"{provider}/my-model")
    assert body_of(DIALECTS[provider], spec, call) is None


@pytest.mark.parametrize(
    "model",
    """
    openai/o1 openai/o3-mini openai/gpt-5-pro openai/gpt-5-codex openai/gpt-5-search-api
    openai/gpt-6-sol openai/gpt-4o-audio-preview openai/gpt-4o-search-preview openai/ft:gpt-4o:me::1
    openai/gpt-3.5-turbo-instruct openai/davinci-002 openai/responses/gpt-4o openai/chatgpt-4o-latest
    openrouter/a/b fireworks_ai/x perplexity/sonar azure/x anthropic/claude-sonnet-4-5 cohere/x
    """.split(),
)
def test_models_that_want_something_of_their_own_are_left_to_litellm(model: str) -> None:
    assert dialect_of(Spec("t", model), own_server=True) is None


def test_an_unknown_name_at_openai_itself_is_left_to_litellm() -> None:
    assert dialect_of(Spec("t", "openai/my-model"), own_server=False) is None
    assert dialect_of(Spec("t", "openai/gpt-4o"), own_server=False) is not None


def test_headers_of_the_sdks_own_syntax_are_left_to_litellm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-a: b")
    assert dialect_of(Spec("t", "openai/gpt-4o"), own_server=True) is None


def test_the_headers_that_say_who_asks_are_the_same(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    for provider in sorted(DIALECTS):
        both = []
        for via in (None, "litellm"):
            recorder.seen.clear()
            ask(recorder, f"{provider}/gpt-4o", via, Call("r", ASK))
            both.append(recorder.seen[0][1])
        ours, theirs = both
        assert ours["user-agent"] == "pilotlight"
        names = "authorization content-type openai-organization openai-project accept-encoding"
        for name in names.split():
            assert ours.get(name) == theirs.get(name), (provider, name)


# The answers.

ANSWERS: dict[str, dict[str, Any]] = {
    "words": ANSWER,
    "tool calls": {
        **ANSWER,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [CALLED]},
                "finish_reason": "tool_calls",
            }
        ],
    },
    "two choices": {
        **ANSWER,
        "choices": [
            {**ANSWER["choices"][0], "index": i}  # type: ignore[index]
            for i in range(2)
        ],
    },
    "all that OpenAI says": {
        **ANSWER,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {
            **ANSWER["usage"],  # type: ignore[dict-item]
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    },
    "reasoning": {
        **ANSWER,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "reasoning_content": "Let me see.",
                },
                "finish_reason": "stop",
            }
        ],
    },
}
READ_BY = ("openai", "hosted_vllm", "deepseek", "lm_studio", "together_ai")


@pytest.mark.filterwarnings("ignore:.*ReadOnly.*")
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("provider", READ_BY)
def test_an_answer_reads_as_litellms_own(recorder: Recorder, provider: str, name: str) -> None:
    recorder.answer = ANSWERS[name]
    model = f"{provider}/gpt-4o"
    ours, theirs = (ask(recorder, model, via, Call("r", ASK)) for via in (None, "litellm"))
    assert type(ours.response) is type(theirs.response)
    assert ours.text == theirs.text
    ours_facts, theirs_facts = (each.receipt.attempts[0] for each in (ours, theirs))
    for fact in ("served_model", "prompt_tokens", "completion_tokens", "flags", "status", "fault"):
        assert getattr(ours_facts, fact) == getattr(theirs_facts, fact), fact
    for choice, other in zip(ours.response.choices, theirs.response.choices, strict=True):
        assert choice.finish_reason == other.finish_reason
        assert choice.index == other.index
        for part in ("role", "content", "tool_calls", "function_call"):
            assert getattr(choice.message, part) == getattr(other.message, part), part
        reasons = (getattr(each.message, "reasoning_content", None) for each in (choice, other))
        assert len(set(reasons)) == 1
    for part in ("id", "created", "object", "system_fingerprint"):
        assert getattr(ours.response, part) == getattr(theirs.response, part), part
    counts = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details")
    for part in counts:
        assert getattr(ours.response.usage, part) == getattr(theirs.response.usage, part), part


STREAMS = {
    "words": chunks([{"role": "assistant", "content": ""}, {"content": "hi "}, {"content": "you"}]),
    "a tool call": chunks(
        [
            {"role": "assistant", "content": None},
            {"tool_calls": [{"index": 0, **CALLED}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        ],
        "tool_calls",
    ),
    "reasoning": chunks([{"role": "assistant", "reasoning_content": "Hm."}, {"content": "hi"}]),
}
USAGE = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
USAGE["usage"] = ANSWER["usage"]


# Of litellm's own making; raised as an error it costs litellm its usage chunk.
@pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated")
@pytest.mark.parametrize("usage", [False, True], ids=["", "usage"])
@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("provider", READ_BY)
def test_a_stream_reads_as_litellms_own(
    recorder: Recorder, provider: str, name: str, usage: bool
) -> None:
    recorder.events = [*STREAMS[name], USAGE]
    options = {"stream_options": {"include_usage": True}} if usage else {}
    allowed = DIALECTS[provider].options
    call = Call("r", ASK, {k: v for k, v in options.items() if k in allowed}, stream=True)
    ours, theirs = (told(ask(recorder, f"{provider}/x", via, call)) for via in (None, "litellm"))
    assert ours == theirs


def told(stream: list[Any]) -> dict[str, Any]:
    """Return what a reader learns from the chunks; every chunk has a choice, as code expects."""
    deltas = [chunk.choices[0].delta for chunk in stream]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    usages = [chunk.usage for chunk in stream if getattr(chunk, "usage", None) is not None]
    return {
        "text": "".join(delta.content or "" for delta in deltas),
        "reasoning": "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas),
        "names": [call.function.name for call in calls if call.function.name],
        "ids": [call.id for call in calls if call.id],
        "arguments": "".join(call.function.arguments or "" for call in calls),
        "finish": [c.choices[0].finish_reason for c in stream if c.choices[0].finish_reason],
        "tokens": [usage.total_tokens for usage in usages],
    }


def test_the_tables_name_no_option_twice() -> None:
    for dialect in DIALECTS.values():
        assert dialect.options <= set(VALUES), "each option is compared above"
    assert rules.REASONING.options <= set(VALUES)
