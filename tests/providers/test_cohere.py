"""Cohere's v2 chat: what is written of a call, what is read of answers and streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from broken_streams import STREAMS, TEXT, WORDS, named
from broken_streams import cohere as stream_of
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import Pilotlight, PilotlightError, Route, StreamInterrupted, receipts
from pilotlight.config.schema import parse
from pilotlight.core.provider import Timeouts
from pilotlight.errors import ProviderFault
from pilotlight.providers.cohere import translation
from pilotlight.registry import Registry
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.clocks import RequestMonitor
from pilotlight.wire.events.server_sent import read_event
from pilotlight.wire.field_types import choices_of
from pilotlight.wire.tap import Tap
from tests.providers.loopback import Loopback, reply, said

CHAT: Final = [{"role": "user", "content": "hello"}]
COLOURS: Final = pytest.mark.parametrize("colour", ["sync", "async"])
TOOLS: Final = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("f", "g")
]
SCHEMA: Final = {"type": "object", "properties": {"a": {"type": "string"}}}


def asked(options: dict[str, Any], messages: list[Any] = CHAT) -> dict[str, Any] | None:
    return translation.request("command-a-03-2025", messages, options, stream=False)


# Asking.


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 0.5, "seed": 1}, {"temperature": 0.5, "seed": 1}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"top_p": 0.9, "top_k": 3}, {"p": 0.9, "k": 3}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"n": 1, "user": "u", "logit_bias": {}, "temperature": None}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
        ),
        ({"tools": TOOLS}, {"tools": TOOLS}),
        ({"tools": TOOLS, "tool_choice": "auto"}, {"tools": TOOLS}),
        ({"tools": TOOLS, "tool_choice": "none"}, {"tools": TOOLS, "tool_choice": "NONE"}),
        ({"tools": TOOLS, "tool_choice": "required"}, {"tools": TOOLS, "tool_choice": "REQUIRED"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": TOOLS},
            {"tools": TOOLS[1:], "tool_choice": "REQUIRED"},
        ),
        (
            {"documents": ["d"], "safety_mode": "STRICT"},
            {"documents": ["d"], "safety_mode": "STRICT"},
        ),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
    ],
    ids=str,
)
def test_options_are_written_in_its_words(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert asked(given) == {"model": "command-a-03-2025", "messages": CHAT, **sent}


CALL: Final = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"role": "developer", "content": "x"}, {"role": "system", "content": "x"}),
        ({"role": "user", "content": "x", "name": "n"}, {"role": "user", "content": "x"}),
        (
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]},
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
        ),
        (
            {"role": "tool", "tool_call_id": "c", "content": "22"},
            {"role": "tool", "tool_call_id": "c", "content": "22"},
        ),
        (
            {
                "role": "assistant", "content": None, "tool_calls": [{**CALL, "index": 0}],
                "provider_specific_fields": {"tool_plan": "I will."}, "annotations": [],
                "function_call": None,
            },
            {"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will."},
        ),
    ],
    ids=lambda given: given["role"],
)  # fmt: skip
def test_messages_are_written_in_its_words(given: dict[str, Any], sent: dict[str, Any]) -> None:
    body = asked({}, [given])
    assert body is not None
    assert body["messages"] == [sent]


@pytest.mark.parametrize(
    "options",
    [
        {"n": 2},
        {"extra_headers": {"x": "y"}},
        {"something": 1},
        {"tools": TOOLS, "tool_choice": "any"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "h"}}},
    ],
    ids=str,
)
def test_options_without_a_place_are_left_to_litellm(options: dict[str, Any]) -> None:
    assert asked(options) is None


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "user", "content": [{"type": "text"}]},
        {"role": "user", "content": 3},
        {"role": "user"},
        {"role": "function", "content": "x"},
        {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]},
        {"role": "assistant", "content": "x", "audio": {"id": "a"}},
        pytest.param(object(), id="object"),
    ],
    ids=str,
)
def test_messages_without_a_place_are_left_to_litellm(message: Any) -> None:
    assert asked({}, [message]) is None


@pytest.mark.parametrize(
    ("base", "full"),
    [
        ("https://api.cohere.com", "https://api.cohere.com/v2/chat"),
        ("https://api.cohere.com/", "https://api.cohere.com/v2/chat"),
        ("http://127.0.0.1:1/v2/", "http://127.0.0.1:1/v2/chat"),
        ("http://127.0.0.1:1/x/v2/chat", "http://127.0.0.1:1/x/v2/chat"),
        ("https://gateway/cohere", "https://gateway/cohere"),
    ],
)
def test_an_address_is_completed_or_whole(base: str, full: str) -> None:
    assert translation.address(base) == full


# A stream says what the plain answer says.

_PRINTABLE: Final = st.characters(categories=("L", "M", "N", "P", "S"), include_characters=" ")
_WORD: Final = st.text(_PRINTABLE, min_size=1, max_size=6)
_WORDS: Final = st.lists(_WORD, max_size=4)


def events_of(plan: list[str], thoughts: list[str], words: list[str], calls: Any) -> list[Any]:
    def event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
        place = {} if index is None else {"index": index}
        return {"type": kind, **place, "delta": {"message": message}}

    made: list[Any] = [{"type": "message-start", "id": "i", "delta": {"message": {"content": []}}}]
    made += [event("tool-plan-delta", tool_plan=piece) for piece in plan]
    for name, pieces in (("thinking", thoughts), ("text", words)):
        made += [event("content-delta", 0, content={name: piece}) for piece in pieces]
    for place, pieces in enumerate(calls):
        head = {"id": f"c{place}", "type": "function", "function": {"name": "f", "arguments": ""}}
        made.append(event("tool-call-start", place, tool_calls=head))
        made += [
            event("tool-call-delta", place, tool_calls={"function": {"arguments": piece}})
            for piece in pieces
        ]
        made.append({"type": "tool-call-end", "index": place})
    made.append(event("citation-start", 0, citations={"start": 0, "end": 1, "sources": []}))
    usage = {"tokens": {"input_tokens": 3, "output_tokens": 4}}
    made.append({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}})
    return made


@given(_WORDS, _WORDS, _WORDS, st.lists(_WORDS, max_size=3))
def test_a_stream_says_what_the_plain_answer_says(plan, thoughts, words, calls) -> None:
    reader = translation.Reader(model="m", created=1)
    events = events_of(plan, thoughts, words, calls)
    assert [reader.odd(event) for event in events] == [""] * len(events)
    chunks = [made for event in events if (made := reader.chunk(event)) is not None]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]

    parts = [
        {"type": "thinking", "thinking": "".join(thoughts)},
        {"type": "text", "text": "".join(words)},
    ]
    called = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "".join(each)}}
        for n, each in enumerate(calls)
    ]
    message = {
        "content": parts, "tool_plan": "".join(plan), "tool_calls": called,
        "citations": [{"start": 0, "end": 1, "sources": []}],
    }  # fmt: skip
    usage = {"tokens": {"input_tokens": 3, "output_tokens": 4}}
    plain = translation.answer(
        {"message": message, "finish_reason": "COMPLETE", "usage": usage}, model="m"
    )
    (choice,) = choices_of(plain)
    whole = choice["message"]

    def joined(name: str) -> str:
        return "".join(delta.get(name, "") for delta in deltas)

    own = [
        delta["provider_specific_fields"] for delta in deltas if "provider_specific_fields" in delta
    ]
    assert joined("content") == (whole["content"] or "")
    assert joined("reasoning_content") == whole.get("reasoning_content", "")
    assert "".join(each.get("tool_plan", "") for each in own) == "".join(plan)
    assert [c for each in own for c in each.get("citations", ())] == message["citations"]
    spoken: dict[int, str] = {}
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            spoken[call["index"]] = spoken.get(call["index"], "") + call["function"]["arguments"]
    assert list(spoken.values()) == [call["function"]["arguments"] for call in whole["tool_calls"]]
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == plain["usage"]
    assert {chunk["id"] for chunk in chunks} == {"i"}


def read(body: bytes, size: int) -> tuple[str, bool]:
    """Return the text before the first event that can't be read, and whether there was one."""
    reader = translation.Reader(model="m", created=1)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    text = ""
    try:
        for event in [
            *(each for piece in pieces for each in reader.events.feed(piece)),
            *reader.events.finish(),
        ]:
            if event == b"[DONE]":
                break
            data = read_event(event)
            if reader.odd(data):
                return text, True
            chunk = reader.chunk(data)
            text += (chunk or {"choices": [{"delta": {}}]})["choices"][0]["delta"].get(
                "content", ""
            )
    except ProviderFault:
        return text, True
    return text, False


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("place", range(2, 2 + len(WORDS)))
def test_an_event_cut_anywhere_is_told(place: int, end: bytes, size: int) -> None:
    """Also within the name, or between it and the data: with them a word would be lost unseen."""
    events = stream_of(WORDS)
    for cut in range(1, len(events[place]) - 2):
        broken = [*events]
        broken[place] = events[place][:cut] + end
        text, told = read(b"".join(broken), size)
        assert told, broken[place]
        assert TEXT.startswith(text)


