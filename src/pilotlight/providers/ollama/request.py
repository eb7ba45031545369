"""From OpenAI's shapes to the body of Ollama's native POST `/api/chat`: pure functions, no I/O.

Facts: Ollama API docs and server source, v0.33.  The native API is used because
`/v1` can't set `num_ctx` and loses errors in the middle of a stream.

Options that change nothing in the answer (`user`, `metadata`, `timeout`, ...)
are ignored; those that would, but have no equivalent (`n`, `logit_bias`, a forced
`tool_choice`, ...), are left out and named in `ChatRequest.dropped`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import unquote_to_bytes

from pilotlight.errors import InvalidCall

Json = dict[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# As Ollama spells them in `options`; OpenAI's names for the same things come below.
_OPTIONS: Final = _words(
    "temperature top_p top_k min_p typical_p seed presence_penalty frequency_penalty"
    " repeat_penalty repeat_last_n num_ctx num_predict num_keep num_batch num_gpu main_gpu"
    " num_thread use_mmap"
)
_TOP_LEVEL: Final = ("keep_alive", "think", "logprobs", "top_logprobs", "truncate", "shift")
_HANDLED: Final = _words(
    "stop max_tokens max_completion_tokens tools tool_choice n format response_format"
    " reasoning_effort parallel_tool_calls"
)
_IGNORED: Final = _words(
    "model messages stream stream_options user metadata timeout request_timeout api_key api_base"
    " base_url api_version organization headers extra_headers extra_query num_retries max_retries"
    " retry_policy fallbacks drop_params additional_drop_params allowed_openai_params client"
    " custom_llm_provider caching cache tags store service_tier safety_identifier prompt_cache_key"
    " prompt_cache_retention verbose mock_response"
)
_THINK: Final[Mapping[str, bool | str]] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}


class UnsupportedInput(InvalidCall):
    """The call holds something that can't be put to Ollama; the message says what and where."""


class ChatRequest(NamedTuple):
    """The body for POST /api/chat, and the options that it could not express."""

    body: Json
    dropped: tuple[str, ...]


def chat_request(
    model: str,
    messages: Iterable[object],
    options: Mapping[str, Any],
    *,
    stream: bool,
    context: int | None = None,
    keep_alive: float | str | None = None,
) -> ChatRequest:
    """Convert a call; raises `UnsupportedInput` for what Ollama can't be asked.

    `num_ctx` is `context` unless the call sets its own.  `truncate` and `shift` are
    off: a prompt that does not fit is an error then, where Ollama would otherwise
    drop messages from the front without a word.  Raw Ollama options may stand in
    `options`, in `extra_body` and in the mapping `options["options"]`, each of
    which wins over the one before.

    `reasoning_effort` becomes `think`.  A model without levels takes any level as
    true; one that can't think at all answers 400 to it, so take `think` out of the
    body when the model lacks that capability.  Of `tool_choice` only "none" has an
    effect (the tools are not sent).
    """
    given = _flat(options)
    raw = given.pop("options", {})
    body: Json = {"model": model, "messages": _messages(messages), "stream": stream}
    body |= {"truncate": False, "shift": False}
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    body |= {name: given[name] for name in _TOP_LEVEL if name in given}
    body |= _thinking(given) | _format(given)
    if given.get("tools") and given.get("tool_choice") != "none":
        body["tools"] = _plain(given["tools"])
    body["options"] = {**({} if context is None else {"num_ctx": context}), **_sampling(given)}
    body["options"] |= _present(raw)
    return ChatRequest(body, _dropped(given))


def _present(options: Mapping[str, Any]) -> Json:
    return {name: value for name, value in options.items() if value is not None}


def _flat(options: Mapping[str, Any]) -> Json:
    given = _present(options)
    return {**given, **_present(given.pop("extra_body", {}))}


def _thinking(given: Mapping[str, Any]) -> Json:
    """Translate `reasoning_effort`; an explicit `think` wins."""
    effort = given.get("reasoning_effort")
    if isinstance(effort, Mapping):  # {"effort": "high", "summary": "auto"}
        effort = effort.get("effort")
    level = _THINK.get(effort) if isinstance(effort, str) else None
    return {} if "think" in given or level is None else {"think": level}


def _format(given: Mapping[str, Any]) -> Json:
    """Translate `response_format`; an explicit `format` wins."""
    wanted = given.get("format", given.get("response_format"))
    if wanted is None or wanted == "":
        return {}
    if isinstance(wanted, type) and hasattr(wanted, "model_json_schema"):  # a pydantic model
        return {"format": wanted.model_json_schema()}
    if "format" in given:
        return {"format": _plain(wanted)}
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"format": "json"}
    if kind == "json_schema":
        return {"format": _plain((wanted.get("json_schema") or {}).get("schema") or "json")}
    raise UnsupportedInput(f"response_format: Ollama has no equivalent of {kind or type(wanted)!r}")


