"""Strict stand-ins refuse what the real APIs do, in their words, and take their own back."""

# ruff: noqa: E501 - tables

from __future__ import annotations

import copy
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight_chaos import ChaosServer
from pilotlight_chaos.seals import seal
from pilotlight_chaos.strict import RULES, broken_rule
from pilotlight_chaos.strict.rule import Posted

# The SDK knows from when on a model is no more; these never were one.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**SCHEMA, "additionalProperties": False}
OPEN = {**SCHEMA, "properties": {"city": {"type": "string"}, "day": {"type": "string"}}}
PIXEL = "iVBORw0KGgo="
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
REASON = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": seal("openai", "rs_1"),
}
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": seal("anthropic", "hm")}
FUNCTION = {
    "functionCall": {"name": "weather", "args": {}},
    "thoughtSignature": seal("gemini", "weather"),
}
ANSWER = {"functionResponse": {"name": "weather", "response": {"output": "sunny"}}}

GOOD: dict[str, Any] = {
    "openai": {
        "model": "gpt-4o",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ],
        "tools": [CHAT_TOOL],
    },
    "openai-responses": {
        "model": "gpt-5",
        "input": [{"role": "user", "content": "hi"}, REASON, ITEM, OUTPUT],
        "tools": [{"type": "function", "name": "weather", "parameters": CLOSED, "strict": True}],
        "store": False,
    },
    "anthropic": {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [THOUGHT, USE]},
            {"role": "user", "content": [RESULT]},
        ],
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
    },
    "gemini": {
        "model": "gemini-3-pro",
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [FUNCTION]},
            {"role": "user", "parts": [ANSWER]},
        ],
        "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}],
    },
    "ollama": {
        "model": "llama3.2",
        "messages": [
            {"role": "user", "content": "hi", "images": [PIXEL]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]},
            {"role": "tool", "tool_name": "weather", "content": "sunny"},
        ],
        "tools": [CHAT_TOOL],
        "options": {"stop": ["END"]},
    },
}  # fmt: skip
Path = tuple[Any, ...]


def at(*path: Any) -> Path:
    return path


