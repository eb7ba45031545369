"""A conversation that fails over in its middle is one that its destination takes."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import strict
from asking import HI, IDS, PARTS, SYSTEM, TOOLS, USER, WORDS, conversations
from hypothesis import assume, given, settings
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
from pilotlight_chaos.seals import seal
from pilotlight_chaos.strict import broken_rule

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


NAMES = st.sampled_from(["look", "mcp.files:read", "x" * 90, "find-it"])

FITTING = NAMES.filter(lambda name: "." not in name)


def of_anthropic(draw: Any) -> Any:
    blocks: list[Any] = []
    if draw(st.booleans()):
        thought = draw(WORDS)
        sealed = seal("anthropic", thought)
        blocks.append({"type": "thinking", "thinking": thought, "signature": sealed})
    if draw(st.booleans()):
        blocks.append({"type": "redacted_thinking", "data": seal("anthropic", "redacted")})
    if draw(st.booleans()):
        page = {
            "type": "web_search_result",
            "url": "u",
            "title": "t",
            "encrypted_content": seal("anthropic", "u"),
        }
        blocks += [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]},
        ]
    blocks += [
        {"type": "text", "text": draw(WORDS | st.just(""))} for _ in range(draw(st.integers(0, 2)))
    ]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{number}", "name": draw(FITTING), "input": {"a": 1}}
        for number in range(draw(st.integers(0, 2)))
    ]
    return anthropic_messages.read_answer({"content": blocks, "stop_reason": "end_turn"}, ASKED)


def of_gemini(draw: Any) -> Any:
    parts: list[Any] = []
    if draw(st.booleans()):
        parts.append({"text": draw(WORDS), "thought": True})
    if draw(st.booleans()):
        parts.append({"text": draw(WORDS)})
        if draw(st.booleans()):
            parts[-1]["thoughtSignature"] = seal("gemini", "text")
    for number in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(["look", "mcp.files:read"]))
        call: Any = {"functionCall": {"name": name, "args": {"a": 1}}}
        if draw(st.booleans()):
            call["functionCall"]["id"] = f"g{number}"
        signature = {} if number else {"thoughtSignature": seal("gemini", name)}
        parts.append(call | signature)
    said = {"responseId": "r", "candidates": [{"content": {"parts": parts}}]}
    return gemini.read_answer(said, ASKED)


def of_openai(draw: Any) -> Any:
    message: Any = {"role": "assistant", "content": draw(WORDS | st.none())}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(WORDS)
    calls = [
        {
            "id": each,
            "type": "function",
            "function": {"name": draw(NAMES), "arguments": draw(GIVEN)},
        }
        for each in draw(st.lists(IDS, max_size=3, unique=True))
    ]
    if calls:
        message["tool_calls"] = calls
    elif draw(st.booleans()):
        message |= {"content": None, "refusal": draw(WORDS)}
    return openai_chat.read_answer({"choices": [{"index": 0, "message": message}]}, ASKED)


# A model's arguments are not always JSON, or an object.
GIVEN = st.sampled_from(['{"a": 1}', "{}", "", "[1]", '{"a": '])


def of_responses(draw: Any) -> Any:
    items: list[Any] = []
    for number in range(draw(st.integers(0, 2))):
        summary = [{"type": "summary_text", "text": draw(WORDS)}]
        named = f"rs_{number}"
        thought = {"type": "reasoning", "id": named, "summary": summary, "status": None}
        sealed = {"encrypted_content": seal("openai", named)} if draw(st.booleans()) else {}
        items.append(thought | sealed)
        if draw(st.booleans()):
            items.append({"type": "web_search_call", "id": "ws_1", "status": "completed"})
    if draw(st.booleans()):
        said = [{"type": "output_text", "text": draw(WORDS)}]
        items.append({"type": "message", "role": "assistant", "id": "msg_1", "content": said})
    for number in range(draw(st.integers(0, 2))):
        call = {"call_id": f"call_{number}", "name": "look", "arguments": draw(GIVEN)}
        items.append({"type": "function_call", "id": f"fc_{number}", **call})
    return openai_responses.read_answer({"status": "completed", "output": items}, ASKED)


def of_ollama(draw: Any) -> Any:
    message: Any = {"role": "assistant", "content": draw(WORDS | st.just(""))}
    if draw(st.booleans()):
        message["thinking"] = draw(WORDS)
    message["tool_calls"] = [
        {"function": {"name": draw(NAMES), "arguments": {"a": 1}}}
        for _ in range(draw(st.integers(0, 2)))
    ]
    return ollama.read_answer({"message": message, "done": True, "done_reason": "stop"}, ASKED)


def to(api: str, dialect: Any, model: str, **options: Any) -> Any:
    """Return what writes a conversation for an API, and has it judged by the API's stand-in."""

    def write(messages: Any, **more: Any) -> Any:
        asked = {"model": model, "messages": messages, "tools": TOOLS, **options, **more}
        written = dialect.write_request(asked)
        strict.taken(api, written.body, model)
        return written

    return write


def to_mistral(messages: Any, **more: Any) -> Any:
    manner = openai_chat.MANNERS["mistral"]
    written = openai_chat.write_request({"model": "m", "messages": messages, **more}, manner)
    strict.mistral(written.body)
    return written


