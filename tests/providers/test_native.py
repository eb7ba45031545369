"""Each API in its own dialect: what is sent, what is read, what is litellm's."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import anthropic
import httpx
import openai
import pytest
from broken_streams import STREAMS, TEXT, WORDS, named, sse
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import Pilotlight, ProviderRefusal, Route, receipts
from pilotlight.catalog.litellm_module import litellm
from pilotlight.config.schema import parse
from pilotlight.core.provider import Call
from pilotlight.dialects import anthropic_messages, gemini, openai_chat, openai_responses
from pilotlight.dialects.base import Asked
from pilotlight.dialects.openai_chat.manners import MANNERS as MANNERS_OF
from pilotlight.providers import own_errors
from pilotlight.providers.gathering import gathered
from pilotlight.providers.litellm.provider import LiteLLMProvider
from pilotlight.providers.native.manners import MANNERS
from pilotlight.providers.native.provider import NativeProvider
from pilotlight.providers.native.reading import NativeReader, read_answer
from pilotlight.providers.shapes import Shape
from pilotlight.registry import Registry
from pilotlight.testing import ScriptedTarget
from pilotlight.wire.http import dumped
from tests.providers.loopback import Loopback, reply, said

CHAT: Final = [{"role": "user", "content": "hello"}]
COLOURS: Final = pytest.mark.parametrize("colour", ["sync", "async"])
DIALECTS: Final[Any] = {
    "anthropic": anthropic_messages, "gemini": gemini, "openai": openai_chat,
    "responses": openai_responses,
}  # fmt: skip
NAMES: Final = pytest.mark.parametrize("name", DIALECTS)
OTHERS: Final = pytest.mark.parametrize("name", ["anthropic", "gemini"])
MODELS: Final = {
    "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "openai": "gpt-4.1",
    "responses": "gpt-4.1",
}  # fmt: skip
BASES: Final = {"anthropic": "", "gemini": "/v1beta", "openai": "/v1", "responses": "/v1"}
PATHS: Final = {
    **{("openai", streamed): "/v1/chat/completions" for streamed in (False, True)},
    **{("responses", streamed): "/v1/responses" for streamed in (False, True)},
    ("anthropic", False): "/v1/messages",
    ("anthropic", True): "/v1/messages",
    ("gemini", False): "/v1beta/models/gemini-2.5-flash:generateContent",
    ("gemini", True): "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
}
PICTURE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
PAPER: Final = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}
TOOLS: Final = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("f", "g")
]
CALLS: Final = [
    {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for n in range(2)
]
RESULTS: Final = [{"role": "tool", "tool_call_id": f"c{n}", "content": "22"} for n in range(2)]
ASKED: Final[list[tuple[list[Any], dict[str, Any]]]] = [
    (CHAT, {}),
    (CHAT, {"temperature": 0.5, "max_tokens": 90, "seed": 1, "logit_bias": {"1": 2}}),
    ([{"role": "system", "content": "s"}, *CHAT], {"reasoning_effort": "low"}),
    ([{"role": "user", "content": [{"type": "text", "text": "see"}, PICTURE, PAPER]}], {}),
    (CHAT, {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}),
    ([*CHAT, {"role": "assistant", "tool_calls": CALLS}, *RESULTS], {"tools": TOOLS}),
    (CHAT, {"response_format": {"type": "json_object"}, "extra_body": {"x": 1}}),
]
WHOLE: Final[dict[str, Any]] = {
    "anthropic": {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
        "modelVersion": "gemini-2.5-flash", "responseId": "r",
    },
    "openai": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    },
    "responses": {
        "id": "r", "object": "response", "created_at": 1, "model": "gpt-4.1", "status": "completed",
        "output": [{
            "id": "i", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        }],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
}  # fmt: skip


def name_of(name: str) -> str:
    """Return the model as a target has it."""
    return f"{name if name != 'responses' else 'openai/responses'}/{MODELS[name]}"


def streamed(name: str) -> bytes:
    """Return the API's stream of the same answer, with its tokens."""
    events = STREAMS[name](WORDS)
    if name == "openai":
        count = {"completion_tokens": 3, "prompt_tokens": 1, "total_tokens": 4}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
        events.insert(-1, sse({**head, "choices": [], "usage": count}))
    if name == "responses":
        last = json.loads(events[-1].partition(b"data: ")[2])
        last["response"]["usage"] = {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4}
        events[-1] = named(**{"kind": last.pop("type"), **last})
    return b"".join(events).replace(b'"model": "m"', b'"model": "%s"' % MODELS[name].encode())