# What is changed in the good request, and a piece of the words that come back.
BAD: list[tuple[str, Path, Any, str]] = [
    ("openai", at("foo"), 1, "Unrecognized request argument supplied: foo"),
    ("openai", at("messages"), [], "Invalid 'messages': empty array"),
    ("openai", at("messages", 0, "role"), "human", "Invalid value: 'human'"),
    ("openai", at("messages", 1, "reasoning_content"), "x", "Unknown parameter: 'messages[1].reasoning_content'"),
    ("openai", at("messages", 0, "content"), [{"type": "thinking"}], "Invalid value: 'thinking'"),
    ("openai", at("messages", 0, "content"), [{"type": "text", "text": "a", "cache_control": {}}], "content[0].cache_control"),
    ("openai", at("messages", 2, "content"), [{"type": "image_url", "image_url": {}}], "Image URLs are only allowed"),
    ("openai", at("messages", 1, "tool_calls", 0, "id"), "x" * 41, "maximum length 40"),
    ("openai", at("messages", 1, "tool_calls", 0, "function", "arguments"), {}, "expected a string, but got an object"),
    ("openai", at("messages", 1, "tool_calls", 0, "function", "name"), "a.b", "does not match pattern"),
    ("openai", at("messages", 2, "tool_call_id"), "other", "must be a response to a preceeding message"),
    ("openai", at("messages", 2), {"role": "user", "content": "a"}, "did not have response messages: call_1"),
    ("openai", at("tools", 0, "function", "name"), "x" * 65, "maximum length 64"),
    ("openai", at("tools"), None, ""),
    ("openai", at("tool_choice"), {"type": "function", "function": {"name": "b"}}, "not found in 'tools'"),
    ("openai", at("stop"), list("abcde"), "array too long"),
    ("openai", at("model"), "gpt-5", ""),
    ("openai", at("temperature"), 3, "decimal above maximum value"),
    ("openai", at("reasoning_effort"), "low", "reasoning_effort"),
    ("openai", at("response_format"), {"type": "json_object"}, "must contain the word 'json'"),
    ("openai", at("tools", 0, "function", "strict"), True, "'additionalProperties' is required"),
    ("openai-responses", at("messages"), [], "Unknown parameter: 'messages'"),
    ("openai-responses", at("input", 1, "status"), None, "Unknown parameter: 'input[1].status'"),
    ("openai-responses", at("input", 2, "id"), "toolu_1", "Expected an ID that begins with 'fc'"),
    ("openai-responses", at("input", 0, "content"), [{"type": "text"}], "Supported values are: 'input_text'"),
    ("openai-responses", at("input", 2, "call_id"), "x" * 94, "maximum length 64"),
    ("openai-responses", at("input", 3, "call_id"), "call_2", "No tool call found"),
    ("openai-responses", at("input", 3), {"role": "user", "content": "a"}, "No tool output found"),
    ("openai-responses", at("input", 1, "encrypted_content"), seal("anthropic", "rs_1"), "could not be verified"),
    ("openai-responses", at("input", 1, "content"), [{"type": "reasoning_text"}], "maximum length 0"),
    ("openai-responses", at("input"), [{"role": "user", "content": "hi"}, ITEM, REASON, OUTPUT], "without its required following item"),
    ("openai-responses", at("tools", 0, "parameters"), OPEN, "'additionalProperties' is required"),
    ("openai-responses", at("max_output_tokens"), 5, "integer below minimum value"),
    ("anthropic", at("max_tokens"), None, "max_tokens: Field required"),
    ("anthropic", at("stop"), ["a"], "stop: Extra inputs are not permitted"),
    ("anthropic", at("temperature"), 1.5, "less than or equal to 1"),
    ("anthropic", at("messages", 0, "role"), "system", "Unexpected role"),
    ("anthropic", at("messages", 0, "content"), [{"type": "image_url"}], "Input tag 'image_url'"),
    ("anthropic", at("messages", 1, "content", 1), RESULT, "can only be in `user` messages"),
    ("anthropic", at("messages", 0, "content"), [{"type": "text", "text": ""}], "must be non-empty"),
    ("anthropic", at("messages", 0, "content"), " \n", "must contain non-whitespace"),
    ("anthropic", at("messages", 0, "content"), [], "must have non-empty content"),
    ("anthropic", at("messages", 1, "content", 1, "id"), "a.b", "tool_use.id: String should match"),
    ("anthropic", at("messages", 1, "content", 1, "input"), "{}", "valid dictionary"),
    ("anthropic", at("messages", 2, "content", 0, "tool_use_id"), "toolu_2", "unexpected `tool_use_id`"),
    ("anthropic", at("messages", 2, "content"), [{"type": "text", "text": "a"}, RESULT], "without `tool_result` blocks immediately"),
    ("anthropic", at("messages", 2, "content"), [RESULT, RESULT], "multiple `tool_result` blocks"),
    ("anthropic", at("messages", 1, "content", 0, "thinking"), "other", "Invalid `signature`"),
    ("anthropic", at("messages", 1, "content", 0, "signature"), seal("gemini", "hm"), "Invalid `signature`"),
    ("anthropic", at("messages", 1, "content"), [USE, THOUGHT], "final block in an assistant message"),
    ("anthropic", at("messages", 1, "content"), [USE], "Expected `thinking` or `redacted_thinking`"),
    ("anthropic", at("messages"), [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "text", "text": "a"}]}, {"role": "user", "content": "so"}], "without a corresponding `web_search_tool_result`"),
    ("anthropic", at("tool_choice"), {"type": "any"}, "Thinking may not be enabled"),
    ("anthropic", at("thinking", "budget_tokens"), 100, "greater than or equal to 1024"),
    ("anthropic", at("tools"), None, "must define tools"),
    ("anthropic", at("tools", 0, "strict"), True, "must be explicitly set to false"),
    ("anthropic", at("messages", 0, "content"), [{"type": "image", "source": {"type": "base64", "media_type": "image/heic", "data": "AAAA"}}], "media_type: Input should be"),
    ("anthropic", at("messages", 0, "content"), [{"type": "text", "text": "a", "cache_control": {}}] * 5, ""),
    ("anthropic", at("messages", 0, "content"), [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5, "A maximum of 4 blocks"),
    ("anthropic", at("messages", 3), {"role": "assistant", "content": "so "}, "trailing whitespace"),
    ("gemini", at("foo"), 1, 'Unknown name "foo"'),
    ("gemini", at("contents", 0, "role"), "assistant", "Please use a valid role"),
    ("gemini", at("contents", 0, "parts"), [], "parts must not be empty"),
    ("gemini", at("contents", 3), {"role": "model", "parts": [{"text": "a"}]}, "ending with a model turn"),
    ("gemini", at("contents", 0, "role"), "model", "immediately after a user turn"),
    ("gemini", at("contents", 2, "parts"), [ANSWER, ANSWER], "equal to the number of function call parts"),
    ("gemini", at("contents", 2, "parts", 0), {"text": "a"}, "equal to the number of function call parts"),
    ("gemini", at("contents", 2, "parts", 0, "functionResponse", "response"), "sunny", "(Struct)"),
    ("gemini", at("contents", 1, "parts", 0, "functionCall", "name"), "a b", "Invalid function name"),
    ("gemini", at("contents", 1, "parts", 0, "thoughtSignature"), None, "missing a thought_signature"),
    ("gemini", at("contents", 1, "parts", 0, "thoughtSignature"), seal("anthropic", "weather"), "Corrupted thought signature"),
    ("gemini", at("tools", 0, "functionDeclarations", 0, "parametersJsonSchema", "minLength"), 1, "Unknown name \"minLength\""),
    ("gemini", at("toolConfig"), {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["weather"]}}, "mode is ANY"),
    ("gemini", at("generationConfig"), {"stopSequences": list("abcdef")}, "at most 5"),
    ("gemini", at("generationConfig"), {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "low"}}, "only set only one"),
    ("gemini", at("contents", 0, "parts"), [{"inlineData": {"mimeType": "image/png", "data": "?"}}], "Base64 decoding failed"),
    ("ollama", at("messages", 0, "content"), [], "cannot unmarshal array"),
    ("ollama", at("messages", 1, "tool_calls", 0, "function", "arguments"), "{}", "cannot unmarshal string"),
    ("ollama", at("tools", 0, "function", "parameters", "properties", "city"), True, "cannot unmarshal bool"),
    ("ollama", at("options", "stop"), "END", "must be of type array"),
]  # fmt: skip


