"""The scanner tells content, the end and errors apart, wherever the bytes are cut.

A little long, because each dialect is cut at every byte.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.wire.events.scanner import (
    ERROR_LIMIT,
    LINE_LIMIT,
    WHOLE_LIMIT,
    BodyScanner,
    Scanner,
)
from pilotlight.wire.tap import Wire


def sse(*events: Any, end: str = "\n\n", spaced: bool = True) -> bytes:
    """Frame events as a server would; strings go out as they are."""
    gaps = (", ", ": ") if spaced else (",", ":")
    lines = (e if isinstance(e, str) else "data: " + json.dumps(e, separators=gaps) for e in events)
    return "".join(line + end for line in lines).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def named(kind: str, **fields: Any) -> str:
    """An Anthropic event with its name line."""
    return f"event: {kind}\ndata: " + json.dumps({"type": kind, **fields})


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


def line(message: dict[str, Any], *, done: bool = False, **more: Any) -> bytes:
    """An Ollama line, compact as Go writes it."""
    event = {"model": "m", "message": message, "done": done, **more}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


OPENAI = sse(
    ": OPENROUTER PROCESSING",
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "he"}),
    ": keep-alive",
    chunk({"content": "llo"}),
    chunk({}, "stop"),
    "data: [DONE]",
)
ANTHROPIC = sse(
    named("message_start", message={"content": [], "stop_reason": None}),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    named("ping"),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "he"}),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "llo"}),
    named("message_delta", delta={"stop_reason": "end_turn"}),
    named("message_stop"),
)
GEMINI = sse(
    candidate({"text": "he"}), candidate({"text": "llo"}, finishReason="STOP"), end="\r\n\r\n"
)
OLLAMA = (
    line({"role": "assistant", "content": "he"})
    + line({"role": "assistant", "content": "llo"})
    + line({"role": "assistant", "content": ""}, done=True, done_reason="stop")
)
STREAMS: dict[Wire, bytes] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}
ERRORS: dict[Wire, bytes] = {
    "openai": OPENAI[: OPENAI.index(b": keep")]
    + sse('data: {"error": {"message": "boom", "code": 500}}'),
    "anthropic": ANTHROPIC[: ANTHROPIC.index(b"event: message_delta")]
    + sse(named("error", error={"type": "overloaded_error"})),
    "gemini": sse(candidate({"text": "he"}), end="\r\n\r\n")
    + b'{\n  "error": {\n    "code": 503,\n    "message": "overloaded"\n  }\n}\n',
    "ollama": line({"content": "he"}) + b'{"error":"model runner has unexpectedly stopped"}\n',
}


def scanned(wire: Wire, *pieces: bytes, body: bool = False) -> tuple[int, bool, bytes]:
    scanner = BodyScanner(wire) if body else Scanner(wire)
    for piece in pieces:
        scanner.feed(piece)
    scanner.finish()
    return scanner.contents, scanner.terminal, scanner.error


@pytest.mark.parametrize("wire", STREAMS)
def test_a_whole_stream_has_two_contents_and_an_end(wire: Wire) -> None:
    """Comments, pings, role-only chunks and the end itself are no content."""
    assert scanned(wire, STREAMS[wire]) == (2, True, b"")


@pytest.mark.parametrize("wire", STREAMS)
@pytest.mark.parametrize("streams", [STREAMS, ERRORS], ids=["whole", "error"])
def test_every_single_cut_gives_the_same(wire: Wire, streams: dict[Wire, bytes]) -> None:
    """One cut at each byte boundary, and each byte for itself."""
    data = streams[wire]
    whole = scanned(wire, data)
    for cut in range(len(data) + 1):
        assert scanned(wire, data[:cut], data[cut:]) == whole
    assert scanned(wire, *(data[i : i + 1] for i in range(len(data)))) == whole


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 2000)), st.booleans())
def test_any_cuts_give_the_same(wire: Wire, cuts: list[int], error: bool) -> None:
    """Chunks of a socket have nothing to do with events."""
    data = (ERRORS if error else STREAMS)[wire]
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert scanned(wire, *pieces) == scanned(wire, data)


@pytest.mark.parametrize("wire", STREAMS)
def test_cut_short_there_is_no_end(wire: Wire) -> None:
    """A stream that lacks its last events was truncated, `[DONE]` or not."""
    data = STREAMS[wire]
    for cut in range(len(data) * 2 // 3):
        assert not scanned(wire, data[:cut])[1]
    if wire == "openai":
        assert not scanned(wire, sse(chunk({"content": "x"}), "data: [DONE]"))[1]


@given(st.sampled_from(sorted(STREAMS)), st.booleans(), st.text(max_size=20))
def test_text_that_looks_like_an_end_or_an_error_is_text(
    wire: Wire, spaced: bool, noise: str
) -> None:
    """Quotes in a JSON string are escaped, line ends too: text can never match."""
    text = (
        f'{noise}","done":true,"done": true}}\n\ndata: {{"error": {{}}}}\n{{"error":"x"}}\n'
        '"finish_reason":"stop" "finishReason":"STOP" "type":"message_stop" event: message_stop'
        '\nevent: error\n"error" "object":"error"'
    )
    events: dict[Wire, dict[str, Any]] = {
        "openai": chunk({"content": text}),
        "anthropic": {"type": "content_block_delta", "delta": {"text": text}},
        "gemini": candidate({"text": text}),
    }
    data = line({"content": text}) if wire == "ollama" else sse(events[wire], spaced=spaced)
    assert scanned(wire, data) == (1, False, b"")


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        ("openai", sse(chunk({}, "stop"), spaced=False)),
        ("openai", sse(chunk({}, "tool_calls"))),
        ("openai", b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
        ("anthropic", b"event: message_stop\ndata: {}\n\n"),
        ("anthropic", b'data: {"type": "message_stop"}\n\n'),
        ("gemini", b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\r\n\r\n'),
        ("ollama", b'{"done": true}'),  # the last line end may be missing
        ("ollama", b'{"response":"","done":true,"context":[1,2]}\n'),
    ],
)
def test_ends(wire: Wire, data: bytes) -> None:
    """Each form of the last word is known, with and without spaces."""
    assert scanned(wire, data) == (0, True, b"")


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        ("openai", sse(chunk({}, ""))),
        ("openai", sse("data: [DONE]")),
        ("gemini", sse(candidate(finishReason="FINISH_REASON_UNSPECIFIED"))),
        ("ollama", b'{"done":false}\n'),
        ("ollama", b'{"done":tr'),
        ("anthropic", sse(named("message_delta", delta={"stop_reason": "end_turn"}))),
    ],
)
def test_no_ends(wire: Wire, data: bytes) -> None:
    """What only resembles an end is none."""
    assert not scanned(wire, data)[1]


def test_tool_arguments_are_no_end() -> None:
    """Ollama and Gemini send arguments as objects, whose keys are the tool's own."""
    call = {"function": {"name": "f", "arguments": {"done": True}}}
    assert scanned("ollama", line({"content": "", "tool_calls": [call]})) == (1, False, b"")
    part = {"functionCall": {"name": "f", "args": {"finishReason": "STOP"}}}
    assert scanned("gemini", sse(candidate(part))) == (1, False, b"")


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        ("openai", sse(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}))),
        ("openai", sse(chunk({"content": None, "reasoning_content": "hm"}))),
        ("openai", sse(chunk({"content": "", "reasoning": "hm"}))),
        ("openai", sse(chunk({"content": [{"type": "thinking", "thinking": []}]}))),
        ("openai", sse({"choices": [{"text": "hi", "finish_reason": None}]})),
        ("openai", sse('data: {"type":"response.output_text.delta","delta":"x"}')),
        ("anthropic", sse(named("content_block_start", content_block={"type": "tool_use"}))),
        ("gemini", sse(candidate({"thought": True, "text": "hm"}))),
        ("gemini", sse(candidate({"functionCall": {"name": "f", "args": {}}}))),
        ("ollama", line({"role": "assistant", "content": "", "thinking": "hm"})),
        ("ollama", b'{"model":"m","response":"x","done":false}\n'),
        ("other", b"data: anything\n\n"),
        ("other", b"anything\n"),
    ],
)
def test_kinds_of_content(wire: Wire, data: bytes) -> None:
    """Tool calls and reasoning show that a model is at work as text does."""
    assert scanned(wire, data)[0] == 1


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        ("openai", sse(chunk({"role": "assistant", "content": None, "tool_calls": []}))),
        ("openai", sse({"choices": [], "prompt_filter_results": [{"x": 1}]})),
        ("openai", sse(": x", "event: ping", "id: 1", "retry: 5", "\r")),
        ("openai", b"<html>captive portal</html>\n"),
        ("anthropic", sse(named("ping"), named("content_block_stop", index=0))),
        ("gemini", sse({"usageMetadata": {"totalTokenCount": 1}})),
        ("ollama", line({"role": "assistant", "content": ""})),
        ("other", b": comment\n\n"),
    ],
)
def test_no_content(wire: Wire, data: bytes) -> None:
    """Signs of life without an answer in them."""
    assert scanned(wire, data) == (0, False, b"")


