"""The other direction: a caller who speaks generateContent, answered from the pivot.

The model and whether to stream stand in the address: the door adds them to the request.

Source: Google's API reference, models.generateContent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Read, Refusal
from pilotlight.dialects.fields import (
    count,
    dumps,
    need_name,
    need_object,
    need_objects,
    need_part,
    need_text,
    objects,
    part,
    present,
    text,
    words,
)
from pilotlight.dialects.gemini.answer import read_parts
from pilotlight.dialects.history import arguments_of, own_form

_HUMP: Final = re.compile(r"_([a-z])")
_SETTINGS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    # They have no other name in the pivot, and are Gemini's own there.
    "thinkingConfig": "thinkingConfig",
    "speechConfig": "speechConfig",
    "mediaResolution": "mediaResolution",
    "responseModalities": "responseModalities",
    "imageConfig": "imageConfig",
}
_OWN: Final = words("safetySettings cachedContent labels modelArmorConfig model stream")
_READ: Final = words("contents systemInstruction tools toolConfig generationConfig")
_SHAPES: Final = words("responseMimeType responseSchema responseJsonSchema")
_MODES: Final = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
# Free text and schemas of the caller's, whose names are not the API's.
_CLOSED: Final = words(
    "args response parameters parametersJsonSchema responseSchema responseJsonSchema labels"
)


def read_request(body: Any) -> Read:
    """Read a caller's request into the pivot.  Raises Unreadable, and nothing else."""
    given, losses = need_object(body, "the request"), Losses()
    body = {name: each for name, each in given.items() if name != "contents"}
    body = need_object(_camel(body), "the request")
    request = {name: body[name] for name in _OWN if body.get(name) is not None}
    system = _texts(need_part(body, "systemInstruction"), "systemInstruction.")
    told = [{"role": "system", "content": system}] if system else []
    request["messages"] = [*told, *_messages(_listed(given, "contents", ""))]
    settings = need_part(body, "generationConfig")
    for name, value in settings.items():
        if name in _SETTINGS and value is not None:
            request[_SETTINGS[name]] = value
        elif name not in _SHAPES:
            losses.add(name)
    request |= _shape(settings) | _tools(body)
    for name in body.keys() - _OWN - _READ:
        losses.add(name)
    return Read(request, losses.sorted())


def _camel(value: Any) -> Any:
    """Return the names of the API in the one of its two spellings that is read here."""
    if type(value) is list:
        return [_camel(each) if type(each) in _NESTED else each for each in value]
    if type(value) is not dict:
        return value
    found = {}
    for given, each in value.items():
        name = _HUMP.sub(lambda match: match[1].upper(), given) if "_" in given else given
        open_ = type(each) in _NESTED and name not in _CLOSED
        found[name] = _camel(each) if open_ else each
    return found


_NESTED: Final = (dict, list)


def _listed(content: Json, name: str, at: str) -> list[Json]:
    """Return a list of objects; one of them may stand there alone."""
    value = content.get(name)
    return [value] if type(value) is dict else need_objects(content, name, at)


def _texts(content: Json, at: str) -> str:
    return "".join(need_text(each, "text", at) for each in _listed(content, "parts", at))


def _plain(content: Json) -> Json | None:
    """Return the message of a turn that is one plain text, as most are; None for any other."""
    parts, role = content.get("parts"), content.get("role")
    if type(parts) is not list or len(parts) != 1 or type(only := parts[0]) is not dict:
        return None
    said = only.get("text") if len(only) == 1 else None
    if type(said) is not str or not said or role not in ("user", "model"):
        return None
    if role == "model":
        return {"role": "assistant", "content": said}
    return {"role": "user", "content": [{"type": "text", "text": said}]}


def _messages(contents: list[Json]) -> list[Json]:
    found: list[Json] = []
    waiting: list[tuple[str, str]] = []  # calls without a result: name and id
    for place, given in enumerate(contents):
        if (plain := _plain(given)) is not None:
            found.append(plain)
            continue
        content, at = _camel(given), f"contents[{place}]."
        parts = _listed(content, "parts", at)
        if need_text(content, "role", at) == "model":
            message = read_parts(parts, place)
            calls = message.get("tool_calls", ())
            waiting += [(call["function"]["name"], call["id"]) for call in calls]
            found.append(message)
            continue
        said: list[Json] = []
        for each in parts:
            if "functionResponse" in each:
                found.append(_result(need_part(each, "functionResponse", at), waiting, at))
            else:
                said.append(_part(each, at))
        if said:
            found.append({"role": "user", "content": said})
    return found


