"""What callers of each dialect may ask for, in its own words: pieces of a request with a name.

`messages` stand in the place of the usual ones, everything else beside them.
"""

from __future__ import annotations

from typing import Any

Pieces = dict[str, dict[str, Any]]

PIXEL = "iVBORw0KGgo="
DATA = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BOUNDED = {**SCHEMA, "properties": {"city": {"type": "string", "minLength": 2}}}
CLOSED = {**SCHEMA, "additionalProperties": False}
HI = {"role": "user", "content": "hi"}


def _user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]}


def _function(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "parameters": SCHEMA, **more}}


_CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    for n in range(2)
]
_RESULTS = [{"role": "tool", "tool_call_id": each["id"], "content": "sunny"} for each in _CALLS]
_SHOWN = [{"type": "image_url", "image_url": {"url": DATA}}]
_TOOLS = {"tools": [_function()]}
_SCHEMA = {"name": "n", "schema": SCHEMA}

CHAT: Pieces = {
    "temperature": {"temperature": 0.3},
    "`max_tokens`": {"max_tokens": 100},
    "a stop sequence": {"stop": ["END"]},
    "six stop sequences": {"stop": list("ABCDEF")},
    "`seed`": {"seed": 7},
    "`n`": {"n": 2},
    "penalties": {"presence_penalty": 0.5},
    "`logit_bias`": {"logit_bias": {"1": -100}},
    "`logprobs`": {"logprobs": True},
    "`reasoning_effort`": {"reasoning_effort": "high"},
    "`verbosity`": {"verbosity": "low"},
    "`user`": {"user": "u-1"},
    "`metadata`": {"metadata": {"a": "b"}},
    "`service_tier`": {"service_tier": "flex"},
    "`prediction`": {"prediction": {"type": "content", "content": "x"}},
    "tools": _TOOLS,
    "a strict tool": {"tools": [_function(strict=True, parameters=CLOSED)]},
    "a tool whose name has a dot": {"tools": [_function(name="files.read")]},
    "a bounded parameter (`minLength`)": {"tools": [_function(parameters=BOUNDED)]},
    "one tool forced": {
        **_TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "look"}},
    },
    "no parallel calls": {**_TOOLS, "parallel_tool_calls": False},
    "parallel calls and their results": {
        **_TOOLS,
        "messages": [HI, {"role": "assistant", "tool_calls": _CALLS}, *_RESULTS],
    },
    "a picture in a tool's result": {
        **_TOOLS,
        "messages": [
            HI,
            {"role": "assistant", "tool_calls": _CALLS[:1]},
            {**_RESULTS[0], "content": _SHOWN},
        ],
    },
    "a custom tool": {"tools": [{"type": "custom", "custom": {"name": "sql"}}]},
    "a JSON schema": {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
    "JSON of any form": {"response_format": {"type": "json_object"}},
    "web search": {"web_search_options": {}},
    "a picture": _user(*_SHOWN),
    "a picture by its address": _user(
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    ),
    "a picture's `detail`": _user(
        {"type": "image_url", "image_url": {"url": DATA, "detail": "high"}}
    ),
    "a sound": _user({"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}),
    "a PDF": _user({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXEL}"}}),
    "an uploaded file": _user({"type": "file", "file": {"file_id": "file-1"}}),
    "a speaker's `name`": {"messages": [{**HI, "name": "ada"}]},
    "thoughts of another turn": {
        "messages": [HI, {"role": "assistant", "content": "so", "reasoning_content": "hm"}, HI]
    },
    "a last turn of the assistant's": {"messages": [HI, {"role": "assistant", "content": "So"}]},
}


def _input(*items: Any) -> dict[str, Any]:
    return {"input": [HI, *items]}


_FLAT = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}
_FUNCTION = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
_OUTPUT = {"type": "function_call_output", "call_id": "c"}
_FORM = {"type": "json_schema", "name": "n", "schema": SCHEMA}

RESPONSES: Pieces = {
    "`instructions`": {"instructions": "be brief"},
    "temperature": {"temperature": 0.3},
    "`max_output_tokens`": {"max_output_tokens": 100},
    "`reasoning`": {"reasoning": {"effort": "high"}},
    "a verbosity": {"text": {"verbosity": "low"}},
    "`metadata`": {"metadata": {"a": "b"}},
    "`truncation`": {"truncation": "auto"},
    "`previous_response_id`": {"previous_response_id": "resp_1"},
    "tools": {"tools": [_FLAT]},
    "one tool forced": {"tools": [_FLAT], "tool_choice": {"type": "function", "name": "look"}},
    "a custom tool": {"tools": [{"type": "custom", "name": "sql"}]},
    "web search": {"tools": [{"type": "web_search"}]},
    "file search": {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
    "a JSON schema": {"text": {"format": _FORM}},
    "a call and its result": {
        "tools": [_FLAT],
        **_input(_FUNCTION, {**_OUTPUT, "output": "sunny"}),
    },
    "a picture in a tool's result": {
        "tools": [_FLAT],
        **_input(_FUNCTION, {**_OUTPUT, "output": [{"type": "input_image", "image_url": DATA}]}),
    },
    "sealed reasoning": _input(
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"role": "assistant", "content": "so"},
        HI,
    ),
    "a search of another turn": _input(
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "assistant", "content": "so"},
        HI,
    ),
    "a picture": _input({"role": "user", "content": [{"type": "input_image", "image_url": DATA}]}),
    "a PDF by its address": _input(
        {
            "role": "user",
            "content": [{"type": "input_file", "file_url": "https://example.com/a.pdf"}],
        }
    ),
}


def _blocks(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *blocks]}]}