@pytest.mark.parametrize("wire", ERRORS)
def test_errors_in_a_stream_are_kept(wire: Wire) -> None:
    """The error event is kept as it was sent, and is no end."""
    _, terminal, error = scanned(wire, ERRORS[wire])
    assert not terminal
    assert b"error" in error
    if wire == "gemini":  # bare JSON over several lines
        assert b"overloaded" in error
    else:
        assert json.loads(error)["error"]


@pytest.mark.parametrize(
    "event",
    [
        '{"object": "error", "message": "vllm says no", "code": 400}',
        '{"id": "x", "choices": [{"finish_reason": null}], "error": {"code": 502}}',
    ],
)
def test_errors_of_compatible_servers(event: str) -> None:
    """vLLM marks the object; OpenRouter adds the error to a chunk."""
    assert scanned("openai", sse("data: " + event))[2] == event.encode()


def test_an_error_that_is_null_is_none() -> None:
    """Some servers send the field in every chunk."""
    assert scanned("openai", sse(chunk({"content": "x"}, error=None))) == (1, False, b"")


def test_a_named_error_event_need_not_be_json() -> None:
    """Gateways write what they like."""
    assert scanned("openai", sse("event: error\ndata: upstream gone"))[2] == b"upstream gone"


def test_only_the_head_of_an_error_is_kept() -> None:
    """A stack trace of megabytes is not for a record."""
    data = sse({"error": {"message": "x" * 10_000}})
    assert len(scanned("openai", data)[2]) == ERROR_LIMIT


