"""A conversation that fails over in its middle is one that its destination takes."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import strict
from asking import IDS, TOOLS, WORDS, conversations
from hypothesis import given, settings
from hypothesis import strategies as st
from saying import ASKED, recorded

from pilotlight.dialects import anthropic_messages, gemini, ollama, openai_chat, openai_responses
from pilotlight.dialects.base import Losses, Unable, Unreadable
from pilotlight.dialects.history import (
    ANTHROPIC_IDS,
    ANY_IDS,
    MISTRAL_IDS,
    OPENAI_IDS,
    call_id,
    fit,
    tool_name,
)

RULES = {
    "anthropic": ANTHROPIC_IDS, "openai": OPENAI_IDS, "mistral": MISTRAL_IDS, "any": ANY_IDS,
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(st.text(max_size=100) | IDS, st.text(max_size=100) | IDS)
def test_an_id_fits_is_always_the_same_and_nobody_elses(rule, one, other):
    sent = call_id(one, rule)
    assert rule.fits.fullmatch(sent)
    assert call_id(sent, rule) == sent == call_id(one, rule)
    if one != other:
        assert sent != call_id(other, rule)


@pytest.mark.parametrize("pattern", ["[a-zA-Z0-9_-]{1,64}", "[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"])
@given(st.text(min_size=1, max_size=200))
def test_a_tools_name_fits_and_is_always_the_same(pattern, name):
    fits = re.compile(pattern)
    assert fits.fullmatch(tool_name(name, fits))
    assert tool_name(tool_name(name, fits), fits) == tool_name(name, fits) == tool_name(name, fits)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(st.lists(conversations(), min_size=2, max_size=3))
def test_what_was_sent_once_is_sent_again_as_it_was(rule, parts):
    """A conversation that grows keeps its beginning, also where ids come again: caches live."""
    whole: list[Any] = []
    sent: list[Any] = []
    for part in parts:
        whole += part
        before, sent = sent, fit(whole, rule, Losses())
        assert sent[: len(before)] == before


@given(conversations(), st.data())
def test_whatever_is_missing_each_call_has_a_result_and_each_result_a_call(messages, data):
    kept = [each for each in messages if data.draw(st.booleans()) or each["role"] == "user"]
    losses = Losses()
    sent = fit(kept, ANTHROPIC_IDS, losses)
    waiting: list[str] = []
    for message in sent:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    assert not waiting
    whole = len(fit(messages, ANTHROPIC_IDS, Losses())) == len(messages)
    assert whole
    if kept == messages:
        assert losses.sorted() == ()


# Failing over at every turn.


def of_anthropic(draw: Any) -> Any:
    blocks: list[Any] = []
    if draw(st.booleans()):
        blocks.append({"type": "thinking", "thinking": draw(WORDS), "signature": "anthropic-s"})
    if draw(st.booleans()):
        blocks.append(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        )
        blocks.append(
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
        )
    blocks.append({"type": "text", "text": draw(WORDS)})
    for number in range(draw(st.integers(0, 2))):
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {"a": 1}}
        )
    return anthropic_messages.read_answer({"content": blocks, "stop_reason": "end_turn"}, ASKED)


def of_gemini(draw: Any) -> Any:
    parts: list[Any] = [{"text": draw(WORDS)}]
    if draw(st.booleans()):
        parts[0]["thoughtSignature"] = "gemini-s"
    for number in range(draw(st.integers(0, 2))):
        call: Any = {"functionCall": {"name": "look", "args": {"a": 1}}}
        if draw(st.booleans()):
            call["functionCall"]["id"] = f"g{number}"
        parts.append(call if number else {**call, "thoughtSignature": "gemini-t"})
    return gemini.read_answer(
        {"responseId": "r", "candidates": [{"content": {"parts": parts}}]}, ASKED
    )


def of_openai(draw: Any) -> Any:
    message: Any = {"role": "assistant", "content": draw(WORDS), "reasoning_content": draw(WORDS)}
    if draw(st.booleans()):
        call = {
            "id": draw(IDS),
            "type": "function",
            "function": {"name": "look", "arguments": "{}"},
        }
        message["tool_calls"] = [call]
    return openai_chat.read_answer({"choices": [{"index": 0, "message": message}]}, ASKED)


def of_responses(draw: Any) -> Any:
    items: list[Any] = []
    if draw(st.booleans()):
        summary = [{"type": "summary_text", "text": draw(WORDS)}]
        items.append(
            {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "openai-s"}
        )
    items.append({"type": "message", "content": [{"type": "output_text", "text": draw(WORDS)}]})
    if draw(st.booleans()):
        items.append(
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "look",
                "arguments": "{}",
            }
        )
    return openai_responses.read_answer({"status": "completed", "output": items}, ASKED)


def to_responses(messages: Any) -> Any:
    written = openai_responses.write_request(
        {"model": "gpt-5", "messages": messages, "tools": TOOLS}
    )
    strict.responses(written.body)
    return written


def to_anthropic(messages: Any) -> Any:
    written = anthropic_messages.write_request(
        {"model": "claude-sonnet-4-5", "messages": messages, "tools": TOOLS}
    )
    strict.anthropic(written.body)
    return written


def to_gemini(messages: Any) -> Any:
    written = gemini.write_request({"model": "gemini-3-pro", "messages": messages, "tools": TOOLS})
    strict.gemini(written.body)
    return written


def to_openai(messages: Any) -> Any:
    written = openai_chat.write_request({"model": "gpt-4o", "messages": messages, "tools": TOOLS})
    strict.openai(written.body)
    return written


def to_ollama(messages: Any) -> Any:
    written = ollama.write_request({"model": "m", "messages": messages, "tools": TOOLS})
    strict.ollama(written.body)
    return written


def to_mistral(messages: Any) -> Any:
    manner = openai_chat.MANNERS["mistral"]
    written = openai_chat.write_request({"model": "m", "messages": messages}, manner)
    strict.openai(written.body, "[a-zA-Z0-9]{9}")
    return written


AUTHORS = {
    "anthropic": of_anthropic,
    "gemini": of_gemini,
    "openai": of_openai,
    "responses": of_responses,
}
DESTINATIONS = {
    "anthropic": to_anthropic, "gemini": to_gemini, "openai": to_openai, "mistral": to_mistral,
    "responses": to_responses,
    "ollama": to_ollama,
}  # fmt: skip
SEALS = {"anthropic": "anthropic-s", "gemini": "gemini-", "responses": "openai-s"}


@settings(max_examples=25)
@given(st.data())
def test_thirty_turns_that_fail_over_at_every_turn_are_taken_each_time(data):
    messages: list[Any] = [{"role": "system", "content": "be brief"}]
    for _ in range(data.draw(st.integers(1, 30))):
        messages.append({"role": "user", "content": data.draw(WORDS)})
        author = data.draw(st.sampled_from(sorted(AUTHORS)))
        said = AUTHORS[author](data.draw)["choices"][0]["message"]
        messages.append(json.loads(json.dumps(said)))
        for call in said.get("tool_calls", ()):
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "done"})
        before = copy.deepcopy(messages)
        DESTINATIONS[data.draw(st.sampled_from(sorted(DESTINATIONS)))](messages)
        assert messages == before


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize("destination", DESTINATIONS)
@given(data=st.data())
def test_what_is_sealed_goes_to_its_own_vendor_and_is_named_where_it_can_not(
    author, destination, data
):
    said = AUTHORS[author](data.draw)["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        for call in said.get("tool_calls", ())
    ]
    messages = [
        {"role": "user", "content": "hi"},
        said,
        *results,
        {"role": "user", "content": "on"},
    ]
    written = DESTINATIONS[destination](messages)
    sent, came = json.dumps(written.body), json.dumps(said)
    for vendor, seal in SEALS.items():
        if seal in came:
            assert (seal in sent) == (vendor == destination)
            named = "reasoning" in written.lost
            if destination == "ollama":  # it takes the words of a thought, which nothing seals
                thoughts = [each.get("thinking") for each in written.body["messages"]]
                assert named or said["reasoning_content"] in thoughts
            else:
                assert named == (vendor != destination)
    searched = "srvtoolu" in came
    assert ("server_tool:web_search" in written.lost) == (searched and destination != author)
    assert ("srvtoolu" in sent) == (searched and destination == author)
    if author == "openai":
        assert ("reasoning" in written.lost) == (destination != "ollama")


def test_the_pictures_of_a_tools_result_are_shown_to_openai_by_the_user():
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call, {**call, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": [image]},
        {"role": "tool", "tool_call_id": "c2", "content": "done"},
    ]
    sent = to_openai(messages).body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert sent[-1]["content"] == [image]


CALLERS = {
    "anthropic": ("anthropic", "chats", "chat", anthropic_messages),
    "gemini": ("gemini", "chats", "chat", gemini),
    "openai": ("openai", "chats", "chat", openai_chat),
    "responses": ("openai", "responses", "/responses", openai_responses),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("destination", DESTINATIONS)
def test_a_recorded_conversation_is_taken_by_every_other_api_or_can_not_be_told(
    caller, destination
):
    wire, name, op, dialect = CALLERS[caller]
    for entry in recorded(wire, name, op):
        try:
            messages = dialect.read_request(entry["req"]).request["messages"]
            written = dialect_of(destination)(messages)
        except (Unable, Unreadable):
            continue
        seal = f"\\1{OWNERS.get(caller, '')}\\2"
        body = json.loads(_SEALS.sub(seal, json.dumps(written.body)))
        try:
            STRICT[destination](body)
        except AssertionError as refused:
            raise AssertionError(entry["id"]) from refused


def dialect_of(destination: str) -> Any:
    write = {
        "anthropic": lambda m: anthropic_messages.write_request(
            {"model": "claude-sonnet-4-5", "messages": m}
        ),
        "gemini": lambda m: gemini.write_request({"model": "gemini-3-pro", "messages": m}),
        "openai": lambda m: openai_chat.write_request({"model": "gpt-4o", "messages": m}),
        "mistral": lambda m: openai_chat.write_request(
            {"model": "m", "messages": m}, openai_chat.MANNERS["mistral"]
        ),
        "ollama": lambda m: ollama.write_request({"model": "m", "messages": m}),
        "responses": lambda m: openai_responses.write_request({"model": "gpt-5", "messages": m}),
    }
    return write[destination]


# Recorded seals, marked as their authors'.
_SEALS = re.compile(
    r'("(?:signature|thoughtSignature|encrypted_content)": ")(?!skip_thought)([^"])'
)
OWNERS = {"anthropic": "anthropic-", "gemini": "gemini-", "responses": "openai-"}
STRICT = {
    "anthropic": strict.anthropic,
    "gemini": lambda body: strict.gemini(body, signed=False),
    "openai": strict.openai,
    "mistral": lambda body: strict.openai(body, "[a-zA-Z0-9]{9}", ["prefix"]),
    "responses": strict.responses,
    "ollama": strict.ollama,
}
