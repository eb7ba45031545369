"""What a call asks of a model: abilities, a high guess of its tokens, and a low one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pilotlight.core.requirements import ABILITIES, PromptSize, estimate, lacking, needs

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "does f"}}


class Shape(BaseModel):
    area: float


class Said:
    """A message as an SDK hands it back: an object."""

    role = "user"

    def __init__(self, content):
        self.content = content


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, set()),
        ({"temperature": 1}, set()),
        ({"tools": []}, set()),
        ({"tools": [TOOL]}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": "none"}, set()),
        ({"functions": [{}]}, {"tools"}),
        ({"functions": [{}], "function_call": "none"}, set()),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": {"type": "json_schema"}}, {"json_schema"}),
        ({"response_format": Shape}, {"json_schema"}),
        ({"reasoning_effort": "high"}, {"thinking"}),
        ({"reasoning_effort": {"effort": "low"}}, {"thinking"}),
        ({"reasoning_effort": "none"}, set()),
        ({"reasoning_effort": None}, set()),
        ({"thinking": {"type": "enabled"}}, {"thinking"}),
        ({"thinking": {"type": "disabled"}}, set()),
        ({"think": False}, set()),
    ],
)
def test_what_options_need(options, wanted):
    assert needs(HELLO, options) == wanted


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"type": "text", "text": "hi"}, set()),
        ({"type": "image_url", "image_url": {"url": "data:,"}}, {"images"}),
        ({"type": "input_audio", "input_audio": {}}, {"audio"}),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,"}}, {"files"}),
        ({"type": ["odd"]}, set()),
        ("bare", set()),
    ],
)
def test_what_contents_need(part, wanted):
    assert needs([{"role": "user", "content": [part]}]) == wanted
    assert needs([Said([part])]) == wanted


def test_what_is_missing_from_a_list():
    assert lacking(None) == set()
    assert lacking(()) == set(ABILITIES)
    rest = {"images", "json_schema", "thinking", "files", "embeddings", "image_generation"}
    assert lacking(["tools", "audio"]) == rest


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
names = st.sampled_from(["role", "content", "tool_calls", "type", "text", "reasoning_content"])
odd_messages = st.lists(st.dictionaries(names, odd, max_size=4) | odd, max_size=4)
odd_options = st.dictionaries(
    st.sampled_from(["tools", "functions", "response_format", "reasoning_effort", "thinking"]), odd
)


@settings(max_examples=15)  # drawing such messages is slow
@given(odd_messages, odd_options)
def test_odd_messages_raise_nothing(messages, options):
    assert needs(messages, options) <= set(ABILITIES)
    assert estimate(messages, options) > 0
    assert not PromptSize(messages).exceeds(10**9)
    assert PromptSize(messages).least >= 0


@given(st.lists(st.text()), st.text())
def test_more_text_is_never_less(texts, more):
    messages = [{"role": "user", "content": text} for text in texts]
    longer = [*messages, {"role": "user", "content": more}]
    assert estimate(longer) > estimate(messages)
    assert PromptSize(longer).least >= PromptSize(messages).least
    if texts:
        grown = [{"role": "user", "content": texts[0] + more}, *messages[1:]]
        assert estimate(grown) >= estimate(messages)


@given(st.lists(st.text()))
def test_the_low_count_is_below_the_high_one(texts):
    messages = [{"role": "user", "content": text} for text in texts]
    assert PromptSize(messages).least <= PromptSize(messages).characters
    assert PromptSize(messages).exceeds(-1) == (
        PromptSize(messages).least > -1 < PromptSize(messages).characters
    )


def test_a_tool_and_an_image_cost_something():
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    assert estimate(image) > 1600
    assert estimate(HELLO, {"tools": [TOOL]}) > estimate(HELLO) + 20
    assert estimate(HELLO, {"response_format": Shape}) > estimate(HELLO) + 20
    assert estimate([{"role": "user", "content": "你好" * 30}]) >= 60


def test_a_tool_without_json_costs_nothing():
    endless: list = []
    endless.append(endless)
    assert estimate(HELLO, {"tools": endless}) == estimate(HELLO)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("one two  three", 3),
        (" " * 1000, 0),
        ("-" * 1000, 0),
        ("don't", 1),
        ("foo_bar(x1, 22)", 5),
        ("für Öl", 2),
        ("你好世界你好世界", 2),
    ],
)
def test_the_words_are_the_least(text, least):
    assert PromptSize([{"role": "user", "content": text}]).least == least


def test_what_a_template_may_leave_out_does_not_count():
    words = "many words " * 100
    for message in (
        {"role": "tool", "content": words},
        {"role": "assistant", "content": f"<think>{words}</think> done"},
    ):
        assert PromptSize([message]).least == 0
    assert PromptSize([{"role": "assistant", "content": words}]).exceeds(199)
    assert not PromptSize([{"role": "assistant", "content": words}]).exceeds(200)