def answering(name: str) -> Callable[[str, bytes], bytes]:
    """Answer as the API does, streamed where that is asked for."""
    events = streamed(name)

    def say(path: str, body: bytes) -> bytes:
        streamed = b'"stream":true' in body or "streamGenerate" in path
        return reply(events, kind="text/event-stream") if streamed else said(WHOLE[name])

    return say


@contextmanager
def serving(
    name: str, say: Callable[[str, bytes], bytes] | None = None, base: str = "", **more: Any
) -> Iterator[tuple[Loopback, Route]]:
    with Loopback(say or answering(name)) as server:
        base = base or BASES[name]
        target = {
            "model": name_of(name), "api_base": server.url + base, "api_key": "key",
            "retry": {"max_retries": 0}, **more,
        }  # fmt: skip
        routes = {"r": {"targets": ["t"], "gather": "never"}}
        data = {"targets": {"t": target}, "routes": routes}
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            yield server, app.route("r")


def ask(route: Route, colour: str, stream: bool, messages: list[Any], options: Any) -> str:
    if not stream and colour == "sync":
        return route.complete(messages, **options).text
    if not stream:
        return asyncio.run(route.acomplete(messages, **options)).text
    if colour == "sync":
        with route.stream(messages, **options) as chunks:
            list(chunks)
            return chunks.text

    async def run() -> str:
        async with route.astream(messages, **options) as chunks:
            [chunk async for chunk in chunks]
            return chunks.text

    return asyncio.run(run())


# Asking.


@COLOURS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("messages", "options"), ASKED, ids=lambda given: str(given)[:40])
@NAMES
def test_what_the_dialect_writes_is_sent(
    name: str, messages: list[Any], options: Any, stream: bool, colour: str
) -> None:
    request: Any = {**options, "model": MODELS[name], "messages": messages}
    if stream:
        request["stream"] = True
    if name == "openai":
        if stream:
            request["stream_options"] = {"include_usage": True}
        written = openai_chat.write_request(request, MANNERS_OF["openai_elsewhere"])
    else:
        written = DIALECTS[name].write_request(request)
    with serving(name) as (server, route), receipts() as log:
        assert ask(route, colour, stream, messages, options) == TEXT
    ((path, body),) = server.asked
    assert (path, json.loads(body)) == (PATHS[name, stream], written.body)
    (attempt,) = log[0].attempts
    assert (attempt.status, attempt.lost) == (200, written.lost)
    assert attempt.prompt_tokens
    assert attempt.completion_tokens


