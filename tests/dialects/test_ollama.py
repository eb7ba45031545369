"""Ollama's native chat as a target, held against what the Ollama provider has sent and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import strict
from asking import IMAGE, OPTIONS, TOOLS, conversations
from hypothesis import given
from hypothesis import strategies as st
from saying import ASKED, chunks_of, cut, joined, recorded

from pilotlight.dialects import ollama as dialect
from pilotlight.dialects.base import Losses, Unable
from pilotlight.dialects.history import ANY_IDS, fit
from pilotlight.providers.ollama import answer

HI = [{"role": "user", "content": "hi"}]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CALL = {"function": {"name": "look", "arguments": {"a": 1}}}


def written(messages: Any = HI, **options: Any) -> Any:
    return dialect.write_request({"model": "m", "messages": messages, **options})


@given(conversations())
def test_a_conversation_is_one_that_ollama_takes(messages):
    strict.taken("ollama", written(messages, tools=TOOLS).body)


@given(conversations())
def test_the_body_is_the_one_that_the_provider_sends(messages):
    for message in messages:
        if isinstance(message["content"], list):
            message["content"].sort(key=lambda part: part["type"])
    in_order = fit(messages, ANY_IDS, Losses())
    theirs = answer.chat_request("m", in_order, {"tools": TOOLS, "stop": "X"}, stream=False)
    ours = written(in_order, tools=TOOLS, stop="X")
    assert ours.body == theirs.body


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_body_or_is_named_as_lost(name):
    bare, with_it = written(tools=TOOLS), written(tools=TOOLS, **{name: OPTIONS[name]})
    assert set(with_it.lost) - set(bare.lost) or with_it.body != bare.body


def test_what_must_not_be_lost_makes_it_unable():
    web = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}
    for part in (web, pdf, {"type": "video_url"}):
        with pytest.raises(Unable):
            written([{"role": "user", "content": [part]}])
    assert written([{"role": "user", "content": [IMAGE]}]).body["messages"][0]["images"]


@given(st.data())
def test_a_stream_says_what_the_whole_answer_says(data):
    said, thought = data.draw(TEXTS), data.draw(TEXTS)
    calls = data.draw(st.lists(st.just(CALL), max_size=2))
    reason = data.draw(st.sampled_from(["stop", "length", "load"]))
    end = {"done": True, "done_reason": reason, "prompt_eval_count": 3, "eval_count": 2}
    whole = {
        "model": "m",
        "message": {"content": said, "thinking": thought, "tool_calls": calls},
        **end,
    }
    lines = [{"message": {"thinking": piece}} for piece in data.draw(cut(thought))]
    lines += [{"message": {"content": piece}} for piece in data.draw(cut(said))]
    lines += [{"message": {"content": "", "tool_calls": [call]}} for call in calls]
    reader = dialect.reader(ASKED)
    told = joined(
        chunks_of(reader, [{"model": "m", **each} for each in [*lines, {"message": {}, **end}]])
    )
    read = dialect.read_answer(whole, ASKED)
    assert reader.ended
    for each in (told, read):
        each["choices"][0]["message"] = {
            k: v for k, v in each["choices"][0]["message"].items() if v
        }
    assert told == read


def test_recorded_answers_are_read_as_the_provider_reads_them():
    for entry in recorded("ollama"):
        lines = [json.loads(line) for line in entry["body"].splitlines() if line]
        if entry["stream"]:
            reader = dialect.reader(ASKED)
            assert joined(chunks_of(reader, lines))["choices"][0]["message"]
            assert reader.ended
            continue
        (said,) = lines
        theirs = answer.completion_from(said, model=said["model"], created=1, id="x")
        ours = dialect.read_answer(said, ASKED)
        assert ours["usage"] == theirs["usage"]
        for name in ("content", "reasoning_content"):
            message, other = (each["choices"][0]["message"] for each in (ours, theirs))
            assert message.get(name) == other.get(name)


# A caller who speaks it.


@given(st.data())
def test_an_answer_and_a_stream_that_are_written_and_read_are_the_same(data):
    said, thought = data.draw(TEXTS), data.draw(TEXTS)
    calls = data.draw(st.lists(st.just({"id": "c", **CALL}), max_size=1))
    message = {"content": said, "thinking": thought, "tool_calls": calls}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    read = dialect.read_answer({"model": "m", "message": message, **end}, ASKED)
    assert dialect.read_answer(dialect.write_answer(read), ASKED) == read
    chunks = dialect.reader(ASKED).feed({"model": "m", "message": message, **end})
    writer = dialect.writer()
    lines = [line for chunk in chunks for line in writer.feed(chunk)] + writer.finish()
    assert joined(chunks_of(dialect.reader(ASKED), lines)) == joined(chunks)


@given(conversations())
def test_a_request_that_is_written_and_read_is_written_the_same_again(messages):
    for message in messages:
        if isinstance(message["content"], list):
            message["content"].sort(key=lambda part: part["type"])
    first = written(messages, tools=TOOLS, temperature=0.5, max_tokens=9, stop=["END"], stream=True)
    read = dialect.read_request(first.body)
    assert read.lost == ()
    assert dialect.write_request(read.request).body == first.body
