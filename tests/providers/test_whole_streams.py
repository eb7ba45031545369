"""What real providers send is told rightly: ends without a reason, other content, tokens, silence."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from broken_streams import SPARE, STREAMS, TEXT, WORDS, Sent, Server, named, sse

from pilotlight import Fault, StreamInterrupted, failover, receipts
from pilotlight.app import Pilotlight
from pilotlight.config.schema import parse
from pilotlight.errors import ProviderFault
from pilotlight.providers.ollama.http import NdjsonDecoder
from pilotlight.registry import Registry
from pilotlight.routes.route import Route
from pilotlight.vocabulary.receipt import Receipt
from pilotlight.wire.events import checked_scanner
from pilotlight.wire.events import scanner as scanning
from pilotlight.wire.events import server_sent as server_sent_events
from pilotlight.wire.events.checked_scanner import CheckedScanner
from pilotlight.wire.events.scanner import Scanner
from pilotlight.wire.events.server_sent import EventDecoder, LineKeeper

ASK = [{"role": "user", "content": "hi"}]
WAYS = {
    "direct": {"model": "openai/m", "api_base": "{}/v1"},
    "litellm": {"model": "openai/m", "api_base": "{}/v1", "via": "litellm"},
    "responses": {"model": "openai/responses/m", "api_base": "{}/v1"},
    "anthropic": {"model": "anthropic/m", "api_base": "{}"},
    "gemini": {"model": "gemini/m", "api_base": "{}/v1beta"},
    "claude-litellm": {"model": "anthropic/m", "api_base": "{}", "via": "litellm"},
    "gemini-litellm": {"model": "gemini/m", "api_base": "{}/v1beta", "via": "litellm"},
    "cohere": {"model": "cohere/m", "api_base": "{}"},
    "ollama": {"model": "ollama/m", "api_base": "{}", "health": "off"},
}
BOTH = pytest.mark.parametrize("way", ["direct", "litellm"])
COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])
COUNT = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def route(server: Server) -> Iterator[Callable[..., Route]]:
    apps: list[Pilotlight] = []

    def made(way: str, **more: Any) -> Route:
        target = {"retry": {"max_retries": 0}, **WAYS[way], **more}
        if way != "ollama":
            target["api_key"] = "k"
        target["api_base"] = target["api_base"].format(server.base)
        spare = {"model": "openai/spare", "api_base": f"{server.base}/spare/v1", "api_key": "s"}
        named = {"r": {"targets": ["first", "spare"]}}
        data = {"targets": {"first": target, "spare": spare}, "routes": named}
        apps.append(Pilotlight(parse(data, "test"), registry=Registry()))
        return apps[-1].route("r")

    yield made
    for app in apps:
        app.close()


def read(route: Route, colour: str = "sync", **options: Any) -> tuple[str, list[Any], Receipt]:
    """Return the text, the chunks, and the receipt of a stream."""
    if colour == "sync":
        stream = route.stream(ASK, **options)
        chunks = list(stream)
        return stream.text, chunks, stream.receipt

    async def run() -> tuple[str, list[Any], Receipt]:
        async with route.astream(ASK, **options) as stream:
            chunks = [chunk async for chunk in stream]
            return stream.text, chunks, stream.receipt

    return asyncio.run(run())


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return sse({**HEAD, "choices": [choice], **more})


DONE = b"data: [DONE]\n\n"
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = sse({**HEAD, "choices": [], "usage": COUNT})
STOP = chunk({}, "stop")


def sends(server: Server, *said: bytes) -> None:
    server.sent = Sent("openai", said)


# The end.


@BOTH
@COLOURS
def test_a_count_of_the_tokens_is_an_end(
    server: Server, route: Callable[..., Route], way: str, colour: str
) -> None:
    sends(server, chunk({"content": "whole"}), USAGE, DONE)
    assert read(route(way), colour)[0] == "whole"


@BOTH
def test_the_last_word_alone_is_none(server: Server, route: Callable[..., Route], way: str) -> None:
    sends(server, chunk({"content": "half"}), DONE)
    with pytest.raises(StreamInterrupted) as told:
        read(route(way))
    assert (told.value.fault, told.value.partial_text) == (Fault.STREAM_TRUNCATED, "half")


KEPT = [
    ("direct", "openai", -1),  # the place of what is not sent
    ("litellm", "openai", -1),
    ("direct", "openai", None),
    ("responses", "responses", None),
    ("anthropic", "anthropic", None),
    ("gemini", "gemini", None),
    ("claude-litellm", "anthropic", None),
    ("gemini-litellm", "gemini", None),
    ("cohere", "cohere", -1),
    ("cohere", "cohere", None),
    ("ollama", "ollama", None),
]


@COLOURS
@pytest.mark.parametrize(("way", "wire", "until"), KEPT)
def test_a_connection_that_is_kept_open_keeps_nobody(
    server: Server, route: Callable[..., Route], way: str, wire: str, until: int, colour: str
) -> None:
    server.hold = threading.Event()
    server.sent = Sent(wire, tuple(STREAMS[wire](WORDS)[:until]))
    assert read(route(way, timeout={"between_tokens": 60, "total": 60}), colour)[0] == TEXT
    server.hold.set()
    assert server.waited in ([], [True])  # nobody has waited for the server to give up


def test_an_sdk_is_not_kept_either(server: Server, route: Callable[..., Route]) -> None:
    server.hold = threading.Event()
    server.sent = Sent("openai", tuple(STREAMS["openai"](WORDS)[:-1]))

    @failover(route("direct", timeout={"between_tokens": 60, "total": 60}))
    def ask(*, target: Any) -> str:
        client = openai.OpenAI(**target.openai_kwargs)
        stream = client.chat.completions.create(model="m", messages=ASK, stream=True)
        return "".join(each.choices[0].delta.content or "" for each in stream)

    assert ask() == TEXT
    server.hold.set()


def test_a_finished_item_is_not_the_end_of_a_response(
    server: Server, route: Callable[..., Route]
) -> None:
    """Each item of a Responses stream has a status of its own."""
    said = STREAMS["responses"](WORDS)
    server.sent = Sent("responses", tuple(said[:-1]))

    @failover(route("direct"))
    def ask(*, target: Any) -> str:
        if target.name == "spare":
            return SPARE
        client = openai.OpenAI(**target.openai_kwargs)
        stream = client.responses.create(model="m", input="hi", stream=True)
        return "".join(each.delta for each in stream if each.type == "response.output_text.delta")

    assert ask() == SPARE


@pytest.mark.parametrize("kind", ["web_search_call", "code_interpreter_call", "mcp_list_tools"])
def test_what_a_server_did_by_itself_is_an_answer(kind: str) -> None:
    item = {"id": "i", "type": kind, "status": "completed"}
    scanner = CheckedScanner("openai")
    scanner.feed(named("response.created", response={"status": "in_progress"}))
    scanner.feed(named("response.output_item.done", output_index=0, item=item))
    scanner.feed(named("response.completed", response={"status": "completed"}))
    scanner.finish()
    assert (scanner.contents, scanner.terminal, scanner.broken) == (1, True, "")


# Content.


@BOTH
@COLOURS
def test_the_text_of_several_answers_is_that_of_the_first(
    server: Server, route: Callable[..., Route], way: str, colour: str
) -> None:
    texts = [chunk({"content": word}, index=place) for word in "ab" for place in (1, 0)]
    sends(server, *texts, chunk({}, "stop", 1), chunk({}, "stop", 0), DONE)
    text, chunks, _ = read(route(way), colour, n=2)
    assert text == "ab"
    assert {choice.index for each in chunks for choice in each.choices} == {0, 1}


@BOTH
def test_one_of_several_answers_that_breaks_is_told(
    server: Server, route: Callable[..., Route], way: str
) -> None:
    sends(server, chunk({"content": "a"}), STOP, chunk({"content": "b"}, index=1), b"data: {\n\n")
    with pytest.raises(StreamInterrupted):
        read(route(way), n=2)


@BOTH
@COLOURS
def test_reasoning_alone_commits_to_nobody(
    server: Server, route: Callable[..., Route], way: str, colour: str
) -> None:
    sends(server, chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "Hm."}))
    text, _, receipt = read(route(way), colour)
    assert (text, receipt.served_by) == (SPARE, "spare")
    assert receipt.attempts[0].fault == Fault.STREAM_TRUNCATED


@COLOURS
def test_reasoning_of_ollama_commits_to_nobody(
    server: Server, route: Callable[..., Route], colour: str
) -> None:
    line = {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "Hm."}}
    server.sent = Sent("ollama", (json.dumps({**line, "done": False}).encode() + b"\n",))
    assert read(route("ollama"), colour)[0] == SPARE


@pytest.mark.parametrize(
    "delta",
    [
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"audio": {"id": "a", "data": "AAAA"}},
        {"refusal": "I can't help with that."},
        {"reasoning_content": "Hm."},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_other_content_is_an_answer(
    server: Server, route: Callable[..., Route], delta: dict[str, Any]
) -> None:
    sends(server, chunk(delta), STOP, DONE)
    text, chunks, receipt = read(route("direct"))
    assert (text, receipt.served_by) == ("", "first")
    assert chunks[0].choices[0].delta.model_dump() == delta


def test_a_refusal_that_litellm_loses_is_no_empty_answer(
    server: Server, route: Callable[..., Route]
) -> None:
    sends(server, chunk({"refusal": "I can't help with that."}), STOP, DONE)
    with receipts() as log, pytest.raises(Exception, match="content_blocked"):
        read(route("litellm"))
    assert log[0].attempts[0].fault == Fault.CONTENT_BLOCKED


# Of litellm's own making; raised as an error it costs litellm its usage chunk.
@pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated")
@BOTH
def test_hidden_reasoning_that_meets_the_limit_is_no_empty_answer(
    server: Server, route: Callable[..., Route], way: str
) -> None:
    count = {**COUNT, "completion_tokens_details": {"reasoning_tokens": 5}}
    last = sse({**HEAD, "choices": [], "usage": count})
    sends(server, chunk({"role": "assistant", "content": ""}), chunk({}, "length"), last, DONE)
    options = {"stream_options": {"include_usage": True}}
    assert read(route(way), **options)[2].served_by == "first"


@BOTH
def test_a_filter_that_speaks_in_the_stream_is_a_filter(
    server: Server, route: Callable[..., Route], way: str
) -> None:
    error = {"error": {"message": "The response was filtered", "code": "content_filter"}}
    sends(server, sse(error), DONE)
    with receipts() as log, pytest.raises(Exception, match="content_blocked|filtered"):
        read(route(way))
    assert log[0].attempts[0].fault == Fault.CONTENT_BLOCKED


# Tokens.


@COLOURS
def test_the_tokens_are_asked_for_and_the_caller_sees_nothing_of_it(
    server: Server, route: Callable[..., Route], colour: str
) -> None:
    sends(server, chunk({"content": "x"}), STOP, USAGE, DONE)
    _, chunks, receipt = read(route("direct"), colour)
    assert server.requests[0]["stream_options"] == {"include_usage": True}
    assert (receipt.attempts[0].prompt_tokens, receipt.attempts[0].completion_tokens) == (7, 5)
    assert [each.get("usage") for each in chunks] == [None, None]


@COLOURS
def test_a_server_that_refuses_to_count_is_asked_without_and_not_again(
    server: Server, route: Callable[..., Route], colour: str
) -> None:
    sends(server, chunk({"content": "x"}), STOP, DONE)
    server.refuses = "stream_options"
    strict = route("direct")
    for _ in range(2):
        assert read(strict, colour)[0] == "x"
    assert ["stream_options" in each for each in server.requests] == [True, False, False]


def test_a_caller_that_says_no_is_heard(server: Server, route: Callable[..., Route]) -> None:
    sends(server, chunk({"content": "x"}), STOP, DONE)
    read(route("direct"), stream_options={"include_usage": False})
    assert server.requests[0]["stream_options"] == {"include_usage": False}


@COLOURS
@pytest.mark.parametrize(
    ("way", "wire"),
    [
        ("anthropic", "anthropic"), ("claude-litellm", "anthropic"),
        ("gemini", "gemini"), ("gemini-litellm", "gemini"), ("cohere", "cohere"),
    ],
)  # fmt: skip
def test_tokens_that_come_unasked_are_on_the_receipt(
    server: Server, route: Callable[..., Route], way: str, wire: str, colour: str
) -> None:
    server.sent = Sent(wire, tuple(STREAMS[wire](WORDS)))
    text, chunks, receipt = read(route(way), colour)
    assert text == TEXT
    assert (receipt.attempts[0].prompt_tokens, receipt.attempts[0].completion_tokens) == (1, 3)
    assert not [each for each in chunks if getattr(each, "usage", None)]


# Bounds.


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (server_sent_events, scanning, checked_scanner):
        monkeypatch.setattr(module, "MAX_LINE", 4096)
    monkeypatch.setattr(scanning, "LINE_LIMIT", 1024)


@pytest.mark.parametrize("frame", [b"data: ", b"data: x\n"], ids=["line", "lines"])
@pytest.mark.parametrize("decoder", [EventDecoder, NdjsonDecoder])
def test_no_decoder_holds_a_line_without_end(short: None, decoder: Any, frame: bytes) -> None:
    if decoder is NdjsonDecoder:
        frame = b"x"
    reader = decoder()
    with pytest.raises(ProviderFault, match="an event of more than"):
        for _ in range(5000):
            list(reader.feed(frame))


@pytest.mark.parametrize("scanner", [Scanner, CheckedScanner])
def test_no_scanner_holds_a_line_without_end(short: None, scanner: Any) -> None:
    watching = scanner("openai")
    for _ in range(100):
        watching.feed(b"data: " + b"x" * 100)
        assert len(watching._carry) < 5000
    assert watching.broken == server_sent_events.TOO_LONG


@pytest.mark.parametrize("way", [*WAYS])
@COLOURS
def test_a_line_without_end_ends_the_attempt(
    short: None, server: Server, route: Callable[..., Route], way: str, colour: str
) -> None:
    """The server goes on and on; the spare answers."""
    wire = "ollama" if way == "ollama" else "openai"
    endless = b'{"x": "' if way == "ollama" else b'data: {"x": "'
    server.sent = Sent(wire, (endless, *[b"x" * 500] * 40))
    server.hold = threading.Event()
    text, _, receipt = read(route(way), colour)
    server.hold.set()
    assert text == SPARE
    assert "an event of more than" in receipt.attempts[0].evidence


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_no_reader_cuts_an_event_at_a_line_end_of_unicode(size: int) -> None:
    text = {"said": "a\u2028b\u0085c\u2029d\u20ac\u00e9"}
    sent = json.dumps(text, ensure_ascii=False).encode()
    keeper = LineKeeper()
    kept = b"".join(keeper(sent[at : at + size]) for at in range(0, len(sent), size)).decode()
    assert json.loads(kept) == text
    assert len(kept.splitlines()) == 1
