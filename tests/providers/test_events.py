"""Event streams are cut into the same events wherever the network cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.wire.events.server_sent import EventDecoder

ENDS = [b"\n", b"\r\n", b"\r"]
LINES = st.sampled_from(
    [
        b"data: {}",
        b'data:{"a":1}',
        b": ping",
        b"event: x",
        b"id: 7",
        b"retry: 5",
        b"data",
        b"",
        b"{",
    ]
)


def decoded(pieces: list[bytes]) -> list[bytes]:
    decoder = EventDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return found + decoder.finish()


@given(
    events=st.lists(st.lists(LINES, max_size=4), max_size=5),
    end=st.sampled_from(ENDS),
    data=st.data(),
)
def test_the_cuts_do_not_matter(events, end, data) -> None:
    whole = b"".join(b"".join(line + end for line in event) + end for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert decoded(pieces) == decoded([whole])
    assert decoded(pieces) == reference(events)


def reference(events: list[list[bytes]]) -> list[bytes]:
    """The same by the words of the standard, but that no line is lost; blank ones end an event."""
    found, held = [], []
    for line in [line for event in events for line in [*event, b""]]:
        if line.startswith(b"data:"):
            held.append(line[5:].strip())
        elif line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            found.append(line)  # what is left of a broken event
        elif not line and held:
            found.append(b"\n".join(held))
            held = []
    return found


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_last_event_may_lack_its_line_ends(end: bytes) -> None:
    assert decoded([b"data: 1\n\ndata: 2" + end]) == [b"1", b"2"]


def test_lines_of_one_event_belong_together() -> None:
    assert decoded([b'data: {"a":\ndata: 1}\n\n']) == [b'{"a":\n1}']
