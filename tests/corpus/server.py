"""Plays the fault corpus back over loopback sockets, byte by byte.

At socket level, for every HTTP framework repairs the very things that are to be
broken: chunking, resets, content lengths.  An unknown format, ending or transport
is refused rather than served as something harmless.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from pilotlight_chaos.background import stop_accepting

Json = dict[str, Any]
ENDS = {"clean", "clean_noend", "eof", "cut", "reset", "stall", "keepalive"}
TRANSPORTS = {None, "refused", "dns", "tls", "hang", "delay"}
REASONS = {520: "Unknown", 529: "Site Overloaded"}


def openai_events(texts: list[str], finish: str | None, model: str) -> list[str]:
    def event(delta: Json, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": text}) for text in texts]
    return events + ([event({}, finish), "data: [DONE]\n\n"] if finish else [])


def anthropic_events(texts: list[str], finish: str | None, model: str) -> list[str]:
    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    events = [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block=block),
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        events.append(event("content_block_delta", index=0, delta=delta))
    if finish:
        end = {"stop_reason": finish, "stop_sequence": None}
        events.append(event("content_block_stop", index=0))
        events.append(event("message_delta", delta=end, usage={"output_tokens": 4}))
        events.append(event("message_stop"))
    return events


def gemini_events(texts: list[str], finish: str | None, model: str) -> list[str]:
    def event(text: str, reason: str | None = None) -> str:
        candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        usage = {"promptTokenCount": 9, "totalTokenCount": 11}
        body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}
        return f"data: {json.dumps(body)}\r\n\r\n"

    return [event(text) for text in texts] + ([event("", finish)] if finish else [])


def ollama_events(texts: list[str], finish: str | None, chat: bool) -> list[str]:
    def line(text: str, done: bool = False) -> str:
        said = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
        body = {"model": "llama3.2", "created_at": "2026-11-22T08:00:00Z", "done": done, **said}
        if done:
            body |= {"done_reason": finish, "prompt_eval_count": 9, "eval_count": 2}
        return json.dumps(body) + "\n"

    return [line(text) for text in texts] + ([line("", done=True)] if finish else [])


def events_of(stream: Json, path: str, model: str) -> list[str]:
    if "raw" in stream:
        return list(stream["raw"])
    texts, finish, then = stream["texts"], stream.get("finish"), stream.get("then", [])
    if stream["format"] == "ollama":
        return ollama_events(texts, finish, path.endswith("/api/chat")) + then
    dialects = {"openai": openai_events, "anthropic": anthropic_events, "gemini": gemini_events}
    return dialects[stream["format"]](texts, finish, model) + then


class CorpusServer:
    """Serves `/f/<id>/<run>/...`; `requests[run]` counts who asked."""

    def __init__(self, corpus: list[Json], tls: ssl.SSLContext | None = None) -> None:
        for entry in corpus:
            end = (entry.get("stream") or {}).get("end", "clean")
            kind = (entry.get("transport") or {}).get("kind")
            assert end in ENDS and kind in TRANSPORTS, f"{entry['id']}: {end}, {kind}"
        self.corpus = {entry["id"]: entry for entry in corpus}
        self.requests: Counter[str] = Counter()
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> CorpusServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    def base(self, entry: Json, run: str) -> str:
        kind = (entry.get("transport") or {}).get("kind")
        if kind == "refused":
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                return f"http://127.0.0.1:{closed.getsockname()[1]}"
        if kind == "dns":
            return "http://no-such-host.invalid"
        if kind == "tls":
            return f"https://localhost:{self.tls_port}/f/{entry['id']}/{run}"
        return f"http://127.0.0.1:{self.port}/f/{entry['id']}/{run}"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        plain = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**22)
        secure = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls)
        self.port = plain.sockets[0].getsockname()[1]
        self.tls_port = secure.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        await stop_accepting(plain)
        await stop_accepting(secure)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(*await self._read(reader), reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return unquote(first.split(" ")[1]), body

    async def _answer(
        self, target: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        path = target.partition("?")[0]
        _, _, name, run, *_ = path.split("/")
        entry = self.corpus[name]
        if path.endswith("/api/show"):  # asked beside the call, and not the call
            show = {"capabilities": ["completion"], "model_info": {}, "details": {}}
            return await _whole(writer, 200, {}, json.dumps(show).encode())
        self.requests[run] += 1
        kind = (entry.get("transport") or {}).get("kind")
        if kind == "hang":
            await reader.read()  # until the client leaves
            return False
        if kind == "delay":
            await asyncio.sleep(entry["transport"]["seconds"])
        streamed = b'"stream":true' in body.replace(b" ", b"") or "streamGenerate" in target
        if entry["status"] == 200 and entry.get("stream") and streamed:
            await _stream(entry, path, reader, writer)
            return False
        said = entry.get("body")
        data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        return await _whole(writer, entry["status"], entry["headers"], data)


async def _whole(writer: asyncio.StreamWriter, status: int, headers: Json, data: bytes) -> bool:
    writer.write(_head(status, {**headers, "content-length": len(data)}) + data)
    await writer.drain()
    return True


def _head(status: int, headers: Json) -> bytes:
    reason = REASONS.get(status) or HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def _stream(
    entry: Json, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    lines = entry["provider"].startswith("ollama")
    kind = "application/x-ndjson" if lines else "text/event-stream; charset=utf-8"
    framing = {"content-type": kind, "transfer-encoding": "chunked"}
    writer.write(_head(200, {**entry["headers"], **framing}))
    for event in events_of(entry["stream"], path, entry["model"].partition("/")[2]):
        data = event.encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(0)
    end = entry["stream"].get("end", "clean")
    if end in ("clean", "clean_noend", "eof"):
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    elif end == "reset":
        await asyncio.sleep(0.05)  # let the events out before the RST overtakes them
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif end == "stall":
        await reader.read()
    elif end == "keepalive":
        while not reader.at_eof():
            writer.write(b"e\r\n: keep-alive\n\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