# Over a socket.


def body_of(finish: str = "COMPLETE", text: str = "hi", **message: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": text}] if text else []
    tokens = {"tokens": {"input_tokens": 3, "output_tokens": 4}}
    message = {"role": "assistant", "content": content, **message}
    return {"id": "i", "finish_reason": finish, "message": message, "usage": tokens}


def streamed(finish: str, *words: str) -> bytes:
    end = named("message-end", delta={"finish_reason": finish})
    return b"".join([*STREAMS["cohere"](words)[:-2], end, b"data: [DONE]\n\n"])


@contextmanager
def serving(
    say: Callable[[str, bytes], bytes], model: str = "cohere/command-a-03-2025"
) -> Iterator[Any]:
    with Loopback(say) as server:
        target = {
            "model": model,
            "api_base": server.url,
            "api_key": "k",
            "retry": {"max_retries": 0},
        }
        routes = {"r": {"targets": ["t"]}}
        with Pilotlight(
            parse({"targets": {"t": target}, "routes": routes}, "test"), registry=Registry()
        ) as app:
            yield server, app.route("r")


def complete(route: Route, colour: str, **options: Any) -> Any:
    if colour == "sync":
        return route.complete(CHAT, **options)
    return asyncio.run(route.acomplete(CHAT, **options))


@COLOURS
@pytest.mark.parametrize("model", ["cohere/command-a-03-2025", "cohere_chat/command-a-03-2025"])
def test_it_is_asked_over_our_own_connections(model: str, colour: str) -> None:
    with serving(lambda *_: said(body_of()), model) as (server, route):
        answer = complete(route, colour, temperature=0.5)
    ((path, body),) = server.asked
    assert (path, json.loads(body)) == (
        "/v2/chat",
        {"model": "command-a-03-2025", "messages": CHAT, "temperature": 0.5},
    )
    (attempt,) = answer.receipt.attempts
    assert (answer.text, attempt.prompt_tokens, attempt.completion_tokens) == ("hi", 3, 4)
    assert attempt.status == 200  # the wire's: without the tap there would be none
    assert answer.response.choices[0].message.content == "hi"


def test_an_answer_goes_back_as_it_came() -> None:
    """A tool's call and its result, the message as the library holds it."""
    first = body_of("TOOL_CALL", "", tool_calls=[CALL], tool_plan="I will.")
    with serving(lambda *_: said(first)) as (server, route):
        message = route.complete(CHAT, tools=TOOLS).response.choices[0].message
        result = {"role": "tool", "tool_call_id": "c", "content": "22"}
        route.complete([*CHAT, message, result], tools=TOOLS)
    sent = json.loads(server.asked[-1][1])["messages"]
    assert sent[1] == {"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will."}


def test_what_it_cites_is_not_taken_for_its_model() -> None:
    document = {"title": "t", "model": "gpt-4o", "url": "http://x"}
    source = {"type": "document", "id": "d", "document": document}
    citation = {"start": 0, "end": 2, "text": "hi", "sources": [source]}
    with serving(lambda *_: said(body_of(citations=[citation]))) as (_, route):
        answer = route.complete(CHAT)
    assert not answer.receipt.attempts[0].flags
    (note,) = answer.response.choices[0].message.annotations
    cited = {"start_index": 0, "end_index": 2, "title": "t", "url": "http://x"}
    assert note == {"type": "url_citation", "url_citation": cited}


@COLOURS
@pytest.mark.parametrize(
    ("finish", "fault"),
    [
        ("ERROR", Fault.MALFORMED_RESPONSE),
        ("TIMEOUT", Fault.MALFORMED_RESPONSE),
        ("ERROR_TOXIC", Fault.CONTENT_BLOCKED),
    ],
)
def test_a_generation_that_failed_is_no_answer(finish: str, fault: Fault, colour: str) -> None:
    with (
        receipts() as log,
        serving(lambda *_: said(body_of(finish))) as (_, route),
        pytest.raises(PilotlightError),
    ):
        complete(route, colour)
    assert log[0].attempts[0].fault == fault


@pytest.mark.parametrize("finish", ["ERROR", "TIMEOUT"])
def test_a_stream_whose_generation_failed_is_interrupted(finish: str) -> None:
    body = streamed(finish, "half ")
    with serving(lambda *_: reply(body, kind="text/event-stream")) as (_, route):
        with pytest.raises(StreamInterrupted) as told:
            list(route.stream(CHAT))
    assert told.value.partial_text == "half "


def test_a_stream_shows_its_tokens_only_to_who_asks() -> None:
    body = b"".join(stream_of(WORDS))
    with serving(lambda *_: reply(body, kind="text/event-stream")) as (server, route):
        stream = route.stream(CHAT)
        assert not [chunk for chunk in stream if chunk.get("usage")]
        assert stream.receipt.attempts[0].completion_tokens == 3
        wanted = route.stream(CHAT, stream_options={"include_usage": True})
        assert [chunk.usage.total_tokens for chunk in wanted if chunk.get("usage")] == [4]
    assert "stream_options" not in json.loads(server.asked[-1][1])


@pytest.mark.parametrize(
    ("path", "wire"), [("/v1/chat", "other"), ("/v2/chat", "cohere"), ("/any/path", "cohere")]
)
def test_its_older_api_is_not_held_to_the_end_of_the_newer(path: str, wire: str) -> None:
    tap = Tap("cohere", Timeouts())
    RequestMonitor(tap, path, streaming=True)
    assert tap.wire == wire
