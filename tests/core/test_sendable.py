"""What can't be sent is found wherever it stands, is told by its place, and never by its text."""

from __future__ import annotations

import json
from collections import UserDict
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pilotlight import InvalidCall
from pilotlight.core.sendable import DEPTH, check_call, check_options

SECRET = "the patient is called Zebra"
CUT = f"{SECRET} \ud83d"


class Role(StrEnum):
    USER = "user"


class Part(BaseModel):
    type: str = "text"
    text: str = "hello"


class Message(BaseModel, extra="allow"):
    role: str = "user"
    content: str | list[Part] | None = None


def user(content):
    return {"role": "user", "content": content}


def deep(levels):
    made = "x"
    for _ in range(levels):
        made = [made]
    return made


def circular():
    made = {"a": []}
    made["a"].append(made)
    return made


GOOD_MESSAGES = [
    user("hello"),
    user("grüße, 你好, 🙂"),
    user(None),
    user(["a", {"type": "text", "text": "b"}]),
    user((Part(), {"type": "image_url", "image_url": {"url": "data:,"}})),
    {"role": Role.USER, "content": "x", "tool_calls": [{"function": {"arguments": "{}"}}]},
    MappingProxyType(user("x")),
    UserDict(user("x")),
    Message(content="hello"),
    Message(content=[Part()], reasoning_content="hm"),
]
GOOD_OPTIONS = {
    "temperature": 0.5,
    "seed": 2**63,
    "logit_bias": {50256: -100, None: 1, True: 2},
    "response_format": Part,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": deep(40)}}],
    "client": object(),
    "metadata": {"when": datetime.now(UTC), "tags": {1, 2}},
    "on_token": lambda token: token,
    "part": Part(),
    "extra_headers": {"X-Request-Id": "a b", "X-Empty": ""},
}


def test_what_can_be_sent_passes():
    check_call(GOOD_MESSAGES, GOOD_OPTIONS)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (user(CUT), "messages[1].content holds half of a surrogate pair (at character 28)"),
        (user([{"type": "text", "text": CUT}]), "messages[1].content[0].text holds half"),
        (user([CUT]), "messages[1].content[0] holds half"),
        ({**user("x"), SECRET: CUT}, "messages[1].<key 3> holds half"),
        ({**user("x"), CUT: "x"}, "messages[1].<key 3> as a key holds half"),
        ({**user("x"), ("a",): "x"}, "messages[1].<key 3> is a key of type tuple"),
        (user(3), "messages[1].content is a int; it should be a text or a list of parts"),
        (user(b"x"), "messages[1].content is a bytes"),
        (user({1}), "messages[1].content is a set"),
        (user({"text": "x"}), "messages[1].content is a dict"),
        (user([3]), "messages[1].content[0] is a int; it should be a text"),
        (user([{"type": "text", "text": 3}]), "messages[1].content[0].text is a int"),
        ({**user("x"), "name": float("nan")}, "messages[1].name is nan"),
        ({**user("x"), "tool_calls": [{"id": object()}]}, "messages[1].tool_calls[0].id is a obj"),
        ({**user("x"), "tool_calls": circular()}, "levels deep, or holds itself"),
        (Message(content=CUT), "messages[1].content holds half"),
        (Message(content=[Part(text=CUT)]), "messages[1].content[0].text holds half"),
        (Message(tool_calls=[{"function": {"arguments": CUT}}]), "function.arguments holds half"),
        (object(), "messages[1] is a object; it should be a dict, or an SDK's message"),
    ],
)
def test_a_bad_message_is_told_by_its_place(message, place):
    with pytest.raises(InvalidCall) as caught:
        check_call([user("fine"), message], {})
    assert place in str(caught.value)
    assert "Zebra" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"temperature": float("inf")}, "temperature is inf, and JSON has no such number"),
        ({"seed": 10**400}, "seed is a number too large"),
        ({"stop": {"a"}}, "stop is a set, for which JSON has no form"),
        ({"user": b"x"}, "user is a bytes"),
        ({"foo": object()}, "foo is a object"),
        ({"foo": datetime.now(UTC)}, "foo is a datetime"),
        ({"tools": (each for each in ())}, "tools is a generator"),
        ({"tools": [{"function": {"description": CUT}}]}, "tools[0].function.description holds"),
        ({"tools": [{"function": {"parameters": {SECRET: CUT}}}]}, "parameters.<key 1> holds half"),
        ({"metadata": {"x": float("nan")}}, "metadata.<key 1> is nan"),
        ({"metadata": circular()}, "or holds itself"),
        ({"extra_body": deep(DEPTH + 1)}, "nested more than 100 levels deep"),
        ({f"{SECRET} \ud83d": 1j}, "an option is a complex"),
        ({"extra_headers": {"X-A": f"{SECRET}\r\nX-B: c"}}, "extra_headers.X-A holds a line end"),
        ({"extra_headers": {"X-A": f"{SECRET} é"}}, "extra_headers.X-A holds a character outside"),
        ({"headers": {"X\r\n": "a"}}, "headers: the name of header 1 is none"),
        ({"organization": "org\n"}, "organization holds a line end"),
    ],
)
def test_a_bad_option_is_told_by_its_name(options, place):
    with pytest.raises(InvalidCall) as caught:
        check_options(options)
    assert place in str(caught.value)
    assert "Zebra" not in str(caught.value)


def test_texts_and_prompts_are_told_as_the_caller_gave_them():
    with pytest.raises(InvalidCall, match=r"^texts\[1\] holds half"):
        check_call([user("x"), user(CUT)], {}, "embeddings")
    with pytest.raises(InvalidCall, match=r"^prompt holds half"):
        check_call([user(CUT)], {}, "image")


def test_a_librarys_own_messages_are_looked_at_for_texts_alone():
    class Theirs:
        def __init__(self, content):
            self.content = content
            self.response_metadata = {"avg_logprobs": float("nan")}

    media = {"type": "media", "data": b"bytes"}
    check_call([Theirs("x"), Theirs([media])], {"stop": {"a"}}, plain=False)
    with pytest.raises(InvalidCall, match=r"messages\[0\].content holds half"):
        check_call([Theirs(CUT)], {}, plain=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_it_refuses_what_the_encoder_would_and_nothing_else(value):
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        with pytest.raises(InvalidCall):
            check_options({"extra_body": value})
    else:
        check_options({"extra_body": value})
