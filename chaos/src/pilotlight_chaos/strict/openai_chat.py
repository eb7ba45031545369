"""What OpenAI's chat completions refuse."""

from __future__ import annotations

from collections.abc import Iterator

from ..dialects.base import obj
from ..http import Json
from .openai import (
    PLAIN,
    REASONS,
    empty,
    id_of,
    missing,
    name_of,
    odd,
    sampling,
    strict_schema,
    too_many,
    unknown,
    value_of,
)
from .rule import Broken, Posted, Rule, among, text, words

FIELDS = words(
    "model messages audio frequency_penalty function_call functions logit_bias logprobs "
    "max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls "
    "prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream "
    "stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options"
)
ROLES = {  # with the kinds of parts that each may say
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
    "function": {"text"},
}
MESSAGE = words("role content name tool_calls tool_call_id function_call refusal audio annotations")
CALL = words("id type function custom")
PARTS = {
    "text": {"type", "text"},
    "refusal": {"type", "refusal"},
    "image_url": {"type", "image_url"},
    "input_audio": {"type", "input_audio"},
    "file": {"type", "file"},
}
MOST_ID = 40
MOST_STOPS = 4
MOST_TOOLS = 128


def fields(posted: Posted) -> Iterator[Broken]:
    for name in posted.body.keys() - FIELDS:
        yield Broken(f"Unrecognized request argument supplied: {name}")


def messages(posted: Posted) -> Iterator[Broken]:
    found = among(posted.body, "messages")
    if not found:
        yield empty("messages")
    for i, message in found:
        at, role = f"messages[{i}]", text(message, "role")
        if role not in ROLES:
            yield value_of(f"{at}.role", role, list(ROLES))
            continue
        for name in _given(message) - MESSAGE:
            yield unknown(f"{at}.{name}")
        for j, call in among(message, "tool_calls"):
            for name in call.keys() - CALL:
                yield unknown(f"{at}.tool_calls[{j}].{name}")


def contents(posted: Posted) -> Iterator[Broken]:
    for i, message in among(posted.body, "messages"):
        at, role, content = f"messages[{i}]", text(message, "role"), message.get("content")
        told = ("tool_calls", "function_call", "refusal", "audio")
        if content is None and (role != "assistant" or not any(map(message.get, told))):
            message_text = "Invalid value for 'content': expected a string, got null."
            yield Broken(message_text, f"messages.[{i}].content")
        elif content is not None and not isinstance(content, str | list):
            yield odd(f"{at}.content", content, "one of a string or array of objects")
        if content == []:
            yield empty(f"{at}.content")
        for j, part in among(message, "content"):
            kind, where = text(part, "type"), f"{at}.content[{j}]"
            if kind in PARTS and kind not in ROLES[role]:
                yield Broken(_misplaced(at, kind, role), at, "invalid_value")
            elif kind not in PARTS:
                yield value_of(f"{where}.type", kind, sorted(PARTS))
            else:
                for name in _given(part) - PARTS[kind]:
                    yield unknown(f"{where}.{name}")


def _given(thing: Json) -> set[str]:
    return {name for name, value in thing.items() if value is not None}


def _misplaced(at: str, kind: str, role: str) -> str:
    shown = "Image URLs are" if kind == "image_url" else f"Content of type '{kind}' is"
    return (
        f"Invalid '{at}'. {shown} only allowed for messages with role 'user', but this message "
        f"with role '{role}' contains it."
    )


def calls(posted: Posted) -> Iterator[Broken]:
    for i, message in among(posted.body, "messages"):
        if message.get("tool_calls") == []:
            yield empty(f"messages[{i}].tool_calls")
        for j, call in among(message, "tool_calls"):
            at = f"messages[{i}].tool_calls[{j}]"
            yield from id_of(f"{at}.id", call.get("id"), MOST_ID)
            if call.get("type") not in ("function", "custom"):
                yield missing(f"{at}.type")
            function = obj(call.get("function"))
            if function:
                yield from name_of(f"{at}.function.name", text(function, "name"))
                if not isinstance(given := function.get("arguments"), str):
                    yield odd(f"{at}.function.arguments", given, "a string")
        if message.get("role") == "tool":
            yield from id_of(f"messages[{i}].tool_call_id", message.get("tool_call_id"), MOST_ID)


