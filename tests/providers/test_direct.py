"""Straight to an OpenAI-style server: what is sent, what is read, and when litellm takes over."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import types
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import takewhile
from typing import Any

import httpx
import pytest

from pilotlight import AllTargetsFailed, Fault, StreamInterrupted
from pilotlight.app import Pilotlight
from pilotlight.catalog import models as model_table
from pilotlight.config.schema import parse
from pilotlight.providers import own_errors
from pilotlight.providers.litellm.provider import LiteLLMProvider
from pilotlight.providers.native.provider import NativeProvider
from pilotlight.registry import Registry
from pilotlight.routes.route import Route

ASK = [{"role": "user", "content": "hi"}]
SAID = {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}
JSON = "application/json"
SSE = "text/event-stream"


class Server:
    """Answers each request with the next bytes of a script; keeps requests and connections."""

    def __init__(self) -> None:
        self.script: list[bytes | Callable[[socket.socket], None]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, closing(peer.makefile("rb")) as lines:
            while head := b"".join(takewhile(b"\r\n".__ne__, iter(lines.readline, b""))):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.requests.append(head + b"\r\n" + lines.read(length))
                line = self.script.pop(0)
                if callable(line):
                    line(peer)
                    return
                peer.sendall(line)

    def close(self) -> None:
        """Wake whoever waits, so that no thread is left behind."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def reply(body: bytes, status: int = 200, kind: str = JSON, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}"
    return head.encode() + b"\r\n" + body


def said(data: Any, status: int = 200, more: str = "") -> bytes:
    return reply(json.dumps(data).encode(), status, more=more)


def events(*data: Any) -> bytes:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in data]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def delta(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": {**content, **more}, "finish_reason": finish}]}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def apps() -> Iterator[list[Pilotlight]]:
    made: list[Pilotlight] = []
    yield made
    for app in made:
        app.close()


@pytest.fixture
def route(server: Server, apps: list[Pilotlight]) -> Route:
    return route_to(server, apps)


def route_to(server: Server, apps: list[Pilotlight], **more: Any) -> Route:
    target = {"model": "openai/my-model", "api_base": server.base, "api_key": "sk-1", **more}
    target["retry"] = {"max_retries": 0}
    given = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
    apps.append(Pilotlight(parse(given, "test"), registry=Registry()))
    return apps[-1].route("r")


def read(route: Route, colour: str) -> tuple[str, list[Any]]:
    """Return the text and the chunks of a stream."""
    if colour == "sync":
        stream: Any = route.stream(ASK)
        chunks = list(stream)
    else:
        stream = route.astream(ASK)

        async def run() -> list[Any]:
            return [chunk async for chunk in stream]

        chunks = asyncio.run(run())
    return stream.text, chunks


def ask(route: Route, colour: str) -> Any:
    return route.complete(ASK) if colour == "sync" else asyncio.run(route.acomplete(ASK))


COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])


@COLOURS
def test_one_request_and_nothing_in_it_that_nobody_asked_for(
    server: Server, route: Route, colour: str
) -> None:
    server.script = [said(SAID)]
    assert ask(route, colour).text == "hello"
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert json.loads(body) == {"model": "my-model", "messages": ASK}
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
    assert names == {
        b"host", b"accept", b"accept-encoding", b"connection", b"content-type", b"user-agent",
        b"authorization", b"content-length",
    }  # fmt: skip


