"""A request of the pivot as the body of Ollama's POST /api/chat.

`truncate` and `shift` are off: a prompt that does not fit is an error then, where Ollama would
otherwise drop messages from the front without a word.

Source: Ollama's API reference and its server's source, v0.33.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.dialects import pivot
from pilotlight.dialects.base import Asked, Json, Losses, Unable, Written
from pilotlight.dialects.fields import objects, part, present, text, words
from pilotlight.dialects.history import ANY_IDS, arguments_of, fit, lose_own
from pilotlight.dialects.parts import THOUGHTS, medium_of, parts_of, plain_of, said_in
from pilotlight.dialects.pivot import Request
from pilotlight.dialects.schema import objects_only

OPTIONS: Final = words(
    "temperature top_p top_k min_p typical_p seed presence_penalty frequency_penalty"
    " repeat_penalty repeat_last_n num_ctx num_predict num_keep num_batch num_gpu main_gpu"
    " num_thread use_mmap"
)
_TOP: Final = words("keep_alive think logprobs top_logprobs format")
_THINK: Final[Mapping[str, bool | str]] = {
    "none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "max", "max": "max",
}  # fmt: skip
_SPEAKERS: Final = {
    "developer": "system", "system": "system", "user": "user", "assistant": "assistant"
}  # fmt: skip
_ROLES: Final = {"developer": "system", "system": "system", "user": "user", "tool": "tool"}


def write_request(request: Json) -> Written:
    """Write a request of the pivot.  Raises Unable, and nothing else."""
    try:
        pivot.check_cached(request)
        return _written(pivot.read(request))
    except RecursionError:
        raise Unable("the request is nested too deep") from None


def _written(asked: Request) -> Written:
    losses = Losses()
    said = _messages(fit(asked.messages, ANY_IDS, losses), losses)
    body: Json = {"model": asked.model, "messages": said, "stream": asked.stream}
    body |= {"truncate": False, "shift": False}
    body["options"] = _options(body, asked, losses)
    _tools(body, asked, losses)
    if asked.format is not None:
        body.setdefault("format", asked.format.schema or "json")
    if asked.effort is not None and "think" not in body:
        if (level := _THINK.get(asked.effort)) is None:
            losses.add("reasoning_effort")
        else:
            body["think"] = level
    body["options"] |= part(asked.options, "options")
    return Written(body | asked.extra, Asked(model=asked.model), losses.sorted())


def _options(body: Json, asked: Request, losses: Losses) -> Json:
    options: Json = {}
    for name, value in asked.options.items():
        if name in OPTIONS:
            options[name] = value
        elif name in _TOP:
            body[name] = value
        elif name != "options":
            losses.add(name)
    if asked.max_tokens is not None:
        options.setdefault("num_predict", asked.max_tokens)
    if asked.stop:
        options["stop"] = asked.stop
    return options


def _tools(body: Json, asked: Request, losses: Losses) -> None:
    for tool in asked.vendor_tools:
        pivot.lose_tool(tool, losses)
    if asked.web_search is not None:
        losses.add("server_tool:web_search")
    if asked.choice.forced:
        losses.add("tool_choice")
    if asked.parallel is False:
        losses.add("parallel_tool_calls")
    if not asked.functions or asked.choice.mode == "none":
        return
    body["tools"] = []
    for function in asked.functions:
        if function.strict:
            losses.add("strict")
        if function.cache:
            losses.add("cache_control")
        described = present(description=function.description)
        said = {"name": function.name, **described, "parameters": objects_only(function.parameters)}
        body["tools"].append({"type": "function", "function": said})


def _messages(messages: Sequence[Json], losses: Losses) -> list[Json]:
    names: dict[str, str] = {}  # of the tools that were called, by the ids of the calls
    found = []
    for place, message in enumerate(messages):
        if (plain := plain_of(message)) is not None and (role := _SPEAKERS.get(message["role"])):
            if plain or role != "assistant":
                found.append({"role": role, "content": plain})
            continue
        lose_own(message, None, losses)
        said = _message(message, f"messages[{place}]", names, losses)
        if said["role"] != "assistant" or said.keys() - {"role", "content"} or said["content"]:
            found.append(said)
    if not found:  # to Ollama that means: load the model and say nothing
        raise Unable("no message says anything")
    return found


def _message(message: Json, at: str, names: dict[str, str], losses: Losses) -> Json:
    role = message["role"]
    if role != "assistant" and role not in _ROLES:
        raise Unable(f"{at} has the role {role[:20]!r}, of which Ollama knows nothing")
    texts, images = _content(message, at, losses)
    found: Json = {"role": _ROLES.get(role, role), "content": "\n".join(texts)}
    if images:
        found["images"] = images
    if message.get("cache_control"):
        losses.add("cache_control")
    if role == "tool":
        call_id = message["tool_call_id"]
        return {**found, "tool_name": names[call_id], "tool_call_id": call_id}
    if text(message, "name"):
        losses.add("name")
    if role == "assistant":
        found["content"] = found["content"] or text(message, "refusal") or ""
        found |= present(thinking=text(message, "reasoning_content") or None)
        if message.get("thinking_blocks") and "thinking" not in found:
            losses.add("reasoning")  # sealed, and of no words
        if message.get("audio"):
            losses.add("audio")
        calls = [_call(c, i, names, losses) for i, c in enumerate(objects(message, "tool_calls"))]
        found |= {"tool_calls": calls} if calls else {}
    return found


def _content(message: Json, at: str, losses: Losses) -> tuple[list[str], list[str]]:
    texts, images = [], []
    for place, given in enumerate(parts_of(message, at)):
        where = f"{at}.content[{place}]"
        if given.get("cache_control"):
            losses.add("cache_control")
        if (said := said_in(given)) is not None:
            texts.append(said)
        elif given["type"] in THOUGHTS:
            losses.add("reasoning")
        elif (medium := medium_of(given, where, losses)) is None:
            raise Unable(f"{where} is {given['type'][:40]}, which Ollama does not take")
        elif medium.data is None:
            raise Unable(f"{where} is an address; fetching it would leave this machine")
        elif not (medium.kind or "image/").startswith("image/"):
            raise Unable(f"{where} is {str(medium.kind)[:40]}: Ollama takes images only")
        else:
            images.append(medium.data)
    return texts, images


def _call(call: Json, index: int, names: dict[str, str], losses: Losses) -> Json:
    function: Any = part(call, "function") or part(call, "custom")
    if not (name := text(function, "name")):
        raise Unable("a tool call of the conversation has no name")
    names[call["id"]] = name
    said = {"index": index, "name": name, "arguments": arguments_of(call, losses)}
    return {"id": call["id"], "function": said}
