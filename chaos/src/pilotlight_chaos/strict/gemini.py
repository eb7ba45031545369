"""What Google's Gemini API refuses.

Fields may be written in either case there; the checks look at them in camel case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..dialects.base import obj
from ..http import Json, Reply
from ..wording import gemini as wording
from .gemini_contents import (
    BAD_NAME,
    DATA,
    NAME,
    NEW,
    contents,
    field,
    functions,
    order,
    parts_in,
    signatures,
    unknown,
)
from .rule import Broken, Posted, Rule, among, is_base64, is_number, sub_schemas, text, words

FIELDS = words(
    "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent "
    "labels modelArmorConfig model serviceTier store"
)
SETTINGS = words(
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities "
    "candidateCount maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty "
    "responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig thinkingConfig imageConfig "
    "mediaResolution audioTimestamp"
)
PART = frozenset(DATA) | {"thought", "thoughtSignature", "partMetadata", "videoMetadata",
                          "mediaResolution"}  # fmt: skip
MEDIA = re.compile(r"(?:image|audio|video|text)/|application/(?:pdf|json|x-javascript)")
SCHEMA = words(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems "
    "maxItems minimum maximum anyOf oneOf properties additionalProperties required "
    "propertyOrdering definitions default"
)
OPEN_API = words(
    "type format title description nullable enum maxItems minItems properties required "
    "minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering "
    "default items minimum maximum"
)
MOST_STOPS = 5
_HUMP = re.compile(r"_([a-z])")
_CLOSED = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "labels")


def reply(broken: Broken) -> Reply:
    return wording.error(broken.status, broken.message, "INVALID_ARGUMENT")


def camel(value: Any) -> Any:
    """Return a request with its fields in camel case."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {_HUMP.sub(lambda m: m[1].upper(), name): each for name, each in value.items()}
    return {name: each if name in _CLOSED else camel(each) for name, each in renamed.items()}


