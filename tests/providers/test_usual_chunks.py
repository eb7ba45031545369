"""The quick look at a chat chunk: what it lets through, the thorough one finds nothing odd in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.errors import ProviderFault
from pilotlight.wire.events.forms import odd_event, usual_chunk
from pilotlight.wire.events.server_sent import read_event
from tests.anyjson import ANY, places, put, written

CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "Hällo", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ],
    "usage": None,
    "obfuscation": "x",
}


def thorough(data: bytes) -> bool:
    try:
        return not odd_event(read_event(data), "openai")
    except ProviderFault:
        return False


def test_it_knows_a_chunk():
    assert usual_chunk()(json.dumps(CHUNK).encode())


@given(st.data())
def test_what_is_usual_is_not_odd_whatever_stands_anywhere(data):
    place = data.draw(st.sampled_from(list(places(CHUNK))))
    event = written(put(CHUNK, place, data.draw(ANY))).encode("utf-8", "surrogatepass")
    assert thorough(event) or not usual_chunk()(event)


@given(st.data())
def test_what_is_usual_can_be_read_however_it_is_cut_or_spoilt(data):
    whole = json.dumps(CHUNK, ensure_ascii=data.draw(st.booleans())).encode()
    at, more = data.draw(st.integers(0, len(whole))), data.draw(st.binary(max_size=3))
    left_out = data.draw(st.integers(0, 3))
    event = whole[:at] + more + whole[at + left_out :]
    assert thorough(event) or not usual_chunk()(event)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00\\ud83d"])
def test_half_a_character_is_left_to_the_thorough_look(half):
    event = json.dumps(CHUNK).replace("H\\u00e4llo", half).encode()
    assert not usual_chunk()(event)
