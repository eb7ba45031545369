"""An answer that we read ourselves reads as one that litellm has read."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pilotlight.app import Pilotlight
from pilotlight.catalog.litellm_module import litellm
from pilotlight.config.schema import parse
from pilotlight.core.provider import Call
from pilotlight.registry import Registry

ASK = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": "Grüß dich"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Go on."},
]
CALLED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
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


def test_the_headers_that_say_who_asks_are_the_same(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    for provider in ("openai", "hosted_vllm", "deepseek", "groq", "mistral", "xai"):
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
    call = Call("r", ASK, options, stream=True)
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