AUTHORS = {
    "anthropic": of_anthropic, "gemini": of_gemini, "openai": of_openai,
    "responses": of_responses, "ollama": of_ollama,
}  # fmt: skip
THINK = {"reasoning_effort": "medium"}
DESTINATIONS = {
    "anthropic": to("anthropic", anthropic_messages, "claude-sonnet-4-5", **THINK),
    "anthropic, new": to("anthropic", anthropic_messages, "claude-opus-4-8", **THINK),
    "gemini": to("gemini", gemini, "gemini-3-pro", **THINK),
    "gemini, old": to("gemini", gemini, "gemini-2.5-flash"),
    "openai": to("openai", openai_chat, "gpt-4o"),
    "openai, new": to("openai", openai_chat, "gpt-5", **THINK),
    "responses": to("openai-responses", openai_responses, "gpt-5", **THINK),
    "responses, old": to("openai-responses", openai_responses, "gpt-4o"),
    "ollama": to("ollama", ollama, "m"),
    "mistral": to_mistral,
}
# How the seals of the stand-ins begin, by who made them.
SEALS = {"anthropic": "YW50aHJvcGlj", "gemini": "Z2VtaW5p", "responses": "b3BlbmFp"}


@st.composite
def turns(draw: Any, author: str) -> Any:
    """What an author's model says, and what the user and the tools say to it."""
    said = AUTHORS[author](draw)["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS | PARTS | st.just(""))}
        for call in draw(st.permutations(said.get("tool_calls", ())))
    ]
    return [json.loads(json.dumps(said)), *results]


@settings(max_examples=40)
@given(st.data())
def test_thirty_turns_that_fail_over_at_every_turn_are_taken_each_time(data):
    messages: list[Any] = data.draw(st.lists(SYSTEM, max_size=1))
    for _ in range(data.draw(st.integers(1, 30))):
        messages += data.draw(st.lists(USER | SYSTEM, max_size=2))
        messages += data.draw(turns(data.draw(st.sampled_from(sorted(AUTHORS)))))
        before = copy.deepcopy(messages)
        if any(each["role"] != "assistant" or each.get("content") for each in messages):
            DESTINATIONS[data.draw(st.sampled_from(sorted(DESTINATIONS)))]([*messages, *HI])
        assert messages == before


FORCED = {"tool_choice": "required"}
NAMED = {"tool_choice": {"type": "function", "function": {"name": "look"}}}


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize("destination", DESTINATIONS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_api_takes_what_every_other_has_said(author, destination, data):
    """Whether the user has spoken first or last, a tool is forced, or nobody has said a word."""
    messages = data.draw(st.lists(SYSTEM | USER, max_size=2))
    messages += data.draw(turns(author))
    messages += data.draw(st.lists(USER, max_size=2) | turns(author))
    options = data.draw(st.sampled_from([{}, FORCED, NAMED, {"tools": None}]))
    if destination == "mistral":
        options = {}
    try:
        DESTINATIONS[destination](messages, **options)
    except Unable as unable:  # an empty conversation has nothing to fail over with
        assert str(unable) == "no message says anything"


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize("destination", DESTINATIONS)
@given(data=st.data())
def test_what_is_sealed_goes_to_its_own_vendor_and_is_named_where_it_can_not(
    author, destination, data
):
    said, *results = data.draw(turns(author))
    assume(said.get("content") or said.get("tool_calls"))
    if said.get("provider_specific_fields", {}).get("responses_items"):
        return  # thoughts without a seal, or that led to nothing, stay behind: see the dialect's own
    written = DESTINATIONS[destination]([*HI, said, *results, *HI])
    sent, came = json.dumps(written.body), json.dumps(said)
    home = destination.split(",")[0] == author
    for vendor, mark in SEALS.items():
        if mark in came and home:
            assert mark in sent
        elif mark in came:
            assert mark not in sent
            named = {"reasoning", "server_tool:web_search"} & set(written.lost)
            thoughts = [each.get("thinking") for each in written.body.get("messages", ())]
            assert named or said["reasoning_content"] in thoughts  # Ollama takes the words of one
        else:
            assert mark not in sent
    searched = "srvtoolu" in came
    assert ("server_tool:web_search" in written.lost) == (searched and not home)
    assert ("srvtoolu" in sent) == (searched and home)
    if author in ("openai", "ollama") and said.get("reasoning_content"):
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
    sent = DESTINATIONS["openai"](messages).body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert sent[-1]["content"] == [image]


CALLERS = {
    "anthropic": ("anthropic", "chats", "chat", anthropic_messages),
    "gemini": ("gemini", "chats", "chat", gemini),
    "openai": ("openai", "chats", "chat", openai_chat),
    "openai-responses": ("openai", "responses", "/responses", openai_responses),
}
HOMES = ("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com")
# What was sealed by the real vendor, the stand-ins don't know.
SEALED = re.compile("signature|encrypted content|encrypted_content|`data` in `redacted")


def is_own_mistake(entry: Any, caller: str) -> bool:
    """Tell a request that its caller's own API would refuse; other hosts take other things."""
    broken = broken_rule(caller, entry["req"], _model(entry))
    return broken is not None and not SEALED.search(broken.message)


def _model(entry: Any) -> str:
    return entry["req"].get("model") or entry["url"].rsplit("/", 1)[-1].split(":")[0]


@pytest.mark.parametrize("caller", CALLERS)
def test_a_stand_in_takes_what_the_real_api_took(caller):
    wire, name, op, _ = CALLERS[caller]
    for entry in recorded(wire, name, op):
        if any(home in entry["url"] for home in HOMES):
            assert not is_own_mistake(entry, caller), entry["id"]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("destination", DESTINATIONS)
def test_a_recorded_conversation_is_taken_by_every_other_api_or_can_not_be_told(
    caller, destination
):
    wire, name, op, dialect = CALLERS[caller]
    for entry in recorded(wire, name, op):
        if is_own_mistake(entry, caller):
            continue
        try:
            messages = dialect.read_request(entry["req"]).request["messages"]
            DESTINATIONS[destination](messages)
        except (Unable, Unreadable):
            continue
        except AssertionError as refused:
            assert SEALED.search(str(refused)), entry["id"]