def _result(given: Json, waiting: list[tuple[str, str]], at: str) -> Json:
    """Return a result as a message; without an id it belongs to the next call of its name."""
    at += "functionResponse."
    name = need_name(given, "name", at)
    made = next((call_id for called, call_id in waiting if called == name), "call_0")
    call_id = text(given, "id") or made
    waiting[:] = [each for each in waiting if each[1] != call_id]
    content: Any = dumps(need_part(given, "response", at))
    if "parts" in given and (media := need_objects(given, "parts", at)):
        content = [{"type": "text", "text": content}, *(_part(each, at) for each in media)]
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _part(given: Json, at: str) -> Json:
    if "text" in given:
        return {"type": "text", "text": need_text(given, "text", at)}
    blob, file = need_part(given, "inlineData", at), need_part(given, "fileData", at)
    kind = text(blob, "mimeType") or text(file, "mimeType") or ""
    if blob:
        data = need_name(blob, "data", f"{at}inlineData.")
        url = f"data:{kind or 'image/png'};base64,{data}"
    elif file:
        url = need_name(file, "fileUri", f"{at}fileData.")
    else:
        return {"type": f"gemini:{next(iter(given), 'part')}", **given}
    if kind.startswith("image/") or not kind:
        return {"type": "image_url", "image_url": {"url": url}}
    if blob and kind.startswith("audio/"):
        form = kind.removeprefix("audio/").replace("mpeg", "mp3")
        return {"type": "input_audio", "input_audio": {"data": blob["data"], "format": form}}
    inside = {"file_data": url} if blob else {"file_id": url, "format": kind}
    return {"type": "file", "file": inside}


def _lower(schema: Any) -> Any:
    """Return a schema of Google's older form, whose types are in capitals, as JSON Schema."""
    if type(schema) is list:
        return [_lower(each) for each in schema]
    if type(schema) is not dict:
        return schema
    return {
        name: each.lower() if name == "type" and type(each) is str else _lower(each)
        for name, each in schema.items()
    }


def _shape(settings: Json) -> Json:
    schema = settings.get("responseJsonSchema") or _lower(settings.get("responseSchema"))
    if type(schema) is dict:
        wrapped = {"name": "response", "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": wrapped}}
    plain = text(settings, "responseMimeType") == "application/json"
    return {"response_format": {"type": "json_object"}} if plain else {}


def _tools(body: Json) -> Json:
    tools: list[Json] = []
    for tool in _listed(body, "tools", ""):
        for function in need_objects(tool, "functionDeclarations", "tools."):
            name = need_name(function, "name", "functionDeclarations.")
            schema = function.get("parametersJsonSchema") or _lower(function.get("parameters"))
            more = present(description=text(function, "description"), parameters=schema)
            tools.append({"type": "function", "function": {"name": name, **more}})
        own = {name: value for name, value in tool.items() if name != "functionDeclarations"}
        tools += [{name: value} for name, value in own.items()]
    found: Json = {"tools": tools} if tools else {}
    config = need_part(need_part(body, "toolConfig"), "functionCallingConfig", "toolConfig.")
    mode = _MODES.get((text(config, "mode") or "").upper())
    names = config.get("allowedFunctionNames")
    if mode and type(names) is list and names:
        listed = [{"type": "function", "function": {"name": name}} for name in names]
        allowed: Json = {"mode": mode, "tools": listed}
        one = {"type": "function", "function": {"name": names[0]}}
        several = {"type": "allowed_tools", "allowed_tools": allowed}
        found["tool_choice"] = one if len(names) == 1 and mode == "required" else several
    elif mode:
        found["tool_choice"] = mode
    return found


# Answers.

_REASONS: Final[Mapping[str, str]] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def write_answer(answer: Json) -> Json:
    """Write a whole answer of the pivot as Gemini would say it."""
    said = []
    for choice in objects(answer, "choices"):
        candidate = {"index": choice.get("index", 0), **ending_of(choice)}
        parts = own_form(part(choice, "message"), "gemini") or parts_of(part(choice, "message"))
        said.append({**candidate, "content": {"role": "model", "parts": parts}})
    return {
        "responseId": answer["id"],
        "modelVersion": answer["model"],
        "candidates": said,
        "usageMetadata": usage_from(part(answer, "usage")),
    }


def parts_of(message: Json) -> list[Json]:
    """Return what is said as parts."""
    found: list[Json] = []
    if thought := text(message, "reasoning_content"):
        found.append({"text": thought, "thought": True})
    if said := text(message, "content") or text(message, "refusal"):
        found.append({"text": said})
    for call in objects(message, "tool_calls"):
        function = part(call, "function") or part(call, "custom")
        named = present(id=text(call, "id"), name=text(function, "name"))
        signature = text(part(call, "provider_specific_fields"), "thought_signature")
        called = {"functionCall": {**named, "args": arguments_of(call, Losses())}}
        found.append(called | present(thoughtSignature=signature))
    return found


def ending_of(choice: Json) -> Json:
    """Return why it ended, in Gemini's word."""
    finish = text(choice, "finish_reason")
    if finish is None:
        return {}
    return {"finishReason": _REASONS.get(finish, finish.upper())}


def usage_from(usage: Json) -> Json:
    """Return the tokens by Gemini's names: thoughts count beside the answer there."""
    prompt, said = count(usage, "prompt_tokens") or 0, count(usage, "completion_tokens") or 0
    cached = count(part(usage, "prompt_tokens_details"), "cached_tokens")
    thought = count(part(usage, "completion_tokens_details"), "reasoning_tokens") or 0
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": max(0, said - thought),
        "totalTokenCount": prompt + said,
        **present(cachedContentTokenCount=cached, thoughtsTokenCount=thought or None),
    }


def write_refusal(refusal: Refusal) -> Json:
    """Write an error as Google would say it."""
    code = refusal.status or 500
    kind = refusal.kind or "INTERNAL"
    return {"error": {"code": code, "message": refusal.message, "status": kind}}
