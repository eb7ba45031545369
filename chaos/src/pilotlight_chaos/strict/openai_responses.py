"""What OpenAI's Responses API refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..dialects.base import obj
from ..http import Json
from ..seals import is_sealed
from .openai import (
    PLAIN,
    REASONS,
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
from .rule import Broken, Posted, Rule, among, is_number, text, words

FIELDS = words(
    "model input background conversation context_management include instructions "
    "max_output_tokens max_tool_calls metadata moderation parallel_tool_calls "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning safety_identifier service_tier store stream stream_options temperature text "
    "tool_choice tools top_logprobs top_p truncation user"
)
# The items, each with its fields; None: any.
ITEMS: dict[str, set[str] | None] = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status", "namespace"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "encrypted_content", "content"},
    "item_reference": {"type", "id"},
    **dict.fromkeys(
        words(
            "web_search_call file_search_call code_interpreter_call image_generation_call"
            " computer_call computer_call_output local_shell_call local_shell_call_output"
            " shell_call shell_call_output apply_patch_call apply_patch_call_output"
            " tool_search_call tool_search_output additional_tools mcp_call mcp_list_tools"
            " mcp_approval_request mcp_approval_response compaction"
        )
    ),
}  # fmt: skip
HEARD = ("input_text", "input_image", "input_file", "input_audio")
SPOKEN = ("output_text", "refusal")
IDS = {  # how the id of an item begins
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "reasoning": "rs",
    "web_search_call": "ws",
}
ID = re.compile(r"[A-Za-z0-9_-]+")
KEPT = ("previous_response_id", "conversation")  # where OpenAI has the turns before
MOST_ID = 64
LEAST = 16


def _items(posted: Posted) -> Iterator[tuple[str, str, Json]]:
    for i, item in among(posted.body, "input"):
        yield f"input[{i}]", text(item, "type") or "message", item


def fields(posted: Posted) -> Iterator[Broken]:
    for name in posted.body.keys() - FIELDS:
        yield unknown(name)
    if not any(map(posted.body.get, ("input", *KEPT, "prompt"))):
        yield missing("input")


def items(posted: Posted) -> Iterator[Broken]:
    for at, kind, item in _items(posted):
        if kind not in ITEMS:
            yield value_of(at, kind, sorted(ITEMS))
        elif (known := ITEMS[kind]) is not None:
            for name in item.keys() - known:
                yield unknown(f"{at}.{name}")
        role = text(item, "role")
        if kind == "message" and role not in ("user", "assistant", "system", "developer"):
            yield value_of(f"{at}.role", role, ["assistant", "system", "developer", "user"])
        given = item.get("id")
        if given is None or kind == "item_reference":
            continue
        if not isinstance(given, str) or not ID.fullmatch(given):
            told = (
                f"Invalid '{at}.id': '{given}'. Expected an ID that contains letters, numbers, "
                "underscores, or dashes, but this value contained additional characters."
            )
            yield Broken(told, f"{at}.id", "invalid_value")
        elif not given.startswith(begins := IDS.get(kind, "")):
            told = f"Invalid '{at}.id': '{given}'. Expected an ID that begins with '{begins}'."
            yield Broken(told, f"{at}.id", "invalid_value")


def contents(posted: Posted) -> Iterator[Broken]:
    for at, kind, item in _items(posted):
        if kind == "message":
            content = item.get("content")
            allowed = list(SPOKEN if item.get("role") == "assistant" else HEARD)
            if not isinstance(content, str | list):
                yield odd(f"{at}.content", content, "one of a string or array of objects")
            for j, part in among(item, "content"):
                if text(part, "type") not in allowed:
                    yield value_of(f"{at}.content[{j}]", text(part, "type"), allowed)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            output = item.get("output")
            if not isinstance(output, str | list):
                yield missing(f"{at}.output")
            for j, part in among(item, "output"):
                if text(part, "type") not in HEARD:
                    yield value_of(f"{at}.output[{j}]", text(part, "type"), list(HEARD))


def calls(posted: Posted) -> Iterator[Broken]:
    for at, kind, item in _items(posted):
        if kind not in CALLS and kind not in CALLS.values():
            continue
        yield from id_of(f"{at}.call_id", item.get("call_id"), MOST_ID)
        if kind == "function_call":
            yield from name_of(f"{at}.name", text(item, "name"))
            if not isinstance(given := item.get("arguments"), str):
                yield odd(f"{at}.arguments", given, "a string")


CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}


def pairs(posted: Posted) -> Iterator[Broken]:
    """Check that each call has its output; of one response all come before anything else."""
    found = list(_items(posted))
    ids = {text(item, "call_id") for _, kind, item in found if kind.endswith("_call")}
    called: dict[str, str] = {}
    for _, kind, item in found:
        if kind in CALLS:
            called[text(item, "call_id")] = CALLS[kind]
        elif kind in CALLS.values():
            known = called.pop(text(item, "call_id"), kind)
            orphan = known != kind or text(item, "call_id") not in ids
            if orphan and not any(map(posted.body.get, KEPT)):
                yield Broken(
                    f"No tool call found for function call output with call_id "
                    f"{text(item, 'call_id')}.",
                    "input",
                )
        elif called and item.get("role") in ("user", "developer", "system"):
            break
    for waiting in called:
        yield Broken(f"No tool output found for function call {waiting}.", "input")


def reasoning(posted: Posted) -> Iterator[Broken]:
    """Check thoughts: sealed by OpenAI for their item, without open words, leading to something."""
    found = list(_items(posted))
    for place, (at, kind, item) in enumerate(found):
        if kind != "reasoning":
            continue
        if not isinstance(item.get("summary"), list):
            yield missing(f"{at}.summary")
        if item.get("content"):
            yield too_many(f"{at}.content", len(item["content"]), 0)
        named, sealed = text(item, "id"), item.get("encrypted_content")
        if sealed is None and posted.body.get("store") is False:
            told = (
                f"Item with id '{named}' not found. Items are not persisted when `store` is set to "
                "false. Try again with `store` set to true, or remove this item from your input."
            )
            yield Broken(told, "input", None, 404)
        elif sealed is not None and not is_sealed("openai", named, sealed):
            told = (
                f"The encrypted content {str(sealed)[:4]}...{str(sealed)[-4:]} could not be "
                "verified. Reason: Encrypted content could not be decrypted or parsed."
            )
            yield Broken(told, None, "invalid_encrypted_content")
        if not any(_is_models(*each[1:]) for each in found[place + 1 : place + 2]):
            told = (
                f"Item '{named}' of type 'reasoning' was provided without its required following "
                "item."
            )
            yield Broken(told, "input")


def _is_models(kind: str, item: Json) -> bool:
    """Tell what the model says from what is said to it."""
    return not kind.endswith("_output") and item.get("role", "assistant") == "assistant"


def tools(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    names = set()
    for i, tool in among(body, "tools"):
        at, kind = f"tools[{i}]", text(tool, "type")
        if not kind:
            yield missing(f"{at}.type")
        if kind not in ("function", "custom"):
            continue
        if not (name := text(tool, "name")):
            yield missing(f"{at}.name")
            continue
        names.add(name)
        yield from name_of(f"{at}.name", name)
        if kind == "function" and tool.get("strict") is True:
            yield from strict_schema(
                f"{at}.parameters", f"function '{name}'", tool.get("parameters")
            )
    choice = body.get("tool_choice")
    forced = text(obj(choice), "name")
    if forced and forced not in names:
        yield Broken(f"Tool choice '{forced}' not found in 'tools' parameter.", "tool_choice")
    if choice == "required" and not body.get("tools"):
        yield Broken(
            "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice"
        )


def options(posted: Posted) -> Iterator[Broken]:
    body, model = posted.body, posted.model
    most = body.get("max_output_tokens")
    if is_number(most) and most < LEAST:
        told = (
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{LEAST}, but got {most} instead."
        )
        yield Broken(told, "max_output_tokens", "integer_below_min_value")
    yield from sampling(body, model, "temperature", "top_p")
    if PLAIN.match(model) and obj(body.get("reasoning")).get("effort"):
        told = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        yield Broken(told, "reasoning.effort", "unsupported_parameter")
    sealed = "reasoning.encrypted_content" in (body.get("include") or ())
    if sealed and not REASONS.match(model):
        yield Broken("Encrypted content is not supported with this model.", "include")
    form = obj(obj(body.get("text")).get("format"))
    if form.get("type") == "json_schema":
        yield from name_of("text.format.name", text(form, "name"))
        if form.get("strict") is True:
            what = f"response_format '{text(form, 'name')}'"
            yield from strict_schema("text.format.schema", what, form.get("schema"))
    before = body.get("previous_response_id")
    if before is not None and not str(before).startswith("resp"):
        told = (
            f"Invalid 'previous_response_id': '{before}'. Expected an ID that begins with 'resp'."
        )
        yield Broken(told, "previous_response_id", "invalid_value")


API = "platform.openai.com/docs/api-reference/responses/create"
CALLING = "platform.openai.com/docs/guides/function-calling"
RULES = (
    Rule("no unknown option; there is an input", API, fields),
    Rule("items are known, have no unknown field, and ids of their kind",
         "BerriAI/litellm#13420", items),
    Rule("the assistant says `output_text`, all others `input_text`, pictures and files", API,
         contents),
    Rule("ids of calls have 1 to 64 characters, names their alphabet, arguments are texts",
         "AnswerDotAI/fastllm#45", calls),
    Rule("each call has an output before the user speaks again, and each output a call", CALLING,
         pairs),
    Rule("thoughts are sealed by OpenAI for their item, have no open words, and lead to something",
         "platform.openai.com/docs/guides/reasoning, Wei-Shaw/sub2api#3138", reasoning),
    Rule("tools have names of their alphabet; strict ones are closed; a forced one is among them",
         CALLING, tools),
    Rule("numbers are in range and what the model takes; nothing is known by an id",
         "platform.openai.com/docs/guides/reasoning", options),
)  # fmt: skip
