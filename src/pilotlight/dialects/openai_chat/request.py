"""A request of the pivot as OpenAI takes it: the same, without what is none of OpenAI's.

What came from nobody else goes out as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pilotlight.dialects import pivot
from pilotlight.dialects.base import Asked, Json, Losses, Unable, Written
from pilotlight.dialects.fields import part, text, words
from pilotlight.dialects.history import OPENAI_NAMES, fit, lose_own, tool_name
from pilotlight.dialects.openai_chat.manners import MANNERS, Manner
from pilotlight.dialects.openai_chat.media import MEDIA, fitted, is_told
from pilotlight.dialects.openai_chat.models import fit_model, reasons
from pilotlight.dialects.openai_chat.tools import put_tools, renamed, unmarked
from pilotlight.dialects.parts import THOUGHTS, parts_of

_PARTS: Final = words("text image_url input_audio file refusal")
_SHOWN: Final = words("image_url input_audio file")
_FIELDS: Final = words("role content name tool_calls tool_call_id function_call refusal audio")
_CALL: Final = words("id type function custom")
_THOUGHT: Final = ("reasoning_content", "thinking_blocks")
# Fields of an answer that say nothing new when they come back.
_ECHOES: Final = words(
    "annotations images provider_specific_fields thinking_blocks is_error reasoning_content"
)
_FOREIGN: Final = words("image document search_result container_upload")  # parts of Anthropic's


def write_request(request: Json, manner: Manner = MANNERS["openai"]) -> Written:
    """Write a request of the pivot.  Raises Unable, and nothing else."""
    body = {name: value for name, value in request.items() if value is not None}
    extra, model = part(body, "extra_body"), text(request, "model") or ""
    if _goes_unchanged(body, model, manner):
        return Written(body, Asked(model))
    losses = Losses()
    pivot.check_state(body)
    pivot.check_cached(body)
    pivot.check_waited(body)
    for name, other in manner.names.items():
        if name in body:
            body[other] = body.pop(name)
    refused = _refused(manner, model)
    for name in list(body):
        if name in _CARRIAGE or name.startswith("litellm_"):
            del body[name]
        elif name in refused or (manner.options is not None and name not in manner.options):
            _lose_option(name, body.pop(name), losses)
    if not body.get("stream"):
        body.pop("stream_options", None)
    if manner.home and not ("/" in model or "#" in model):
        body["model"] = manner.home + model
    if manner.models:
        fit_model(body, model, losses)
    asked = Asked(model=model, names=put_tools(body, losses, manner))
    _fit_format(body, manner)
    given = pivot.checked_messages(request.get("messages"))
    try:
        messages = fit([_message(m, f"messages[{i}]", losses, manner) for i, m in enumerate(given)],
                       manner.ids, losses)  # fmt: skip
    except RecursionError:
        raise Unable("the request is nested too deep") from None
    body["messages"] = _shown_later([each for each in messages if not _is_silent(each)])
    if not body["messages"]:
        raise Unable("no message says anything")
    return Written(body | extra, asked, losses.sorted())


def _goes_unchanged(body: Json, model: str, manner: Manner) -> bool:
    """Tell the usual request, of texts and of options that the server takes as they are."""
    if not _kept(manner, model).issuperset(body) or (
        "stream_options" in body and not body.get("stream")
    ):
        return False
    messages = body.get("messages")
    return type(messages) is list and messages != [] and all(map(_is_plain, messages))


@lru_cache(maxsize=256)
def _kept(manner: Manner, model: str) -> frozenset[str]:
    """Return the fields that a server takes as they are, of those that mean no work."""
    if manner.home:
        return frozenset()
    kept = _USUAL - _refused(manner, model) - manner.names.keys()
    if manner.options is not None:
        kept &= manner.options
    return kept - _CHANGED if manner.models and reasons(model) else kept


_USUAL: Final = words(
    "model messages stream stream_options temperature top_p max_tokens max_completion_tokens seed"
    " n stop presence_penalty frequency_penalty"
)
_CHANGED: Final = words("temperature top_p max_tokens presence_penalty frequency_penalty stop")


@lru_cache(maxsize=256)
def _refused(manner: Manner, model: str) -> frozenset[str]:
    """Return the options that a server refuses, for this model."""
    return manner.refuses.union(*(less for fits, less in manner.picky if fits.search(model)))


def _is_plain(message: Any) -> bool:
    """Tell a message that says a text and nothing else."""
    said = type(message) is dict and len(message) == 2 and message.get("content")
    return type(said) is str and said != "" and message.get("role") in _PLAIN_ROLES


_PLAIN_ROLES: Final = ("user", "assistant", "system")


def _is_clean(message: Json, manner: Manner) -> bool:
    """Tell a turn that has nothing of its own vendor's, and no parts: it goes out as it came."""
    content, calls = message.get("content"), message.get("tool_calls")
    if not _CLEAN.issuperset(message) or message["role"] not in _CLEAN_ROLES:
        return False
    if content is not None and type(content) is not str:
        return False
    if calls is None:
        return True
    if not calls or type(calls) is not list:
        return False
    fits = manner.options is None
    return all(
        type(call) is dict and _CALL.issuperset(call) and (fits or renamed(call) is call)
        for call in calls
    )


_CLEAN: Final = words("role content tool_calls tool_call_id")
_CLEAN_ROLES: Final = (*_PLAIN_ROLES, "tool")