def _sampling(given: Mapping[str, Any]) -> Json:
    sampling = {name: value for name, value in given.items() if name in _OPTIONS}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        sampling.setdefault("num_predict", limit)
    if stop := given.get("stop"):
        sampling["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return sampling


def _dropped(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what the answer will not honour."""
    known = _OPTIONS | _HANDLED | _IGNORED | frozenset(_TOP_LEVEL)
    dropped = {name for name in given if name not in known and not name.startswith("litellm_")}
    plainly = {"n": (1,), "tool_choice": ("auto", "none"), "parallel_tool_calls": (True,)}
    dropped |= {name for name, fine in plainly.items() if given.get(name, fine[0]) not in fine}
    if "reasoning_effort" in given and "think" not in given and not _thinking(given):
        dropped.add("reasoning_effort")
    return tuple(sorted(dropped))


_PLAIN_ROLES: Final[Mapping[str, str]] = {"developer": "system", "function": "tool"}
_SKIPPED_PARTS: Final = ("thinking", "redacted_thinking", "reasoning")  # meant for their author


def _messages(messages: Iterable[object]) -> list[Json]:
    """Convert the conversation; tool answers are given the name of the tool that was called."""
    names: dict[str, str] = {}
    converted = [
        _message(_mapping(message, f"messages[{index}]"), f"messages[{index}]", names)
        for index, message in enumerate(messages)
    ]
    if not converted:  # to Ollama that means: load the model and say nothing
        raise UnsupportedInput("there are no messages")
    return converted


def _message(message: Mapping[str, Any], where: str, names: dict[str, str]) -> Json:
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise UnsupportedInput(f"{where} has no role")
    text, images = _content(message.get("content"), where)
    converted: Json = {"role": _PLAIN_ROLES.get(role, role), "content": text}
    if images := [*images, *(message.get("images") or ())]:
        converted["images"] = images
    if thinking := message.get("reasoning_content") or message.get("thinking"):
        converted["thinking"] = thinking
    calls = message.get("tool_calls") or ()
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    if calls:
        converted["tool_calls"] = [_call(call, i, where, names) for i, call in enumerate(calls)]
    if converted["role"] == "tool":
        call_id = message.get("tool_call_id")
        name = message.get("tool_name") or names.get(call_id or "") or message.get("name")
        converted |= _present({"tool_name": name, "tool_call_id": call_id})
    return converted


def _call(call: object, index: int, where: str, names: dict[str, str]) -> Json:
    call = _mapping(call, where)
    function = _mapping(call.get("function"), f"{where}: a tool call's function")
    name: str = function.get("name") or ""
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise UnsupportedInput(f"{where}: the arguments of {name} are no JSON") from None
    if not isinstance(arguments, Mapping):
        raise UnsupportedInput(f"{where}: the arguments of {name} are no JSON object")
    spoken = {"index": index, "name": name, "arguments": _plain(arguments)}
    converted: Json = {"function": spoken}
    if call_id := call.get("id"):
        names[call_id] = name
        converted["id"] = call_id
    return converted


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _content(content: object, where: str) -> tuple[str, list[str]]:
    """Return the text, parts joined by line ends, and the images as base64."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list | tuple):
        raise UnsupportedInput(f"{where}: content is a {type(content).__name__}")
    texts: list[str] = []
    images: list[str] = []
    for piece in content:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        part = _mapping(piece, where)
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            texts.append(part.get("text") or "")
        elif kind == "refusal":
            texts.append(part.get("refusal") or "")
        elif kind in ("image_url", "input_image"):
            images.append(_image(part.get("image_url"), where))
        elif kind not in _SKIPPED_PARTS:
            raise UnsupportedInput(f"{where}: Ollama takes text and images, not {kind!r}")
    return "\n".join(texts), images


def _image(image: object, where: str) -> str:
    """Return the base64 of a data URI; other addresses would have to be fetched, so are refused."""
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or url[:5].lower() != "data:" or "," not in url:
        raise UnsupportedInput(
            f"{where}: an image must be a data: URI; fetching one would leave this machine"
        )
    head, data = url[5:].split(",", 1)
    kind, *flags = head.lower().split(";")
    if kind and not kind.startswith("image/"):
        raise UnsupportedInput(f"{where}: Ollama takes images, not {kind}")
    if "base64" in flags:
        return "".join(data.split())
    return base64.b64encode(unquote_to_bytes(data)).decode("ascii")


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    """Read a dict, or an object of pydantic's, litellm's or an SDK's."""
    if not isinstance(value, Mapping) and hasattr(value, "model_dump"):
        value = value.model_dump(exclude_none=True)
    if not isinstance(value, Mapping):
        raise UnsupportedInput(f"{where} is a {type(value).__name__}, not a mapping")
    return value


def _plain(value: Any) -> Any:
    """Return plain dicts and lists all the way down, for the JSON encoder."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
