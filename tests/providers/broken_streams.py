"""Streams of every wire with one event that breaks, cut anywhere, and a server that sends them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Final

from hypothesis import strategies as st

WORDS: Final = ("One ", 'two "2", ', "thr\u00e9e ", "\U0001f600 \u2028\u0085\n", "five ", "six.")
TEXT: Final = "".join(WORDS)
SPARE: Final = "of the spare"
ODD: Final = (3, "x", True, {"a": 1}, [1])
NO_EVENTS: Final = (
    b"<html><h1>502 Bad Gateway</h1></html>",
    b"oops",
    b"42",
    b"null",
    b"[]",
    b"[1]",
)

ERROR: Final = b'{"error": {"message": "boom", "type": "server_error"}}'
NO_CHUNKS: Final = {
    "openai": (
        b'{"choices": null}',
        b'{"choices": "x"}',
        b'{"choices": [3]}',
        b'{"choices": [{"index": 0, "delta": null}]}',
    ),
    "responses": (b'{"type": "response.output_text.delta", "delta": null}',),
    "anthropic": (b'{"type": "content_block_delta", "index": 0, "delta": null}',),
    "gemini": (b'{"candidates": [{"content": {"parts": ["x"]}}]}', b'{"candidates": null}'),
    "cohere": (
        b'{"type": "content-delta", "index": 0, "delta": null}',
        b'{"type": "content-delta", "delta": {"message": {"content": []}}}',
        b'{"type": "tool-call-delta", "delta": {"message": {"tool_calls": "x"}}}',
        b'{"message": "boom"}',
    ),
    "ollama": (b'{"message": [], "done": false}', b'{"message": null}'),
}


def dumped(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def sse(event: Any, end: bytes = b"\n\n") -> bytes:
    return b"data: " + dumped(event) + end


def named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + sse({"type": kind, **fields})


def openai(words: tuple[str, ...]) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse(
            {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
        )

    said = [chunk({"content": word}) for word in words]
    first, last = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")
    return [first, *said, last, b"data: [DONE]\n\n"]


def anthropic(words: tuple[str, ...]) -> list[bytes]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    delta = [
        named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        for word in words
    ]
    return [
        named("message_start", message=message),
        named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        named("ping"),
        *delta,
        named("content_block_stop", index=0),
        named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
        named("message_stop"),
    ]


def gemini(words: tuple[str, ...]) -> list[bytes]:
    def event(word: str, **more: Any) -> bytes:
        content = {"parts": [{"text": word}], "role": "model"}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 3, "totalTokenCount": 4}
        said = {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage}
        return sse(said, b"\r\n\r\n")

    return [*(event(word) for word in words[:-1]), event(words[-1], finishReason="STOP")]


def cohere(words: tuple[str, ...]) -> list[bytes]:
    def part(kind: str, **content: Any) -> bytes:
        return named(kind, index=0, delta={"message": {"content": content}})

    usage = {
        "billed_units": {"output_tokens": 3},
        "tokens": {"input_tokens": 1, "output_tokens": 3},
    }
    empty: dict[str, Any] = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    return [
        named("message-start", id="c", delta={"message": {"role": "assistant", **empty}}),
        part("content-start", type="text", text=""),
        *(part("content-delta", text=word) for word in words),
        named("content-end", index=0),
        named("message-end", delta={"finish_reason": "COMPLETE", "usage": usage}),
        b"data: [DONE]\n\n",
    ]


def ollama(words: tuple[str, ...]) -> list[bytes]:
    def line(word: str, **more: Any) -> bytes:
        message = {"role": "assistant", "content": word}
        return dumped({"model": "m", "message": message, "done": False, **more}) + b"\n"

    return [*(line(word) for word in words), line("", done=True, done_reason="stop")]


def responses(words: tuple[str, ...]) -> list[bytes]:
    base = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": []}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    text = "".join(words)
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant"}
    whole = {**item, "status": "completed", "content": [part]}
    return [
        named("response.created", response={**base, **more, "status": "in_progress"}),
        named(
            "response.output_item.added",
            output_index=0,
            item={**item, "status": "in_progress", "content": []},
        ),
        *(named("response.output_text.delta", **place, delta=word, logprobs=[]) for word in words),
        named("response.output_text.done", **place, text=text, logprobs=[]),
        named("response.output_item.done", output_index=0, item=whole),
        named(
            "response.completed",
            response={**base, **more, "status": "completed", "output": [whole]},
        ),
    ]


STREAMS: Final = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "cohere": cohere,
    "ollama": ollama,
    "responses": responses,
}


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an event that holds something."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, found in inner:
        if found is not None:
            yield (*here, key)
        yield from paths(found, (*here, key))


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return copy


@st.composite
def broken_events(draw: st.DrawFn, event: bytes) -> bytes:
    """What may stand in the place of an event."""
    kind = draw(st.sampled_from(["cut", "no event", "odd", "bytes", "error"]))
    frame, brace, _ = event.partition(b"{")
    said = event[len(frame) :].rstrip()
    end = event[len(frame) + len(said) :]
    if kind == "cut" or not brace:
        return event[: draw(st.integers(1, len(event) - 2))] + draw(st.sampled_from([b"", end]))
    if kind == "no event":
        return draw(st.sampled_from([frame, b"data: "])) + draw(st.sampled_from(NO_EVENTS)) + end
    if kind == "odd":
        data = json.loads(said)
        path = draw(st.sampled_from(list(paths(data))))
        old = data
        for key in path:
            old = old[key]
        odd = draw(st.sampled_from([each for each in ODD if type(each) is not type(old)]))
        return frame + dumped(put(data, path, odd)) + end
    if kind == "bytes":
        at = draw(st.integers(1, len(said) - 1))
        wrong = draw(st.sampled_from([b"\xff\xfe", b"\r", b"\0", b"\n", b"\xed\xa0\x80", b"\x0b"]))
        return frame + said[:at] + wrong + said[at:] + end
    return frame + ERROR + end


@dataclass(frozen=True)
class Sent:
    """A body with a broken event, in the pieces that it is sent in."""

    wire: str
    pieces: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


@st.composite
def broken_streams(draw: st.DrawFn, wire: str) -> Sent:
    """A stream in which one event is broken, or another stands that says nothing."""
    events = STREAMS[wire](WORDS)
    at = draw(st.integers(0, len(events) - 1))
    if draw(st.booleans()):
        events[at] = draw(broken_events(events[at]))
    else:
        end = b"\n" if wire == "ollama" else b"\n\n"
        frame = b"" if wire == "ollama" else b"data: "
        nothing = st.sampled_from((*NO_EVENTS, *NO_CHUNKS[wire], ERROR))
        events.insert(at, frame + draw(nothing) + end)
    body = b"".join(events)
    cuts = draw(st.just([]) | st.lists(st.integers(1, len(body)), max_size=5))
    return Sent(wire, tuple(body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)]) if a < b))


class Server:
    """Answers every request: one path with what it is told to send, the other with the spare."""

    def __init__(self) -> None:
        self.sent = Sent("openai", (b"",))
        self.refuses = ""  # a word in a request that is answered with 400
        self.requests: list[dict[str, Any]] = []
        self.hold: threading.Event | None = None  # what has to happen before a body ends
        self.waited: list[bool] = []  # whether it did, within the time that anybody would wait
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self._peers.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer, closing(peer.makefile("rb")) as lines:
            while head := b"".join(takewhile(b"\r\n".__ne__, iter(lines.readline, b""))):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.requests.append(json.loads(lines.read(length)))
                if self.refuses and self.refuses in self.requests[-1]:
                    told = b'{"error": {"message": "unknown field"}}'
                    start = b"HTTP/1.1 400 X\r\ncontent-length: %d\r\n\r\n" % len(told)
                    peer.sendall(start + told)
                    continue
                spare = b"/spare/" in head.split(b"\r\n")[0]
                sent = Sent("openai", tuple(openai((SPARE,)))) if spare else self.sent
                kind = b"application/x-ndjson" if sent.wire == "ollama" else b"text/event-stream"
                start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: " + kind
                chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in sent.pieces]
                peer.sendall(start + b"\r\n\r\n" + b"".join(chunks))
                if self.hold is not None and not spare:
                    self.waited.append(self.hold.wait(30))
                peer.sendall(b"0\r\n\r\n")

    def close(self) -> None:
        for each in (self._listener, *self._peers):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