def test_neither_litellm_nor_an_sdk_is_imported(server: Server) -> None:
    server.script = [said(SAID), reply(events(delta("x"), delta(None, "stop"), "[DONE]"), kind=SSE)]
    server.script += [said({"error": {"message": "no", "type": "invalid_request_error"}}, 400)]
    code = f"""
import sys, pilotlight
target = {{"model": "openai/gpt-4o", "api_base": {server.base!r}, "api_key": "k"}}
route = pilotlight.load({{"targets": {{"t": target}}, "routes": {{"r": {{"targets": ["t"]}}}}}}).route("r")
ask = [{{"role": "user", "content": "hi"}}]
print(route.complete(ask).text, len(list(route.stream(ask))))
try:
    route.complete(ask)
except Exception as error:
    print(type(error).__module__, type(error).__name__, error.response.status_code)
print(sorted({{"litellm", "openai", "ollama"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == "hello 2 httpx HTTPStatusError 400 []".split(), ran.stderr


# Who is asked.


def test_the_configuration_can_turn_it_off(server: Server, apps: list[Pilotlight]) -> None:
    assert isinstance(route_to(server, apps).targets[0].provider, NativeProvider)
    assert isinstance(route_to(server, apps, via="litellm").targets[0].provider, LiteLLMProvider)


@pytest.mark.parametrize(
    "hook", ["callbacks", "success_callback", "_async_success_callback", "cache", "headers"]
)
def test_what_a_program_has_told_litellm_to_do_is_done(
    server: Server, route: Route, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_table.table()  # it is found beside the real one
    module = types.ModuleType("litellm")
    setattr(module, hook, [])
    module.input_callback = ["cache"]  # type: ignore[attr-defined] # litellm's own, after a Gemini call
    monkeypatch.setitem(sys.modules, "litellm", module)
    provider: Any = route.targets[0].provider
    called: list[str] = []
    monkeypatch.setattr(
        provider._litellm, "complete", lambda call, attempt: called.append("litellm") or 1 / 0
    )
    server.script = [said(SAID)]
    assert route.complete(ASK).text == "hello"
    assert called == []
    setattr(module, hook, ["something"])
    with pytest.raises(ZeroDivisionError):
        route.complete(ASK)
    assert called == ["litellm"]


@COLOURS
def test_a_call_that_tells_litellm_how_to_carry_it_goes_through_litellm(
    server: Server, route: Route, colour: str
) -> None:
    server.script = [said({"model": "m", "created": 1, **SAID})]
    options = {"drop_params": False, "extra_body": {"k": 1}}
    if colour == "sync":
        answer = route.complete(ASK, **options)
    else:
        answer = asyncio.run(route.acomplete(ASK, **options))
    assert answer.text == "hello"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"x-stainless-" in head.lower()
    assert json.loads(body)["k"] == 1


def test_a_key_that_is_missing_is_said_before_anything_is_sent(
    server: Server, apps: list[Pilotlight]
) -> None:
    given = {"targets": {"t": {"model": "groq/x"}}, "routes": {"r": {"targets": ["t"]}}}
    apps.append(Pilotlight(parse(given, "test"), registry=Registry()))
    route = apps[-1].route("r")
    for asked in (lambda: route.complete(ASK), lambda: list(route.stream(ASK))):
        with pytest.raises(AllTargetsFailed) as raised:
            asked()
        assert "GROQ_API_KEY" in str(raised.value.receipt.attempts[0].evidence)  # type: ignore[union-attr]
        apps[-1].target("t").health.breaker.close()


# What comes back.


@COLOURS
def test_a_stream_is_handed_on_as_it_was_sent(server: Server, route: Route, colour: str) -> None:
    sent = [delta("", role="assistant"), delta("hel"), delta("lo"), delta(None, "stop")]
    server.script = [reply(events(*sent, "[DONE]"), kind=SSE)]
    text, chunks = read(route, colour)
    assert text == "hello"
    assert [chunk.model_dump()["choices"] for chunk in chunks] == [e["choices"] for e in sent]


@COLOURS
def test_a_stream_read_to_its_last_word_leaves_its_connection(
    server: Server, route: Route, colour: str
) -> None:
    whole = reply(events(delta("x"), delta(None, "stop"), "[DONE]"), kind=SSE)
    server.script = [whole] * 3
    if colour == "sync":
        for _ in range(3):
            list(route.stream(ASK))
    else:

        async def run() -> None:
            for _ in range(3):
                async for _chunk in route.astream(ASK):
                    pass

        asyncio.run(run())
    assert server.connections == 1


@COLOURS
def test_an_end_that_http_does_not_confirm_does_not_keep_the_reader(
    server: Server, route: Route, colour: str
) -> None:
    """After `[DONE]` the server says nothing more, and does not hang up either."""
    held = threading.Event()

    def silent(peer: socket.socket) -> None:
        body = events(delta("x"), delta(None, "stop"), "[DONE]")
        head = f"HTTP/1.1 200 X\r\ncontent-type: {SSE}\r\ncontent-length: {len(body) + 1}\r\n\r\n"
        peer.sendall(head.encode() + body)
        held.wait(20)

    server.script = [silent]
    try:
        text, _ = read(route, colour)
    finally:
        held.set()
    assert text == "x"


@COLOURS
def test_text_before_an_error_in_the_stream_is_not_lost(
    server: Server, route: Route, colour: str
) -> None:
    """All of it comes in one piece, and is told apart all the same."""
    error = {"error": {"message": "overloaded", "type": "server_error", "code": "503"}}
    server.script = [reply(events(delta("hel"), delta("lo"), error), kind=SSE)]
    with pytest.raises(StreamInterrupted) as raised:
        read(route, colour)
    assert raised.value.partial_text == "hello"
    assert raised.value.fault == Fault.STREAM_INTERRUPTED


@COLOURS
@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (events(delta("x"), "{nonsense"), Fault.STREAM_INTERRUPTED),
        (events(delta("x"), "[1]"), Fault.STREAM_INTERRUPTED),
        (events(delta("x")), Fault.STREAM_TRUNCATED),
    ],
)
def test_a_broken_stream_is_told(
    server: Server, route: Route, colour: str, sent: bytes, fault: Fault
) -> None:
    server.script = [reply(sent, kind=SSE)]
    with pytest.raises(StreamInterrupted) as raised:
        read(route, colour)
    assert (raised.value.partial_text, raised.value.fault) == ("x", fault)


@COLOURS
@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (said({"choices": []}), Fault.EMPTY_RESPONSE),
        (said({"choices": ["x"]}), Fault.MALFORMED_RESPONSE),
        (said({"choices": [{"message": {"content": " "}}]}), Fault.EMPTY_RESPONSE),
        (said({"error": {"message": "busy"}}), Fault.MALFORMED_RESPONSE),
        (said([1, 2]), Fault.MALFORMED_RESPONSE),
        (reply(b"<html>sign in</html>", kind="text/html"), Fault.MALFORMED_RESPONSE),
        (reply(b'{"choices": [{"mess'), Fault.MALFORMED_RESPONSE),
        (reply(b""), Fault.EMPTY_RESPONSE),
    ],
)
def test_what_is_no_answer_is_told(
    server: Server, route: Route, colour: str, sent: bytes, fault: Fault
) -> None:
    server.script = [sent]
    with pytest.raises(AllTargetsFailed) as raised:
        ask(route, colour)
    assert raised.value.receipt is not None
    assert [each.fault for each in raised.value.receipt.attempts] == [fault]


@COLOURS
def test_a_body_is_unpacked_although_nobody_asked_for_packing(
    server: Server, route: Route, colour: str
) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(json.dumps(SAID).encode()) + packer.flush()
    server.script = [reply(packed, more="content-encoding: gzip\r\n")]
    assert ask(route, colour).text == "hello"
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(events(delta("hello"), delta(None, "stop"), "[DONE]")) + packer.flush()
    server.script = [reply(packed, kind=SSE, more="content-encoding: gzip\r\n")]
    assert read(route, colour)[0] == "hello"


def test_content_in_parts_becomes_one_text(server: Server, route: Route) -> None:
    """As Mistral's reasoning models send it."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "hel"},
        {"type": "text", "text": "lo"},
    ]
    server.script = [said({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]})]
    answer = route.complete(ASK)
    assert answer.text == "hello"
    sent = {"choices": [{"delta": {"content": parts}, "finish_reason": None}]}
    server.script = [reply(events(sent, delta(None, "stop"), "[DONE]"), kind=SSE)]
    text, chunks = read(route, "sync")
    assert (text, chunks[0].choices[0].delta.reasoning_content) == ("hello", "Hm.")


