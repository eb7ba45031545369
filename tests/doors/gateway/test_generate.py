"""Ollama's older address."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.doors.gateway.generate import as_chat, generated
from pilotlight.errors import InvalidCall

TEXTS = st.lists(st.text(max_size=8), min_size=1, max_size=5)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, *(place % (len(data) + 1) for place in places), len(data)})
    return [data[a:b] for a, b in zip(at, at[1:], strict=False)]


@given(TEXTS, st.lists(st.integers(0, 10_000), max_size=6), st.booleans())
def test_a_stream_is_the_same_however_it_is_cut(texts, places, last_break):
    lines = [json.dumps({"message": {"content": text}, "done": False}) for text in texts]
    data = "\n".join(lines).encode() + (b"\n" if last_break else b"")

    async def read() -> bytes:
        async def pieces():
            for piece in cut(data, places):
                yield piece

        return b"".join([piece async for piece in generated(pieces())])

    said = [json.loads(line) for line in asyncio.run(read()).splitlines()]
    assert [each["response"] for each in said] == texts
    assert all("message" not in each for each in said)


def test_a_prompt_is_one_message():
    asked = {
        "model": "m",
        "prompt": "hi",
        "system": "be kind",
        "images": ["abc"],
        "options": {"seed": 1},
    }
    said = as_chat(asked)
    assert said["messages"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi", "images": ["abc"]},
    ]
    assert (said["model"], said["options"]) == ("m", {"seed": 1})


@pytest.mark.parametrize("name", ["suffix", "template", "context", "raw"])
def test_what_has_no_meaning_is_refused_by_name(name):
    with pytest.raises(InvalidCall, match=f"^{name}:"):
        as_chat({"model": "m", "prompt": "hi", name: [1]})


@pytest.mark.parametrize("prompt", [None, "", 7, ["a"]])
def test_a_prompt_is_a_text(prompt):
    with pytest.raises(InvalidCall, match="prompt"):
        as_chat({"model": "m", "prompt": prompt})