def pairs(posted: Posted) -> Iterator[Broken]:
    waiting: list[str] = []
    last: Json = {}
    for i, message in [*among(posted.body, "messages"), (-1, last)]:
        if message.get("role") == "tool":
            answered = text(message, "tool_call_id")
            if answered not in waiting:
                yield Broken(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    f"messages.[{i}].role",
                )
            waiting = [each for each in waiting if each != answered]
            continue
        if waiting:
            yield Broken(
                "An assistant message with 'tool_calls' must be followed by tool messages "
                "responding to each 'tool_call_id'. The following tool_call_ids did not have "
                f"response messages: {', '.join(waiting)}",
                "messages",
            )
        waiting = [text(call, "id") for _, call in among(message, "tool_calls")]


def tools(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    given = among(body, "tools")
    if body.get("tools") == []:
        yield empty("tools")
    if len(given) > MOST_TOOLS:
        yield too_many("tools", len(given), MOST_TOOLS)
    names = set()
    for i, tool in given:
        kind, function = text(tool, "type"), obj(tool.get("function"))
        if kind not in ("function", "custom"):
            yield value_of(f"tools[{i}].type", kind, ["function", "custom"])
            continue
        for name in tool.keys() - {"type", "function", "custom"}:
            yield unknown(f"tools[{i}].{name}")
        called = text(function or obj(tool.get("custom")), "name")
        names.add(called)
        yield from name_of(f"tools[{i}].{kind}.name", called)
        if function.get("strict") is True:
            at, what = f"tools[{i}].function.parameters", f"function '{called}'"
            yield from strict_schema(at, what, function.get("parameters"))
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not given:
            yield Broken(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                name,
            )
    forced = text(obj(obj(body.get("tool_choice")).get("function")), "name")
    if forced and forced not in names:
        yield Broken(
            f"Invalid value for 'tool_choice': Function '{forced}' not found in 'tools' parameter.",
            "tool_choice",
        )


def options(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > MOST_STOPS:
        yield too_many("stop", len(stop), MOST_STOPS)
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        yield Broken("Invalid value for 'top_logprobs': only allowed when 'logprobs' is true.")
    if {"max_tokens", "max_completion_tokens"} <= body.keys():
        yield Broken(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            None,
            "invalid_parameter_combination",
        )


def models(posted: Posted) -> Iterator[Broken]:
    body, model = posted.body, posted.model
    penalties = ("presence_penalty", "frequency_penalty")
    yield from sampling(body, model, "temperature", "top_p", *penalties)
    if REASONS.match(model) and body.get("max_tokens") is not None:
        yield Broken(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if REASONS.match(model) and "." not in model and body.get("stop") is not None:
        yield Broken("Unsupported parameter: 'stop' is not supported with this model.", "stop",
                     "unsupported_parameter")  # fmt: skip
    if PLAIN.match(model) and body.get("reasoning_effort") is not None:
        yield Broken("Unrecognized request argument supplied: reasoning_effort")


def shape(posted: Posted) -> Iterator[Broken]:
    form = obj(posted.body.get("response_format"))
    if form.get("type") == "json_object":
        said = str(posted.body.get("messages"))
        if "json" not in said.lower():
            yield Broken(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of "
                "type 'json_object'.",
                "messages",
            )
    if form.get("type") == "json_schema":
        wanted = obj(form.get("json_schema"))
        yield from name_of("response_format.json_schema.name", text(wanted, "name"))
        if wanted.get("strict") is True:
            what = f"response_format '{text(wanted, 'name')}'"
            yield from strict_schema("response_format", what, wanted.get("schema"))


API = "platform.openai.com/docs/api-reference/chat/create"
CALLING = "platform.openai.com/docs/guides/function-calling"
REASONING = "platform.openai.com/docs/guides/reasoning"
STRUCTURED = "platform.openai.com/docs/guides/structured-outputs"
RULES = (
    Rule("no unknown option", API, fields),
    Rule("there is a message; roles are known, and messages have no unknown field", API, messages),
    Rule("contents are there, of parts that the role may say, with no unknown field", API,
         contents),
    Rule("ids of calls have 1 to 40 characters, names their alphabet, arguments are texts",
         "vercel/ai#8132", calls),
    Rule("each call has a result at once, and each result a call", CALLING, pairs),
    Rule("tools have names of their alphabet, 128 at most; a forced one is among them", CALLING,
         tools),
    Rule("four stop sequences at most; logprobs go together", API, options),
    Rule("a model that reasons takes no sampling, no `stop`, no `max_tokens`; no other an effort",
         REASONING, models),
    Rule("a strict schema is closed and requires all that it has; JSON mode says the word",
         STRUCTURED, shape),
)  # fmt: skip
