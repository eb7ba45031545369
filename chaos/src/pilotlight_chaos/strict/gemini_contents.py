"""The conversation as Gemini takes it: contents, their order, functions, signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..dialects.base import obj
from ..http import Json
from ..seals import is_sealed
from .rule import Broken, Posted, among, text

DATA = (
    "text", "inlineData", "functionCall", "functionResponse", "fileData", "executableCode",
    "codeExecutionResult", "toolCall", "toolResponse",
)  # fmt: skip
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
UNSIGNED = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
NEW = re.compile(r"gemini-[3-9]")
DEAF = re.compile(r"gemma-[123]")  # to a system instruction
BAD_NAME = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, "
    "A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
)


def unknown(name: str, at: str = "") -> Broken:
    place = f" at '{at}'" if at else ""
    return Broken(
        f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
    )


def field(at: str, what: str) -> Broken:
    return Broken(f"* GenerateContentRequest.{at}: {what}\n")


def parts_in(posted: Posted) -> Iterator[tuple[int, int, str, Json]]:
    for i, content in among(posted.body, "contents"):
        for j, part in among(content, "parts"):
            yield i, j, text(content, "role"), part


def contents(posted: Posted) -> Iterator[Broken]:
    found = among(posted.body, "contents")
    if not found:
        yield field("contents", "contents is not specified")
    for i, content in found:
        if text(content, "role") not in ("", "user", "model", "function"):
            yield Broken("Please use a valid role: user, model.")
        if not content.get("parts"):
            yield field(f"contents[{i}].parts", "contents.parts must not be empty.")
    for i, j, _, part in parts_in(posted):
        if not any(value is not None for value in part.values()):
            what = "required oneof field 'data' must have one initialized field"
            yield field(f"contents[{i}].parts[{j}].data", what)
    for j, part in among(obj(posted.body.get("systemInstruction")), "parts"):
        if not text(part, "text"):
            yield field(f"system_instruction.parts[{j}].data", "system instructions are texts")
    if posted.body.get("systemInstruction") and DEAF.match(posted.model):
        yield Broken(f"Developer instruction is not enabled for models/{posted.model}")
    if found and text(found[-1][1], "role") == "model" and NEW.match(posted.model):
        yield Broken("Requests ending with a model turn are not supported.")


def _named(content: Json, kind: str) -> list[Json]:
    return [obj(part[kind]) for _, part in among(content, "parts") if kind in part]


def order(posted: Posted) -> Iterator[Broken]:
    """Check the turns: a call after the user or a result, its results after it, as many."""
    before: Json = {}
    for i, content in among(posted.body, "contents"):
        calls, results = _named(content, "functionCall"), _named(content, "functionResponse")
        called = _named(before, "functionCall")
        if calls and text(before, "role") not in ("user", "function"):
            yield Broken(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        if results and not called:
            yield Broken(
                "Please ensure that function response turn comes immediately after a function call "
                "turn."
            )
        if len(results) != len(called):
            yield Broken(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        for call, result in zip(called, results, strict=False):
            if text(call, "name") != text(result, "name") or call.get("id") != result.get("id"):
                at = f"contents[{i}].parts[0].function_response.name"
                yield field(at, "the response answers no call of this name and id")
        before = content


def functions(posted: Posted) -> Iterator[Broken]:
    for i, j, role, part in parts_in(posted):
        at = f"contents[{i}].parts[{j}]"
        for kind, inner, place in (
            ("functionCall", "args", "function_call"),
            ("functionResponse", "response", "function_response"),
        ):
            if kind not in part:
                continue
            said = obj(part[kind])
            if not text(said, "name"):
                yield field(f"{at}.{place}.name", "Name cannot be empty.")
            elif not NAME.fullmatch(text(said, "name")):
                yield field(f"{at}.{place}.name", BAD_NAME)
            if not isinstance(said.get(inner, {}), dict):
                yield Broken(f"Invalid value at '{at}.{place}.{inner}' (Struct)")
        if "functionCall" in part and role != "model":
            yield Broken("Please ensure that function calls are in turns of the model.")


def signatures(posted: Posted) -> Iterator[Broken]:
    """Check that signatures are Gemini's own, and that a new model's calls have one.

    Of calls at once the first is signed.  Only those since the user last spoke are looked at.
    """
    spoke = [i for i, _, role, part in parts_in(posted) if role == "user" and "text" in part]
    current = spoke[-1] if spoke else -1
    for i, content in among(posted.body, "contents"):
        calls = [part for _, part in among(content, "parts") if "functionCall" in part]
        late = calls and i > current and NEW.match(posted.model)
        if late and not calls[0].get("thoughtSignature"):
            name = text(obj(calls[0]["functionCall"]), "name")
            yield Broken(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly, and missing thought_signature may lead to "
                f"degraded model performance. Additional data, function call `default_api:{name}` "
                f", position {i + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
    for _, _, _, part in parts_in(posted):
        signed = part.get("thoughtSignature")
        what = text(obj(part.get("functionCall")), "name") or "text"
        if signed and signed not in UNSIGNED and not is_sealed("gemini", what, signed):
            yield Broken("Corrupted thought signature.")
