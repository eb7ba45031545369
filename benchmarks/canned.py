"""A server of a few lines that answers from a tin, in a process of its own.

The chaos server reads, checks and counts; that is right for faults and too slow for
throughput.  This one knows five wires, OpenAI's chat completions and Responses, Anthropic's
messages, Gemini's generateContent and Ollama's `/api/chat`, whole and streamed, and answers
with the same bytes each time, every chunk of a stream in a packet of its own.  The first piece of
the path is the wait in milliseconds, the second the wait between two chunks:
`/50/0/v1/chat/completions`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHUNKS = 20
MODEL = "gpt-4o"
STREAMED = (b'"stream":true', b'"stream": true')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n"


def _openai_whole() -> bytes:
    message = {"role": "assistant", "content": "All is well here.", "refusal": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000, "model": MODEL}
    return _whole({**head, "choices": [choice], "usage": usage, "system_fingerprint": "fp_1"})


def _openai_chunks() -> list[bytes]:
    """CHUNKS events with content, after one with the role and before the end."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000}
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        *[({"content": "word "}, None)] * CHUNKS,
        ({}, "stop"),
    ]
    events = [
        {**head, "model": MODEL, "choices": [{"index": 0, "delta": d, "finish_reason": f}]}
        for d, f in deltas
    ]
    events[-1]["usage"] = {"prompt_tokens": 9, "completion_tokens": CHUNKS, "total_tokens": 29}
    return [b"data: %s\n\n" % json.dumps(event).encode() for event in events] + [
        b"data: [DONE]\n\n"
    ]


def _ollama(content: str, done: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    head = {"model": "m", "created_at": "2026-11-20T10:00:00.000000Z", "message": message}
    if not done:
        return {**head, "done": False}
    spent = {"total_duration": 9000, "load_duration": 9, "prompt_eval_duration": 9}
    counts = {"prompt_eval_count": 9, "eval_count": CHUNKS, "eval_duration": 900}
    return {**head, "done": True, "done_reason": "stop", **spent, **counts}


def _ollama_chunks() -> list[bytes]:
    lines = [_ollama("word ", done=False)] * CHUNKS + [_ollama("", done=True)]
    return [json.dumps(line).encode() + b"\n" for line in lines]


CLAUDE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "stop_sequence": None,
}  # fmt: skip


def _anthropic_whole() -> bytes:
    content = [{"type": "text", "text": "All is well here."}]
    usage = {"input_tokens": 9, "output_tokens": 5}
    return _whole({**CLAUDE, "content": content, "stop_reason": "end_turn", "usage": usage})


def _anthropic_chunks() -> list[bytes]:
    usage = {"input_tokens": 9, "output_tokens": 1}
    begun = {**CLAUDE, "content": [], "stop_reason": None, "usage": usage}
    delta = {"type": "text_delta", "text": "word "}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": delta}] * CHUNKS,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": CHUNKS},
        },
        {"type": "message_stop"},
    ]
    return [
        b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    ]


def _response(text: str, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    usage = {
        "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": CHUNKS,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 29,
    }  # fmt: skip
    return {
        "id": "resp_1", "object": "response", "created_at": 1764000000, "status": status,
        "model": MODEL, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "output": [{**item, "content": [part]}] if text else [],
        **({"usage": usage} if text else {}),
    }  # fmt: skip


def _responses_chunks() -> list[bytes]:
    whole = _response("word " * CHUNKS, "completed")
    item, begun = whole["output"][0], _response("", "in_progress")
    empty = {**item["content"][0], "text": ""}
    opened = {**item, "content": [], "status": "in_progress"}
    at: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", **at, "delta": "word ", "logprobs": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        {"type": "response.content_part.added", **at, "part": empty},
        *[delta] * CHUNKS,
        {"type": "response.output_text.done", **at, "text": "word " * CHUNKS, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [
        b"event: %s\ndata: %s\n\n"
        % (event["type"].encode(), json.dumps({**event, "sequence_number": number}).encode())
        for number, event in enumerate(events)
    ]


def _gemini(text: str, **more: Any) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": CHUNKS, "totalTokenCount": 29}
    head = {"modelVersion": "gemini-2.5-flash", "responseId": "r1"}
    return {
        "candidates": [{"content": content, "index": 0, **more}],
        "usageMetadata": usage,
        **head,
    }


def _gemini_chunks() -> list[bytes]:
    events = [_gemini("word ")] * (CHUNKS - 1) + [_gemini("word ", finishReason="STOP")]
    return [b"data: %s\r\n\r\n" % json.dumps(event).encode() for event in events]


def _whole(body: object) -> bytes:
    data = json.dumps(body).encode()
    return HEAD % (b"application/json", b"content-length: %d" % len(data)) + data


def _pieces(kind: bytes, chunks: list[bytes]) -> list[bytes]:
    """Return what is written to the socket, piece by piece; the head goes with the first."""
    head = HEAD % (kind, b"transfer-encoding: chunked")
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return [head + framed[0], *framed[1:-1], framed[-1] + b"0\r\n\r\n"]


WHOLE = {
    "openai": _openai_whole(),
    "responses": _whole(_response("All is well here.", "completed")),
    "anthropic": _anthropic_whole(),
    "gemini": _whole(_gemini("All is well here.", finishReason="STOP")),
    "ollama": _whole(_ollama("All is well here.", done=True)),
}
STREAMS = {
    "openai": _pieces(b"text/event-stream", _openai_chunks()),
    "responses": _pieces(b"text/event-stream", _responses_chunks()),
    "anthropic": _pieces(b"text/event-stream", _anthropic_chunks()),
    "gemini": _pieces(b"text/event-stream", _gemini_chunks()),
    "ollama": _pieces(b"application/x-ndjson", _ollama_chunks()),
}


def _wire_of(path: list[bytes]) -> str:
    if path[0] == b"api":
        return "ollama"
    if path[-1] in (b"messages", b"responses"):
        return "anthropic" if path[-1] == b"messages" else "responses"
    return "gemini" if b":" in path[-1] else "openai"


class Connection(asyncio.Protocol):
    """Reads one request after the other, and answers each in its turn."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""
        self._task: asyncio.Task[None] | None = None
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(body) >= length:
            self._data = body[length:]
            self._answer(head.split(b" ", 2)[1], body[:length])

    def _answer(self, path: bytes, body: bytes) -> None:
        wait, gap, *rest = path.strip(b"/").split(b"/")
        wire = _wire_of(rest)
        streamed = b":stream" in rest[-1] or any(words in body for words in STREAMED)
        pieces = STREAMS[wire] if streamed else [WHOLE[wire]]
        if wait == gap == b"0":
            for piece in pieces:
                self._transport.write(piece)
        else:
            told = self._told(pieces, int(wait) / 1000, int(gap) / 1000)
            self._task = asyncio.get_running_loop().create_task(told)

    async def _told(self, pieces: list[bytes], wait: float, gap: float) -> None:
        for piece in pieces:
            if wait:
                await asyncio.sleep(wait)
            self._transport.write(piece)
            wait = gap


@contextmanager
def canned() -> Iterator[str]:
    """Yield the address of such a server; add `/MILLISECONDS/GAP` to it."""
    command = [sys.executable, "-m", "benchmarks.canned"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