def headers_of(server: Loopback) -> dict[str, str]:
    lines = server.heads[0].decode().split("\r\n")[1:-1]
    return {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize(
    ("name", "key", "options", "sent"),
    [
        ("anthropic", "k", {}, {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
        ("anthropic", "sk-ant-oat01-x", {}, {
            "authorization": "Bearer sk-ant-oat01-x", "anthropic-beta": "oauth-2025-04-20",
        }),
        ("anthropic", "k", {"extra_headers": {"anthropic-beta": "a", "X-Mine": "b"}},
         {"anthropic-beta": "a", "x-mine": "b"}),
        ("anthropic", "k", {
            "extra_headers": {"anthropic-beta": "a"},
            "tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}],
        }, {"anthropic-beta": "a,web-fetch-2025-09-10"}),
        ("gemini", "k", {"headers": {"x-mine": "b"}}, {"x-goog-api-key": "k", "x-mine": "b"}),
    ],
)  # fmt: skip
def test_keys_and_headers_are_sent(name: str, key: str, options: Any, sent: Any) -> None:
    with serving(name, api_key=key) as (server, route):
        route.complete(CHAT, **options)
    found = headers_of(server)
    assert {header: found.get(header) for header in sent} == sent
    assert ("x-api-key" in found) is ("x-api-key" in sent or key == "k" and name == "anthropic")


@pytest.mark.parametrize(
    ("name", "base", "full"),
    [
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("anthropic", "https://a/v1/", "https://a/v1/messages"),
        ("anthropic", "https://a/b/v1/messages", "https://a/b/v1/messages"),
        ("anthropic", "https://a/b", "https://a/b/v1/messages"),
        ("gemini", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
        ("gemini", "https://a/v1/", "https://a/v1/models/m:generateContent"),
        ("gemini", "https://a", "https://a/models/m:generateContent"),
    ],
)  # fmt: skip
def test_an_address_is_completed(name: Any, base: str, full: str) -> None:
    assert MANNERS[name].url(base, "m", False) == full


def test_a_tuned_model_is_a_resource_of_its_own() -> None:
    full = "https://a/v1beta/tunedModels/m:streamGenerateContent?alt=sse"
    assert MANNERS["gemini"].url("https://a/v1beta", "tunedModels/m", True) == full


# Who is asked.


@NAMES
def test_the_configuration_can_turn_it_off(name: str) -> None:
    with serving(name) as (_, route), serving(name, via="litellm") as (_, other):
        assert isinstance(route.targets[0].provider, NativeProvider)
        assert isinstance(other.targets[0].provider, LiteLLMProvider)


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (CHAT, {"api_base": "https://elsewhere"}),
        (CHAT, {"mock_response": "x"}),
        (CHAT, {"extra_query": {"a": "b"}}),
        (CHAT, {"drop_params": False}),
        (CHAT, {"litellm_metadata": {"a": 1}}),
        (CHAT, {"extra_headers": {"content-type": "x"}}),
        (CHAT, {"extra_headers": {"x": "a\r\nb"}}),
        (CHAT, {"response_format": int}),
    ],
    ids=str,
)
@NAMES
def test_a_call_that_says_how_litellm_is_to_carry_it_is_litellms(
    name: str, messages: list[Any], options: Any
) -> None:
    with serving(name) as (_, route):
        provider: Any = route.targets[0].provider
        assert provider.prepared(Call("r", messages, options)) is None
        assert provider.unable(Call("r", CHAT, {"response_format": int})) == ""
        assert provider.prepared(Call("r", CHAT, {"drop_params": True, "timeout": 3})) is not None


SOUND: Final = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
LOST: Final[list[tuple[str, list[Any], dict[str, Any], str]]] = [
    ("responses", CHAT, {"stop": ["x"]}, "stop sequences"),
    ("responses", [{"role": "user", "content": [SOUND]}], {}, "messages[0].content[0]"),
    *((name, CHAT, {"background": True}, "background") for name in DIALECTS),
    *(
        (name, CHAT, {state: "x_1"}, state)
        for name in ("anthropic", "gemini", "openai")
        for state in ("previous_response_id", "conversation")
    ),
    (
        "anthropic",
        [{"role": "user", "content": [SOUND]}],
        {},
        "messages[0].content[0] is audio/wav",
    ),
    ("anthropic", CHAT, {"stop": ["\n"]}, "stop sequence"),
    ("anthropic", CHAT, {"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "custom"),
    ("gemini", CHAT, {"stop": list("abcdef")}, "5 stop sequences"),
    ("gemini", CHAT, {"tools": [{"type": "local_shell"}]}, "local_shell"),
    ("gemini", CHAT, {"tools": TOOLS, "response_format": {"type": "json_object"}}, "beside tools"),
    *(
        (name, [{"role": "user", "content": [part]}], {}, "messages[0].content[0]")
        for name in ("anthropic", "gemini")
        for part in ({"type": "hologram"}, {"type": "file", "file": {"file_id": "file-1"}})
    ),
]


@COLOURS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("name", "messages", "options", "why"), LOST, ids=str)
def test_a_target_that_would_lose_what_must_not_be_lost_is_passed_over(
    name: str, messages: list[Any], options: Any, why: str, stream: bool, colour: str
) -> None:
    """litellm leaves most of these out without a word."""
    with serving(name) as (server, route):
        behind = ScriptedTarget("behind", "of the other")
        route = Route("r", (*route.targets, behind))
        with receipts() as log:
            assert ask(route, colour, stream, messages, options) == "of the other"
    assert server.asked == []
    (skipped,) = log[0].skipped
    assert (skipped.target, skipped.reason) == ("t", "unsupported")
    assert why in skipped.detail


@COLOURS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_ollama_is_passed_over_and_tells_its_losses_as_all_others(
    stream: bool, colour: str
) -> None:
    line = {"model": "m", "message": {"role": "assistant", "content": TEXT}, "done": True,
            "done_reason": "stop"}  # fmt: skip
    with Loopback(lambda *_: reply(dumped(line) + b"\n", kind="application/x-ndjson")) as server:
        target = {"model": "ollama/m", "api_base": server.url, "health": "off"}
        routes = {"r": {"targets": ["t"], "gather": "never"}}
        with Pilotlight(
            parse({"targets": {"t": target}, "routes": routes}, "test"), registry=Registry()
        ) as app:
            route = app.route("r")
            with receipts() as log:
                assert ask(route, colour, stream, CHAT, {"logit_bias": {"1": 2}}) == TEXT
            behind = Route("r", (*route.targets, ScriptedTarget("behind", "of the other")))
            with receipts() as passed:
                said = ask(behind, colour, stream, CHAT, {"previous_response_id": "resp_1"})
    assert log[0].attempts[0].lost == ("logit_bias",)
    assert said == "of the other"
    assert "previous_response_id" in passed[0].skipped[0].detail
    assert len(server.asked) == 1


@NAMES
def test_a_simple_call_is_written_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(name) as (_, route):
        provider: Any = route.targets[0].provider
        monkeypatch.setattr(provider, "_written", lambda *_: 1 / 0)
        assert provider.unable(Call("r", CHAT, {"temperature": 1})) == ""


@NAMES
def test_embeddings_are_litellms_and_images_but_for_a_server_of_ones_own(name: str) -> None:
    with serving(name) as (_, route):
        provider: Any = route.targets[0].provider
        assert provider.prepared(Call("r", CHAT, operation="embeddings")) is None
        image = provider.prepared(Call("r", CHAT, operation="image"))
        own = provider.wire == "openai" and provider.connection.given_base
        assert (image.place.url[-19:] if image else None) == (
            "/images/generations" if own else None
        )


@NAMES
def test_litellm_is_not_imported_for_it(name: str) -> None:
    with Loopback(answering(name)) as server:
        base = server.url + BASES[name]
        code = f"""
import sys, pilotlight
target = {{"model": "{name_of(name)}", "api_base": "{base}", "api_key": "k"}}
with pilotlight.load({{"targets": {{"t": target}}, "routes": {{"r": {{"targets": ["t"]}}}}}}) as app:
    assert app.route("r").complete({CHAT}).text == {TEXT!r}
    with app.route("r").stream({CHAT}) as stream:
        list(stream)
    assert stream.text == {TEXT!r}
print([name for name in ("litellm", "openai", "anthropic", "google.genai") if name in sys.modules])
"""
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert ran.stdout.strip() == "[]", ran.stderr


# What comes back.


def pieces_of(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


def anthropic_events(content: list[Any]) -> list[bytes]:
    """Return the stream of an answer, cut into pieces."""
    start = {**WHOLE["anthropic"], "content": [], "stop_reason": None}
    events = [named("message_start", message=start)]
    for index, block in enumerate(content):
        kind = block["type"]
        if kind == "tool_use":
            begun = {**block, "input": {}}
            cut = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in pieces_of(json.dumps(block["input"]))
            ]
        else:
            begun = {**block, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            cut = [{"type": f"{kind}_delta", kind: piece} for piece in pieces_of(block[kind])]
            if kind == "thinking":
                cut.append({"type": "signature_delta", "signature": block["signature"]})
        events.append(named("content_block_start", index=index, content_block=begun))
        events += [named("content_block_delta", index=index, delta=delta) for delta in cut]
        events.append(named("content_block_stop", index=index))
    end = {"stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"}
    usage = {"output_tokens": 4}
    return [*events, named("message_delta", delta=end, usage=usage), named("message_stop")]


def gemini_events(content: list[Any]) -> list[bytes]:
    whole = {name: WHOLE["gemini"][name] for name in ("modelVersion", "responseId")}
    usage = {"usageMetadata": WHOLE["gemini"]["usageMetadata"]}
    made = []
    for each in content:
        cut = [each]
        if "text" in each:
            cut = [{**each, "text": piece} for piece in pieces_of(each["text"])]
        made += [{"content": {"parts": [piece]}} for piece in cut]
    made[-1]["finishReason"] = "STOP"
    return [sse({**whole, "candidates": [each], **usage}) for each in made]


_WORD: Final = st.text(min_size=1, max_size=9).filter(lambda text: text.isprintable())
_INPUT: Final = st.dictionaries(
    _WORD, _WORD | st.lists(st.fixed_dictionaries({"index": st.just(0)}))
)
_ANTHROPIC: Final = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, _WORD)
    | st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, _WORD)
    | st.builds(
        lambda id, given: {"type": "tool_use", "id": id, "name": "f", "input": given},
        st.uuids().map(str),
        _INPUT,
    ),
    min_size=1,
    max_size=5,
)
_GEMINI: Final = st.lists(
    st.builds(lambda text: {"text": text}, _WORD)
    | st.builds(lambda text: {"text": text, "thought": True}, _WORD)
    | st.builds(
        lambda given: {"functionCall": {"name": "f", "args": given}, "thoughtSignature": "s"},
        _INPUT,
    ),
    min_size=1,
    max_size=5,
)


def chunks_of(name: str, events: list[bytes], size: int) -> list[Any]:
    reader = NativeReader(DIALECTS[name].reader(Asked(id="i")), MANNERS[name].events(), True)
    body = b"".join(events)
    found = []
    for at in range(0, len(body), size):
        for data in reader.events.feed(body[at : at + size]):
            found.append(reader.chunk(json.loads(data)))
    found.append(reader.last())
    return [each for each in found if each is not None]


def spoken(message: Any) -> Any:
    """Return what a message says, however its arguments are written."""
    for call in message.get("tool_calls") or ():
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return {name: value for name, value in message.items() if value}


def check_stream(name: str, whole: Any, events: list[bytes], size: int) -> None:
    plain = read_answer(DIALECTS[name], Asked(id="i"), whole)
    chunks = chunks_of(name, events, size)
    assert all(chunk["choices"] for chunk in chunks)
    assert [c for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    answer = gathered(chunks)
    assert answer["usage"] == plain["usage"]
    (choice,), (expected,) = answer["choices"], plain["choices"]
    assert choice["finish_reason"] == expected["finish_reason"]
    assert spoken(choice["message"]) == spoken(expected["message"])


@given(_ANTHROPIC, st.integers(1, 400))
def test_claudes_stream_says_what_its_plain_answer_says(content: list[Any], size: int) -> None:
    reason = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    whole = {**WHOLE["anthropic"], "content": content, "stop_reason": reason}
    check_stream("anthropic", whole, anthropic_events(content), size)


@given(_GEMINI, st.integers(1, 400))
def test_geminis_stream_says_what_its_plain_answer_says(content: list[Any], size: int) -> None:
    candidate = {"content": {"parts": content}, "finishReason": "STOP"}
    whole = {**WHOLE["gemini"], "candidates": [candidate]}
    check_stream("gemini", whole, gemini_events(content), size)


@COLOURS
@OTHERS
def test_thoughts_and_calls_go_back_as_they_came(name: str, colour: str) -> None:
    blocks = {
        "anthropic": [
            {"type": "thinking", "thinking": "hm", "signature": "s1"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ],
        "gemini": [
            {"text": "hm", "thought": True},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s1"},
        ],
    }[name]
    whole: Any = {**WHOLE[name]}
    if name == "anthropic":
        whole |= {"content": blocks, "stop_reason": "tool_use"}
    else:
        whole["candidates"] = [{"content": {"parts": blocks}, "finishReason": "STOP"}]
    with serving(name, lambda *_: said(whole)) as (server, route):
        first = route.complete(CHAT, tools=TOOLS)
        message = Shape(first.response.model_dump()).choices[0].message
        (call,) = message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "22"}
        ask(route, colour, False, [*CHAT, message, result], {"tools": TOOLS})
    sent = json.loads(server.asked[1][1])
    turn = sent["messages"][1]["content"] if name == "anthropic" else sent["contents"][1]["parts"]
    assert turn == blocks
    assert first.response.choices[0].finish_reason == "tool_calls"


@COLOURS
def test_every_choice_of_geminis_has_its_end(colour: str) -> None:
    def event(index: int, text: str, **more: Any) -> bytes:
        candidate = {"index": index, "content": {"parts": [{"text": text}]}, **more}
        return sse({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 3}})

    events = [
        event(0, "a"), event(0, "b", finishReason="STOP"),
        event(1, "c"), event(1, "d", finishReason="MAX_TOKENS"),
    ]  # fmt: skip
    body = reply(b"".join(events), kind="text/event-stream")
    with serving("gemini", lambda *_: body) as (_, route):
        chunks = list(route.stream(CHAT, n=2))
    ends = {c.index: c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason}
    assert ends == {0: "stop", 1: "length"}


@COLOURS
@NAMES
def test_tokens_are_told_to_who_asks(name: str, colour: str) -> None:
    with serving(name) as (_, route):
        assert not [c for c in route.stream(CHAT) if c.usage]
        asked = list(route.stream(CHAT, stream_options={"include_usage": True}))
        assert [c.usage.completion_tokens for c in asked if c.usage] == [3]


@COLOURS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@NAMES
def test_tokens_that_are_not_told_are_not_made_up(name: str, stream: bool, colour: str) -> None:
    def say(*_: Any) -> bytes:
        if not stream:
            return said({n: v for n, v in WHOLE[name].items() if not n.startswith("usage")})
        events = [
            re.sub(rb'"usage(?:Metadata)?": \{[^}]*\}', b'"x": 1', event)
            for event in STREAMS[name](WORDS)
        ]
        return reply(b"".join(events), kind="text/event-stream")

    with serving(name, say) as (_, route), receipts() as log:
        assert ask(route, colour, stream, CHAT, {}) == TEXT
    (attempt,) = log[0].attempts
    assert (attempt.prompt_tokens, attempt.completion_tokens) == (None, None)


# Refusals.

REFUSED: Final[dict[str, Any]] = {
    "anthropic": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "temperature: no"},
    },
    "gemini": {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}},
    **dict.fromkeys(
        ("openai", "responses"), {"error": {"message": "no", "type": "invalid_request_error"}}
    ),
}