def _said(*blocks: Any) -> dict[str, Any]:
    return {"messages": [HI, {"role": "assistant", "content": [*blocks]}, HI]}


_SOURCE = {"type": "base64", "media_type": "image/png", "data": PIXEL}
_TOOL = {"name": "look", "input_schema": SCHEMA}
_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
_SO = {"type": "text", "text": "so"}
_FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

MESSAGES: Pieces = {
    "`system`": {"system": "be brief"},
    "temperature": {"temperature": 0.3},
    "`top_k`": {"top_k": 5},
    "`stop_sequences`": {"stop_sequences": ["END"]},
    "`thinking` with a budget": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    "an effort": {"output_config": {"effort": "high"}},
    "a JSON schema": {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    "`metadata.user_id`": {"metadata": {"user_id": "u-1"}},
    "`service_tier`": {"service_tier": "standard_only"},
    "tools": {"tools": [_TOOL]},
    "one tool forced": {"tools": [_TOOL], "tool_choice": {"type": "tool", "name": "look"}},
    "no parallel calls": {
        "tools": [_TOOL],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "web search": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "code execution": {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
    "the computer": {"tools": [{"type": "computer_20250124", "name": "computer"}]},
    "cache marks": _blocks({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
    "a call and its result": {
        "tools": [_TOOL],
        "messages": [
            HI,
            {"role": "assistant", "content": [_USE]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}],
            },
        ],
    },
    "a picture in a tool's result": {
        "tools": [_TOOL],
        "messages": [
            HI,
            {"role": "assistant", "content": [_USE]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "image", "source": _SOURCE}],
                    }
                ],
            },
        ],
    },
    "signed thoughts": _said({"type": "thinking", "thinking": "hm", "signature": "x"}, _SO),
    "a search of another turn": _said(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        _FOUND,
        _SO,
    ),
    "a picture": _blocks({"type": "image", "source": _SOURCE}),
    "a PDF": _blocks({"type": "document", "source": {**_SOURCE, "media_type": "application/pdf"}}),
    "a text document": _blocks(
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        }
    ),
    "a search result of the caller's": _blocks(
        {"type": "search_result", "source": "s", "title": "t", "content": [_SO]}
    ),
    "a last turn of the assistant's": {"messages": [HI, {"role": "assistant", "content": "So"}]},
}


def _contents(*contents: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *contents]}


def _settings(**settings: Any) -> dict[str, Any]:
    return {"generationConfig": settings}


_DECLARED = {"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}
_MODEL_CALLS = {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]}
_ANSWER = {"name": "look", "response": {"output": "sunny"}}
_ANSWERED = {"role": "user", "parts": [{"functionResponse": _ANSWER}]}

GEMINI: Pieces = {
    "`systemInstruction`": {"systemInstruction": {"parts": [{"text": "be brief"}]}},
    "temperature": _settings(temperature=0.3),
    "`topK`": _settings(topK=5),
    "`stopSequences`": _settings(stopSequences=["END"]),
    "`candidateCount`": _settings(candidateCount=2),
    "`seed`": _settings(seed=7),
    "`thinkingConfig`": _settings(thinkingConfig={"thinkingLevel": "low"}),
    "a JSON schema": _settings(responseMimeType="application/json", responseJsonSchema=SCHEMA),
    "JSON of any form": _settings(responseMimeType="application/json"),
    "`safetySettings`": {"safetySettings": [{"category": "c", "threshold": "t"}]},
    "`cachedContent`": {"cachedContent": "cachedContents/1"},
    "tools": {"tools": [_DECLARED]},
    "one tool forced": {
        "tools": [_DECLARED],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    },
    "Google search": {"tools": [{"googleSearch": {}}]},
    "code execution": {"tools": [{"codeExecution": {}}]},
    "a call and its result": {"tools": [_DECLARED], **_contents(_MODEL_CALLS, _ANSWERED)},
    "a thought's signature": _contents(
        {"role": "model", "parts": [{"text": "so", "thoughtSignature": "eA=="}]},
        {"role": "user", "parts": [{"text": "on"}]},
    ),
    "a picture": _contents(
        {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}
    ),
    "a sound": _contents(
        {"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": PIXEL}}]}
    ),
    "a film": _contents(
        {"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": PIXEL}}]}
    ),
    "a last turn of the model's": _contents({"role": "model", "parts": [{"text": "So"}]}),
}

_NATIVE_CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"function": {"name": "look", "arguments": {}}}]}  # fmt: skip

OLLAMA: Pieces = {
    "temperature": {"options": {"temperature": 0.3}},
    "`top_k`": {"options": {"top_k": 5}},
    "`num_ctx`": {"options": {"num_ctx": 8192}},
    "`num_predict`": {"options": {"num_predict": 100}},
    "`stop`": {"options": {"stop": ["END"]}},
    "`keep_alive`": {"keep_alive": "5m"},
    "`think`": {"think": "high"},
    "`format`, a schema": {"format": SCHEMA},
    "`format`, `json`": {"format": "json"},
    "`raw`": {"raw": True},
    "tools": _TOOLS,
    "a call and its result": {
        **_TOOLS,
        "messages": [HI, _NATIVE_CALL, {"role": "tool", "tool_name": "look", "content": "sunny"}],
    },
    "thoughts of another turn": {
        "messages": [HI, {"role": "assistant", "content": "so", "thinking": "hm"}, HI]
    },
    "a picture": {"messages": [{**HI, "images": [PIXEL]}]},
}
