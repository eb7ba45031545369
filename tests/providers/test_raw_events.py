"""A stream cut after its events: nothing of it is lost, wherever the bytes were cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from broken_streams import STREAMS, WORDS
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.diagnosis.answer_view import ChunkNotes
from pilotlight.providers.shapes import Shape
from pilotlight.wire.events.raw import LineDecoder, RawEvents
from pilotlight.wire.events.server_sent import EventDecoder

ENDS = (b"\n", b"\r\n", b"\r")


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, bytes, list[bytes]]:
    name = draw(st.sampled_from(sorted(STREAMS)))
    whole = b"".join(STREAMS[name](WORDS))
    if name != "ollama":
        whole = draw(st.sampled_from([b"", b": hello\n\n", b"\n"])) + whole
        whole = whole.replace(b"\r\n", b"\n").replace(b"\n", draw(st.sampled_from(ENDS)))
    whole = whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole
    places = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    edges = [0, *places, len(whole)]
    return name, whole, [whole[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(cut())
def test_the_bytes_are_the_same_and_so_is_the_data(given_: tuple[str, bytes, list[bytes]]) -> None:
    name, whole, pieces = given_
    made: Callable[[], Any] = LineDecoder if name == "ollama" else EventDecoder
    events, plain = RawEvents(made()), made()
    found = [event for piece in pieces for event in events.feed(piece)] + events.finish()
    assert b"".join(event.raw for event in found) == whole
    data = [*plain.feed(whole), *plain.finish()]
    assert [each for event in found for each in event.data] == data
    assert all(len(event.data) <= 1 for event in found)


VALUES = st.sampled_from([None, 0, 1, "", "hi", [], {}, "stop"])
DELTAS = st.dictionaries(st.sampled_from(["content", "role", "tool_calls"]), VALUES, max_size=2)
CHOICES = st.fixed_dictionaries(
    {}, optional={"index": VALUES, "delta": DELTAS | VALUES, "finish_reason": VALUES}
)
CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", None]), "model": st.sampled_from(["m", None]),
        "choices": st.lists(CHOICES | VALUES, max_size=2) | VALUES, "usage": VALUES,
    },
)  # fmt: skip


@given(CHUNKS)
def test_the_usual_chunk_is_noted_like_any_other(chunk: dict[str, Any]) -> None:
    quick, slow = ChunkNotes("m"), ChunkNotes("m")
    if not quick.add_usual(chunk):
        return
    slow.add(Shape(chunk))
    names = ("id", "answered", "choices", "committed", "text", "finish_reason", "usage", "other")
    assert [getattr(quick, name) for name in names] == [getattr(slow, name) for name in names]


def test_an_event_without_end_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from pilotlight.errors import ProviderFault
    from pilotlight.wire.events import server_sent as server_sent_events

    monkeypatch.setattr(server_sent_events, "MAX_LINE", 100)
    events = RawEvents(EventDecoder())
    with pytest.raises(ProviderFault):
        for _ in range(99):
            events.feed(b"data: x")
