"""The tap against anything a server might send: it never raises, and its word can be judged."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.core.provider import Timeouts
from pilotlight.diagnosis.classify import classify, judge_wire
from pilotlight.providers.wire_only import judge_seen, sound
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.clocks import RequestMonitor
from pilotlight.wire.content_coding import by_name
from pilotlight.wire.tap import Tap

WIRES = ["openai", "anthropic", "gemini", "ollama", "stability", "other"]
PATHS = ["/v1/chat/completions", "/v1/messages", "/x:streamGenerateContent", "/api/chat", "/"]
KINDS = [b"text/event-stream", b"application/json", b"application/x-ndjson", b"text/html", b"\xff"]
ENCODINGS = [b"identity", b"gzip", b"deflate", b"br", b""]
PIECES = [
    b"data: ",
    b'{"choices":[{"delta":{"content":"x"}}]}',
    b"\n\n",
    b": keep-alive\n\n",
    b'event: error\ndata: {"type":"error"}\n\n',
    b'{"error":',
    b'"finish_reason":"stop"',
    b'{"done":true}\n',
    b"<html>",
    b"[DONE]",
    b'{"candidates":[{"finishReason":null}]}',
]

headers = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=4)
chunks = st.lists(st.binary(max_size=40) | st.sampled_from(PIECES), max_size=8)


def put_through(wire, path, status, raw_headers, pieces, ended) -> None:
    tap = Tap(wire, Timeouts())
    monitor = RequestMonitor(tap, path, streaming=True)
    monitor.answered(status, by_name(raw_headers), None)
    for piece in pieces:
        monitor.resume()
        monitor.saw(piece)
    if ended:
        monitor.ended()
    assert tap.received == sum(map(len, pieces))
    verdict = classify(tap, None)
    assert isinstance(verdict.fault, Fault)
    assert verdict.retry_after is None or 0 <= verdict.retry_after <= 3600
    judge_wire(tap)
    judge_seen(tap)
    sound(tap)


@settings(max_examples=settings().max_examples * 10, deadline=None)
@given(
    st.sampled_from(WIRES),
    st.sampled_from(PATHS),
    st.integers(100, 999),
    headers,
    st.sampled_from(KINDS),
    st.sampled_from(ENCODINGS),
    chunks,
    st.booleans(),
)
def test_nothing_a_server_sends_makes_it_raise(
    wire, path, status, extra, kind, encoding, pieces, ended
):
    told = [(b"content-type", kind), (b"content-encoding", encoding), *extra]
    put_through(wire, path, status, told, pieces, ended)


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_random_answers_each(seed):
    dice = random.Random(seed)
    for _ in range(1000):
        pieces = [dice.choice([*PIECES, dice.randbytes(20)]) for _ in range(dice.randrange(8))]
        told = [(b"content-type", dice.choice(KINDS)), (b"retry-after", dice.randbytes(6))]
        put_through(
            dice.choice(WIRES),
            dice.choice(PATHS),
            dice.choice([200, 200, 400, 429, 503, dice.randrange(100, 1000)]),
            told,
            pieces,
            dice.random() < 0.7,
        )