def fields(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    for name in body.keys() - FIELDS:
        yield unknown(name)
    for name in obj(body.get("generationConfig")).keys() - SETTINGS:
        yield unknown(name, "generation_config")
    for i, content in among(body, "contents"):
        for name in content.keys() - {"role", "parts"}:
            yield unknown(name, f"contents[{i}]")
    for i, j, _, part in parts_in(posted):
        for name in part.keys() - PART:
            yield unknown(name, f"contents[{i}].parts[{j}]")


def tools(posted: Posted) -> Iterator[Broken]:
    names: list[str] = []
    served = False
    for i, tool in among(posted.body, "tools"):
        served = served or bool(tool.keys() - {"functionDeclarations"})
        for j, function in among(tool, "functionDeclarations"):
            at = f"tools[{i}].function_declarations[{j}]"
            name = text(function, "name")
            if not NAME.fullmatch(name):
                yield field(f"{at}.name", BAD_NAME)
            if name in names:
                yield Broken(f"Duplicate function declaration found: {name}")
            names.append(name)
            yield from _schema(
                f"{at}.parameters_json_schema", function, "parametersJsonSchema", SCHEMA
            )
            yield from _schema(f"{at}.parameters", function, "parameters", OPEN_API)
    if served and names and not NEW.match(posted.model):
        yield Broken("Tool use with function calling is unsupported")
    calling = obj(obj(posted.body.get("toolConfig")).get("functionCallingConfig"))
    if calling and not names and not served:
        yield Broken("Function calling config is set without function_declarations.")
    only = calling.get("allowedFunctionNames") or []
    if only and text(calling, "mode") not in ("ANY", "VALIDATED"):
        yield Broken("allowed_function_names should only be set when function calling mode is ANY.")
    for name in only:
        if name not in names:
            at = "tool_config.function_calling_config.allowed_function_names"
            yield field(at, f"`{name}` is none of the function declarations")


def _schema(at: str, holder: Json, name: str, known: frozenset[str]) -> Iterator[Broken]:
    for path, schema in sub_schemas(holder.get(name)):
        for keyword in schema.keys() - known:
            yield unknown(keyword, f"{at}{path}")


def settings(posted: Posted) -> Iterator[Broken]:
    config = obj(posted.body.get("generationConfig"))
    yield from _schema(
        "generation_config.response_json_schema", config, "responseJsonSchema", SCHEMA
    )
    yield from _schema("generation_config.response_schema", config, "responseSchema", OPEN_API)
    if len(config.get("stopSequences") or ()) > MOST_STOPS:
        yield field("generation_config.stop_sequences", f"at most {MOST_STOPS} are allowed")
    if is_number(heat := config.get("temperature")) and not 0 <= heat <= 2:
        yield field("generation_config.temperature", "temperature must be in the range [0.0, 2.0].")
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        yield Broken("logprobs is only allowed when response_logprobs is true")
    json = config.get("responseMimeType") == "application/json"
    if json and posted.body.get("tools") and not NEW.match(posted.model):
        yield Broken(
            "Function calling with a response mime type: 'application/json' is unsupported"
        )
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if schema and not json:
        yield Broken("response_schema requires the response mime type 'application/json'")


def thinking(posted: Posted) -> Iterator[Broken]:
    config = obj(obj(posted.body.get("generationConfig")).get("thinkingConfig"))
    if not config:
        return
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        yield Broken("You can only set only one of thinking budget and thinking level.")
    if level is not None and not NEW.match(posted.model):
        yield Broken("Thinking level is not supported for this model.")
    if re.match(r"gemini-(?:1|2\.0)|gemma", posted.model):
        yield Broken("Thinking is not enabled for this model.")
    if budget == 0 and "-pro" in posted.model:
        yield Broken("Budget 0 is invalid. This model only works in thinking mode.")


def media(posted: Posted) -> Iterator[Broken]:
    shown = [(i, j, part) for i, j, _, part in parts_in(posted)]
    for i, j, part in list(shown):
        inner = [each for _, each in among(obj(part.get("functionResponse")), "parts")]
        if inner and not NEW.match(posted.model):
            yield unknown("parts", f"contents[{i}].parts[{j}].function_response")
        shown += [(i, j, each) for each in inner]
    for i, j, part in shown:
        blob = part.get("inlineData")
        if not isinstance(blob, dict):
            continue
        if not MEDIA.match(text(blob, "mimeType")):
            yield Broken(f"Unsupported MIME type: {text(blob, 'mimeType')}")
        if not is_base64(text(blob, "data")):
            at = f"contents[{i}].parts[{j}].inline_data.data"
            yield Broken(f"Invalid value at '{at}' (TYPE_BYTES), Base64 decoding failed")


API = "ai.google.dev/api/generate-content"
CALLING = "ai.google.dev/gemini-api/docs/function-calling"
SIGNED = "ai.google.dev/gemini-api/docs/thought-signatures"
RULES = (
    Rule("no unknown field, in the request, its settings, contents or parts", API, fields),
    Rule("there are contents by `user` and `model`, none empty; the last is not a newer model's",
         "anomalyco/opencode#45359", contents),
    Rule("names of functions have their alphabet; arguments and results are objects", CALLING,
         functions),
    Rule("calls follow the user or results, and as many results follow them at once",
         "google-gemini/gemini-cli#11814", order),
    Rule("signatures are Gemini's own; newer models want one with the first call of each step",
         SIGNED, signatures),
    Rule("declarations have names and schemas that it knows; a choice names one of them", CALLING,
         tools),
    Rule("settings are in range; older models take no JSON beside tools", API, settings),
    Rule("thinking is set by budget or by level, as the model knows it",
         "ai.google.dev/gemini-api/docs/thinking", thinking),
    Rule("media are of a kind that it takes, in base64",
         "ai.google.dev/gemini-api/docs/image-understanding", media),
)  # fmt: skip