def test_a_line_without_end_takes_no_memory() -> None:
    """An image in one event is searched in pieces and then forgotten."""
    scanner = Scanner("gemini")
    scanner.feed(b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"data":"')
    for _ in range(20):
        scanner.feed(b"A" * (LINE_LIMIT // 4))
        assert len(scanner._carry) <= LINE_LIMIT + 100
    scanner.feed(b'"}}]},"finishReason":"STOP"}]}\r\n\r\n')
    assert scanner.contents > 0
    assert scanner.terminal


BODIES: dict[Wire, dict[str, Any]] = {
    "openai": {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
    "anthropic": {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"},
    "gemini": candidate({"text": "hi"}, finishReason="STOP"),
    "ollama": {"message": {"content": "hi"}, "done": True, "done_reason": "stop"},
}


@pytest.mark.parametrize("wire", BODIES)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [0, WHOLE_LIMIT * 2], ids=["small", "large"])
def test_a_plain_body_ends_with_its_mark(wire: Wire, indent: int | None, size: int) -> None:
    """Wherever it is cut, and whether or not it is kept as a whole."""
    data = json.dumps({"padding": "x" * size, **BODIES[wire]}, indent=indent).encode()
    step = 997 if size else 1
    for cut in range(max(0, len(data) - 300), len(data), 1):
        assert scanned(wire, data[:cut], data[cut:], body=True) == (0, True, b"")
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert scanned(wire, *pieces, body=True) == (0, True, b"")


def test_a_plain_body_that_says_it_is_not_done() -> None:
    """Ollama answers 200 with `done: false` when its runner went away."""
    data = b'{"message":{"tool_calls":[{"arguments":{"done":true}}]},"done":false}'
    assert scanned("ollama", data, body=True) == (0, False, b"")