def changed(good: Any, path: Path, value: Any) -> Any:
    body = copy.deepcopy(good)
    inner = body
    for step in path[:-1]:
        inner = inner[step]
    if isinstance(inner, list) and path[-1] == len(inner):
        inner.append(value)
    elif value is None and path[-1] != "status":
        inner.pop(path[-1])
    else:
        inner[path[-1]] = value
    return body


@pytest.mark.parametrize("api", GOOD)
def test_a_good_request_is_taken(api: str) -> None:
    assert broken_rule(api, GOOD[api]) is None


@pytest.mark.parametrize(("api", "path", "value", "said"), BAD)
def test_a_bad_one_is_refused_in_the_apis_words(
    api: str, path: Path, value: Any, said: str
) -> None:
    broken = broken_rule(api, changed(GOOD[api], path, value))
    assert (broken is None) == (not said)
    assert broken is None or said in broken.message


@pytest.mark.parametrize("api", RULES)
def test_every_rule_is_broken_by_one_of_these(api: str) -> None:
    bodies = [changed(GOOD[api], path, value) for a, path, value, _ in BAD if a == api]
    for rule in RULES[api]:
        found = [(next(iter(rule.check(Posted(b, b.get("model", "")))), None), b) for b in bodies]
        assert any(broken and broken == broken_rule(api, body) for broken, body in found), rule.what
        assert rule.source


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _paths(value: Any, path: Path = ()) -> list[Path]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(p for key, each in inner for p in _paths(each, (*path, key)))]  # fmt: skip


@pytest.mark.parametrize("api", GOOD)
@given(data=st.data())
def test_any_json_at_all_is_taken_or_refused(api: str, data: st.DataObject) -> None:
    body = GOOD[api]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_paths(body)[1:] or [("model",)]))
        body = copy.deepcopy(body)
        inner = body
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = data.draw(ANY)
    broken_rule(api, body)


@pytest.fixture
def strict() -> Any:
    with ChaosServer(strict=True) as server:
        yield server


def test_the_sdk_sees_the_real_refusal(strict: ChaosServer, http: httpx.Client) -> None:
    client = openai.OpenAI(
        base_url=f"{strict.base('a')}/v1", api_key="k", max_retries=0, http_client=http
    )
    with pytest.raises(openai.BadRequestError, match="maximum length 40") as refused:
        client.chat.completions.create(**changed(GOOD["openai"], *BAD[7][1:3]))
    assert refused.value.code == "string_above_max_length"
    path = at("messages", 1, "content", 0, "thinking")
    with (
        anthropic.Anthropic(base_url=strict.base("b"), api_key="k", max_retries=0) as claude,
        pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"),
    ):
        claude.messages.create(**changed(GOOD["anthropic"], path, "other"))


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_stand_in_thinks_finds_and_calls_it_takes_back(
    strict: ChaosServer, stream: bool
) -> None:
    tools = [
        {"name": "weather", "input_schema": SCHEMA},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    asked: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": tools,
    }
    messages: list[Any] = [{"role": "user", "content": "Search, then use the weather tool"}]
    with anthropic.Anthropic(base_url=strict.base("b"), api_key="k", max_retries=0) as claude:
        if stream:
            with claude.messages.stream(**asked, messages=messages) as events:
                said = events.get_final_message()
        else:
            said = claude.messages.create(**asked, messages=messages)
        kinds = [block.type for block in said.content]
        assert kinds == ["thinking", "server_tool_use", "web_search_tool_result", "tool_use"]
        blocks = [block.model_dump(exclude_none=True) for block in said.content]
        result = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": "sunny"}
        messages += [
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": [result]},
        ]
        assert claude.messages.create(**asked, messages=messages).content[-1].type == "text"