@COLOURS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@NAMES
def test_a_callers_mistake_reaches_it_as_its_library_has_it(
    name: str, stream: bool, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = litellm()
    loaded: dict[str, Any] = {"litellm": True}
    monkeypatch.setattr(own_errors, "litellm_loaded", lambda: loaded["litellm"])
    say = lambda *_: said(REFUSED[name], 400, "request-id: r1\r\n")  # noqa: E731
    with serving(name, say) as (_, route):

        def raised() -> Any:
            with pytest.raises(Exception) as told:  # noqa: PT011
                ask(route, colour, stream, CHAT, {})
            error = told.value
            assert isinstance(error, ProviderRefusal)
            assert (error.status, json.loads(error.content)) == (400, REFUSED[name])
            assert error.headers["request-id"] == "r1"
            there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
            assert (type(there), there.status, there.body) == (ProviderRefusal, 400, REFUSED[name])
            assert there.headers == error.headers
            return error

        assert isinstance(raised(), module.BadRequestError)
        loaded["litellm"] = False
        error = raised()
        assert isinstance(error, openai.BadRequestError)
        assert (error.status_code, error.response.json()) == (400, REFUSED[name])
        assert error.response.headers["request-id"] == "r1"
        monkeypatch.setitem(sys.modules, "openai", None)  # type: ignore[arg-type]
        error = raised()
        own = anthropic.BadRequestError if name == "anthropic" else httpx.HTTPStatusError
        assert isinstance(error, own)
        assert error.response.json() == REFUSED[name]


@COLOURS
@NAMES
def test_it_is_one_type_of_ours_through_litellm_too(name: str, colour: str) -> None:
    say = lambda *_: said(REFUSED[name], 400, "request-id: r1\r\n")  # noqa: E731
    with serving(name, say, via="litellm") as (_, route):
        with pytest.raises(ProviderRefusal) as told:
            ask(route, colour, False, CHAT, {})
        with pytest.raises(litellm().BadRequestError):
            ask(route, colour, False, CHAT, {})
    assert told.value.status == 400
    if name != "responses":  # there litellm takes no client of ours
        assert json.loads(told.value.content) == REFUSED[name]
        assert told.value.headers["request-id"] == "r1"


# A server that never streams.


@COLOURS
@pytest.mark.parametrize("indent", [None, 2])
@NAMES
def test_a_plain_answer_in_place_of_a_stream_is_read_by_who_gathers(
    name: str, indent: int | None, colour: str
) -> None:
    body = json.dumps({**WHOLE[name], "padding": "x" * 100_000}, indent=indent).encode()
    with serving(name, lambda *_: reply(body)) as (_, route):
        route = Route("r", route.targets)
        assert ask(route, colour, False, CHAT, {}) == TEXT
