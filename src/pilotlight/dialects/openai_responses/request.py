"""A request of the pivot as the body of OpenAI's POST /responses.

Nothing is kept at OpenAI unless the caller says so, as with its chat completions, or goes on with
what is kept there: `store` is false, and reasoning comes back sealed.

Source: OpenAI's API reference, POST /responses; its guide to migrating from chat completions.
"""

from __future__ import annotations

from typing import Final

from pilotlight.dialects import pivot
from pilotlight.dialects.base import Asked, Json, Losses, Unable, Written
from pilotlight.dialects.fields import part, present, text, words
from pilotlight.dialects.history import OPENAI_NAMES, RESPONSES_IDS, fit, tool_name
from pilotlight.dialects.openai_chat.models import fit_model, may_reason, reasons
from pilotlight.dialects.openai_responses.items import items
from pilotlight.dialects.pivot import Request

LEAST: Final = 16  # tokens of an answer
# Options of the same name and meaning as in chat completions, and its own.
_SAME: Final = words(
    "metadata user safety_identifier prompt_cache_key prompt_cache_retention"
    " prompt_cache_options service_tier store top_logprobs"
)
_OWN: Final = words(
    "include instructions previous_response_id conversation prompt truncation max_tool_calls"
    " reasoning text context_management moderation"
)
_BEGUN: Final = frozenset({"previous_response_id", "conversation"})  # what came before is there
_SAMPLING: Final = ("temperature", "top_p", "reasoning_effort")
_SEALED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"
_SEARCHES: Final = ("web_search", "google_search")


def write_request(request: Json) -> Written:
    """Write a request of the pivot.  Raises Unable, and nothing else."""
    try:
        pivot.check_cached(request)
        return _written(pivot.read(request, at_openai=True), request)
    except RecursionError:
        raise Unable("the request is nested too deep") from None


def _written(asked: Request, given: Json) -> Written:
    losses = Losses()
    if asked.stop:
        raise Unable("this API takes no stop sequences")
    begun = bool(asked.options.keys() & _BEGUN)
    stored = asked.options.get("store") is True or begun
    turns = fit(asked.messages, RESPONSES_IDS, losses, begun_elsewhere=begun)
    said = items(turns, losses, stored)
    if not said:
        raise Unable("no message says anything")
    body: Json = {"model": asked.model, "input": said}
    if (
        not begun or given.get("store") is False
    ):  # whoever goes on with what is kept there has it kept
        body["store"] = False
    if asked.stream:
        body["stream"] = True
    names = _tools(body, asked, losses)
    _options(body, asked, losses)
    _sample(body, asked, given, losses)
    if asked.max_tokens is not None:
        body["max_output_tokens"] = max(LEAST, asked.max_tokens)
    _shape(body, asked)
    _include(body, asked, stored)
    body |= asked.extra
    return Written(body, Asked(model=asked.model, names=names), losses.sorted())


def _include(body: Json, asked: Request, stored: bool) -> None:
    given = body.get("include")
    include = list(given) if type(given) is list else []
    if not stored and reasons(asked.model):
        include.append(_SEALED)
    if asked.options.get("logprobs") is True:
        include.append(_LOGPROBS)
    if include:
        body["include"] = list(dict.fromkeys(str(each) for each in include))


def _tools(body: Json, asked: Request, losses: Losses) -> dict[str, str]:
    """Put the tools into the body; return the caller's name of each that has another there."""
    tools: list[Json] = []
    names: dict[str, str] = {}
    for function in asked.functions:
        name = tool_name(function.name, OPENAI_NAMES)
        if name != function.name:
            names[name] = function.name
        if function.cache:
            losses.add("cache_control")
        described = present(description=function.description)
        tools.append(
            {
                "type": "function",
                "name": name,
                **described,
                "parameters": function.parameters,
                "strict": function.strict,  # true if it is not said
            }
        )
    for tool in asked.vendor_tools:
        if text(tool, "type") == "custom":
            tools.append({"type": "custom", **(part(tool, "custom") or tool)})
        elif pivot.vendor_of(tool) == "openai":
            tools.append(tool)
        elif pivot.tool_kind(tool) in _SEARCHES:
            tools.append({"type": "web_search"})
        else:
            pivot.lose_tool(tool, losses)
    if asked.web_search is not None:
        tools.append(_web_search(asked.web_search))
    if not tools:
        return {}
    body["tools"] = tools
    if asked.parallel is not None:
        body["parallel_tool_calls"] = asked.parallel
    if asked.choice.name:
        only = tool_name(asked.choice.name, OPENAI_NAMES)
        body["tool_choice"] = {"type": "function", "name": only}
    elif asked.choice.mode is not None:
        body["tool_choice"] = asked.choice.mode
    return names


def _web_search(options: Json) -> Json:
    where = part(part(options, "user_location"), "approximate")
    location = {"user_location": {"type": "approximate", **where}} if where else {}
    size = present(search_context_size=text(options, "search_context_size"))
    return {"type": "web_search", **size, **location}


def _options(body: Json, asked: Request, losses: Losses) -> None:
    for name, value in asked.options.items():
        if name in _SAME or name in _OWN:
            body[name] = value
        elif name == "verbosity":
            body["text"] = {**part(body, "text"), "verbosity": value}
        elif name not in _SAMPLING and name != "logprobs":
            losses.add(name)


def _sample(body: Json, asked: Request, given: Json, losses: Losses) -> None:
    """Put in what the model takes of temperature, top_p and effort."""
    settings = {name: given[name] for name in _SAMPLING if given.get(name) is not None}
    fit_model(settings, asked.model, losses)
    effort = settings.pop("reasoning_effort", None)
    if effort is not None:
        told = effort if type(effort) is dict else {"effort": effort}
        body["reasoning"] = {**told, **part(body, "reasoning")}
    if "reasoning" in body and not may_reason(asked.model):
        del body["reasoning"]
        losses.add("reasoning_effort")
    body |= settings


def _shape(body: Json, asked: Request) -> None:
    wanted = asked.format
    if wanted is None:
        return
    form: Json = {"type": "json_object"}
    if wanted.schema is not None:
        name = tool_name(wanted.name, OPENAI_NAMES)
        form = {"type": "json_schema", "name": name, "schema": wanted.schema,
                "strict": wanted.strict}  # fmt: skip
    body["text"] = {**part(body, "text"), "format": form}
