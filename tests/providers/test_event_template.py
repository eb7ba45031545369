"""An event that is taken by its template says just what it says when it is read word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.wire.events import checked_scanner
from pilotlight.wire.events.checked_scanner import CheckedScanner
from pilotlight.wire.events.template import fits, template_of

WORDS = st.one_of(
    st.text("ab {}[]:,'\\\"\n\x00\x7f\u00e9\u2028\U0001f600", max_size=6),
    st.sampled_from(["hello", "stop", "error", '"finish_reason":"stop"', "[DONE]", "data: x"]),
)


def said(wire: str, text: Any, end: Any) -> dict[str, Any]:
    """One event of a wire, with a text and an end that may be of any kind."""
    match wire:
        case "openai":
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": end}
            return {"id": "c", "choices": [choice], "obfuscation": "abc"}
        case "anthropic":
            delta = {"type": "text_delta", "text": text}
            return {"type": "content_block_delta", "index": 0, "delta": delta}
        case "gemini":
            candidate = {"content": {"parts": [{"text": text}]}, "finishReason": end}
            count = 10 ** len(text) if isinstance(text, str) else text
            return {"candidates": [candidate], "usageMetadata": {"totalTokenCount": count}}
        case "cohere":
            message = {"content": {"text": text}}
            return {"type": "content-delta", "index": 0, "delta": {"message": message}}
        case _:
            message = {"role": "assistant", "content": text}
            return {"created_at": "2026", "message": message, "done": end is not None}


def framed(wire: str, event: Any, spaced: bool) -> bytes:
    data = json.dumps(event, separators=None if spaced else (",", ":")).encode()
    if wire == "ollama":
        return data + b"\n"
    name = b"event: content_block_delta\n" if wire == "anthropic" else b""
    return name + b"data: " + data + b"\n\n"


@st.composite
def pieces(draw: st.DrawFn, wire: str) -> list[bytes]:
    """The body of a stream: mostly the same event with other words, and all that may go wrong."""
    odd = st.sampled_from(
        [b"data: [DONE]\n\n", b": ping\n\n", b"\n", b"event: ping\n", b"event: error\n", b"data: {",
         b'"x"}\n\n', b"junk\n", b'{"error": "no"}\n', b'data: {"error": {"code": 5}}\n\n', b"data: "]
    )  # fmt: skip
    one = st.builds(
        framed,
        st.just(wire),
        st.builds(said, st.just(wire), st.one_of(WORDS, WORDS, WORDS, st.just(7), st.none()),
                  st.sampled_from([None, None, None, "stop", 3])),
        st.just(draw(st.booleans())),
    )  # fmt: skip
    usual = st.builds(
        framed, st.just(wire), st.builds(said, st.just(wire), WORDS, st.none()), st.just(False)
    )
    chosen = draw(st.lists(st.one_of(usual, usual, usual, one, odd), min_size=1, max_size=14))
    if draw(st.booleans()):
        return chosen
    body = b"".join(chosen)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def state(scanner: CheckedScanner) -> tuple[Any, ...]:
    return (
        scanner.contents, scanner.terminal, scanner.over, scanner.error, scanner.broken,
        scanner.late, scanner.skipped, scanner.troubled,
    )  # fmt: skip


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini", "cohere", "ollama"])
@given(data=st.data(), skip=st.booleans(), several=st.booleans())
@settings(deadline=None)
def test_a_scanner_with_templates_sees_what_one_without_sees(wire, data, skip, several):
    quick = CheckedScanner(wire, several=several, skip=skip)
    slow = CheckedScanner(wire, several=several, skip=skip)
    slow._lessons = 0
    for piece in data.draw(pieces(wire)):
        assert bool(quick.feed(piece)) == bool(slow.feed(piece))
        assert state(quick) == state(slow)
    quick.finish(), slow.finish()
    assert state(quick) == state(slow)


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini", "cohere", "ollama"])
def test_the_usual_event_is_read_once(wire, monkeypatch):
    read = []
    monkeypatch.setattr(
        checked_scanner.CheckedScanner, "_read_piece", lambda self, data: read.append(data) or 1
    )
    scanner = CheckedScanner(wire)
    for word in ("a", "bcd", "ef"):
        scanner.feed(framed(wire, said(wire, word, None), False))
    assert len(read) == 1
    assert scanner.contents == 2


def test_a_stream_in_which_nothing_is_alike_is_not_looked_at_for_ever(monkeypatch):
    looked = []
    monkeypatch.setattr(checked_scanner, "template_of", lambda piece: looked.append(piece) or ())
    scanner = CheckedScanner("openai")
    for number in range(100):
        event = said("openai", "a", None) | {"id": str(number)}
        scanner.feed(framed("openai", event, False))
    assert len(looked) == checked_scanner._LESSONS


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (b'data: {"content":"x y"}\n\n', True),
        (b'data: {"content":""}\n\n', False),
        (b'data: {"content":"a\\"b"}\n\n', False),
        (b'data: {"content":"a","more":1}\n\n', False),
        (b'data: {"content":"a"}\n\ndata: {}\n\n', False),
        (b'data: {"content":7}\n\n', False),
        (b'data: {"content":"a\tb"}\n\n', False),
        (b'data: {"content":"\xff"}\n\n', False),
        (b'data: {"content":"a"}\n', False),
        (b"", False),
    ],
)
def test_what_is_alike(other, alike):
    assert fits(template_of(b'data: {"content":"hello"}\n\n'), other) == alike


@pytest.mark.parametrize(
    ("count", "alike"),
    [
        ("7", True), ("0", True), ("120034", True),
        ("", False), ("007", False), ("-1", False), ("1.5", False), ("1e3", False), ("1x", False),
        ('"7"', False), ("null", False), ("7 ", False),
    ],
)  # fmt: skip
def test_a_count_is_a_number_and_nothing_else(count, alike):
    def event(number: str) -> bytes:
        return b'{"text":"hello","totalTokenCount":%b}\r\n\r\n' % number.encode()

    assert fits(template_of(event("12")), event(count)) == alike


def test_counts_alone_are_no_words():
    assert template_of(b'data: {"totalTokenCount":12}\n\n') == ()


def test_an_event_without_words_has_no_template():
    assert template_of(b'data: {"content":""}\n\n') == ()