def is_usual(messages: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Tell without writing it a request in which there is nothing that a server can't be told.

    Where it holds what is no JSON, it is in a place that is sent on as it is.
    """
    if not _SPECIAL.isdisjoint(options):
        return False
    tools = options.get("tools")
    if tools is not None and not (type(tools) is list and all(map(_is_function, tools))):
        return False
    return bool(messages) and all(map(_is_usual, messages)) and not _is_silent(messages[-1])


_SPECIAL: Final = words(
    "previous_response_id conversation prompt background stop extra_body cachedContent"
    " cached_content"
)


def _is_function(tool: Any) -> bool:
    return type(tool) is dict and tool.get("type") == "function"


def _is_usual(message: Any) -> bool:
    if type(message) is not dict or type(message.get("role")) is not str:
        return False
    content = message.get("content")
    if type(content) is list:
        return all(type(each) is dict and _is_sure(each) for each in content)
    calls = message.get("tool_calls")
    plain = calls is None or (type(calls) is list and all(type(call) is dict for call in calls))
    return plain and (content is None or type(content) is str)


def _is_sure(given: Json) -> bool:
    """Tell a part that every server is told, whatever it shows."""
    kind = given.get("type")
    return kind in _PARTS and not (kind in MEDIA and is_told(given))


def _lose_option(name: str, value: Any, losses: Losses) -> None:
    """Leave out an option that the server refuses."""
    if not pivot.asks(name, value):
        return
    if name == "stop" and value:
        raise Unable("this model takes no stop sequences")
    losses.add(name)


_CARRIAGE: Final = (pivot.CARRIAGE | {"extra_body"}) - {"stream_options"}


def _message(message: Json, at: str, losses: Losses, manner: Manner) -> Json:
    if _is_clean(message, manner):
        return message
    lose_own(message, None, losses)
    if not manner.reasoning and any(message.get(name) for name in _THOUGHT):
        losses.add("reasoning")
    found = message if manner.cache_marks else unmarked(message, losses)
    if not manner.developer and message["role"] == "developer":
        found = {**found, "role": "system"}
    if manner.nameless and "name" in message and message["role"] != "tool":
        losses.add("name")
        found = {name: value for name, value in found.items() if name != "name"}
    dropped = _dropped(found, manner)
    if dropped:
        for name in dropped - _ECHOES - {"refusal"}:
            if found[name]:
                losses.add(name)
        found = {name: value for name, value in found.items() if name not in dropped}
        if "refusal" in dropped and not found.get("content"):
            found["content"] = message["refusal"]
    if type(message.get("content")) is list:
        parts = _parts(message, at, losses, manner)
        plain = manner.one_text and all(each["type"] == "text" for each in parts)
        found = {**found, "content": "".join(map(_text, parts)) if plain else parts}
    if (calls := found.get("tool_calls")) is not None:
        found = _called(found, calls, manner)
    if found.get("content") == [] and found.get("tool_calls"):
        found = {**found, "content": None}
    return found


def _called(message: Json, calls: Any, manner: Manner) -> Json:
    """Return a message with calls of OpenAI's fields alone, by names that it takes."""
    if not calls:
        return {name: value for name, value in message.items() if name != "tool_calls"}
    if type(calls) is not list or not all(type(call) is dict for call in calls):
        return message  # told by `history.fit`
    fitted = [
        call if call.keys() <= _CALL else {n: v for n, v in call.items() if n in _CALL}
        for call in calls
    ]
    return {**message, "tool_calls": fitted if manner.options is None else [*map(renamed, fitted)]}


def _text(said: Json) -> str:
    return text(said, "text") or ""


def _dropped(message: Json, manner: Manner) -> set[str]:
    if manner.options is None:
        return (message.keys() & _ECHOES) - ({"reasoning_content"} if manner.reasoning else set())
    return message.keys() - (_FIELDS - manner.without) - manner.fields


def _is_silent(message: Json) -> bool:
    """Tell an assistant's turn that says nothing, such as one of a search of another vendor's."""
    said = ("content", "tool_calls", "function_call", "refusal", "audio")
    return message["role"] == "assistant" and not any(message.get(name) for name in said)


def _parts(message: Json, at: str, losses: Losses, manner: Manner) -> list[Json]:
    found = []
    for place, given in enumerate(parts_of(message, at)):
        kind = given["type"]
        own_thought = manner.thoughts and type(given.get("thinking")) is list
        if kind in THOUGHTS and not own_thought:
            losses.add("reasoning")
            continue
        if (
            not own_thought
            and kind not in _PARTS
            and (manner.options is not None or kind in _FOREIGN)
        ):
            raise Unable(f"{at}.content[{place}] is {kind[:40]}, which OpenAI does not take")
        if kind in MEDIA and manner.options is not None:
            given = fitted(given, f"{at}.content[{place}]")  # noqa: PLW2901
        found.append(given if manner.cache_marks else unmarked(given, losses))
    return found


def _fit_format(body: Json, manner: Manner) -> None:
    """Give a schema a name that OpenAI takes."""
    wanted = part(body.get("response_format"), "json_schema")
    given = text(wanted, "name") or ""
    if wanted and manner.options is not None and not OPENAI_NAMES.fullmatch(given):
        named = {**wanted, "name": tool_name(given or "response", OPENAI_NAMES)}
        body["response_format"] = {**body["response_format"], "json_schema": named}


def _shown_later(messages: list[Json]) -> list[Json]:
    """Let the user show the pictures of a tool's result: there, OpenAI takes texts alone."""
    found: list[Json] = []
    shown: list[Json] = []
    for message in messages:
        if message["role"] != "tool" and shown:
            found.append({"role": "user", "content": shown})
            shown = []
        content: Any = message.get("content")
        if message["role"] == "tool" and type(content) is list:
            media = [each for each in content if text(each, "type") in _SHOWN]
            if media:
                shown += media
                rest = [each for each in content if text(each, "type") not in _SHOWN]
                message = {**message, "content": rest or _BELOW}  # noqa: PLW2901
        found.append(message)
    return [*found, {"role": "user", "content": shown}] if shown else found


_BELOW: Final = "(shown below)"