def test_a_stream_left_half_way_gives_its_connection_up(server: Server, route: Route) -> None:
    held = threading.Event()

    def slowly(peer: socket.socket) -> None:
        head = f"HTTP/1.1 200 X\r\ncontent-type: {SSE}\r\ncontent-length: 9999\r\n\r\n"
        peer.sendall(head.encode() + events(delta("x")))
        held.set() if peer.recv(1) == b"" else None

    server.script = [slowly]
    with route.stream(ASK) as stream:
        next(stream)
    assert held.wait(10), "the server was not hung up on"
    pool = route.targets[0].provider.connection.pool  # type: ignore[attr-defined]
    assert pool.connections().connections == []


# A refusal is the exception that the program knows.


BAD = {"error": {"message": "no such tool", "type": "invalid_request_error", "code": "bad"}}


def refused(route: Route) -> Exception:
    try:
        route.complete(ASK)
    except Exception as error:
        return error
    raise AssertionError("it was not refused")


def test_with_litellm_imported_it_is_litellms(server: Server, route: Route) -> None:
    import litellm

    server.script = [said(BAD, 400)]
    error = refused(route)
    assert isinstance(error, litellm.BadRequestError)
    assert error.status_code == 400
    assert "no such tool" in str(error)


def test_with_the_sdk_alone_it_is_the_sdks(
    server: Server, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    monkeypatch.setattr(own_errors, "litellm_loaded", lambda: False)
    server.script = [said(BAD, 400)]
    error = refused(route)
    assert isinstance(error, openai.BadRequestError)
    assert error.code == "bad"


def test_with_neither_it_is_httpxs(
    server: Server, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_errors, "litellm_loaded", lambda: False)
    monkeypatch.delitem(sys.modules, "openai", raising=False)
    server.script = [said(BAD, 400)]
    error = refused(route)
    assert isinstance(error, httpx.HTTPStatusError)
    assert error.response.json() == BAD
    assert "no such tool" not in str(error)


def test_an_sdk_of_another_age_is_done_without(
    server: Server, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_errors, "litellm_loaded", lambda: False)
    monkeypatch.setitem(sys.modules, "openai", types.ModuleType("openai"))
    server.script = [said(BAD, 400)]
    assert isinstance(refused(route), httpx.HTTPStatusError)
