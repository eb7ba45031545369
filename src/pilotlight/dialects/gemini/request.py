"""A request of the pivot as the body of Gemini's generateContent.

The model stands in the address, and so does whether to stream.

Source: Google's API reference, models.generateContent; its page on OpenAI compatibility for
what an effort is in tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pilotlight.dialects import pivot
from pilotlight.dialects.base import Asked, Json, Losses, Unable, Written
from pilotlight.dialects.fields import count, part, present, text, words
from pilotlight.dialects.gemini.contents import NAMES, contents
from pilotlight.dialects.gemini.models import Traits, traits_of
from pilotlight.dialects.history import ANY_IDS, fit, tool_name
from pilotlight.dialects.pivot import Request
from pilotlight.dialects.schema import narrowed

MOST_STOPS: Final = 5
_JSON: Final = "application/json"
# The pivot's options by Gemini's names in `generationConfig`.
_SETTINGS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# Its own options, by the place where they stand; a caller may write them in either way.
_OWN_SETTINGS: Final = words(
    "thinkingConfig speechConfig mediaResolution responseModalities imageConfig audioTimestamp"
    " enableEnhancedCivicAnswers"
)
_OWN: Final = words("safetySettings cachedContent labels modelArmorConfig")
_MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_SEARCHES: Final = ("web_search", "google_search")
_BUDGETS: Final = {
    "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576
}  # fmt: skip
_LEVELS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_KEYWORDS: Final = words(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems"
    " maxItems minimum maximum anyOf properties additionalProperties required propertyOrdering"
    " definitions default"
)
_UNDERSCORE: Final = re.compile(r"_([a-z])")


def write_request(request: Json) -> Written:
    """Write a request of the pivot.  Raises Unable, and nothing else."""
    try:
        return _written(pivot.read(request))
    except RecursionError:
        raise Unable("the request is nested too deep") from None


def _written(asked: Request) -> Written:
    losses, traits = Losses(), traits_of(asked.model)
    system, said = contents(fit(asked.messages, ANY_IDS, losses), losses, traits)
    body: Json = {"contents": said}
    if system:
        body["systemInstruction"] = {"parts": system}
    names = _tools(body, asked, traits, losses)
    settings = _options(body, asked, losses)
    if asked.max_tokens is not None:
        settings["maxOutputTokens"] = asked.max_tokens
    if len(asked.stop) > MOST_STOPS:
        raise Unable(f"Gemini takes {MOST_STOPS} stop sequences, not {len(asked.stop)}")
    if asked.stop:
        settings["stopSequences"] = asked.stop
    _shape(settings, body, asked, traits, losses)
    _think(settings, asked, traits, losses)
    if settings:
        body["generationConfig"] = settings
    body |= asked.extra
    return Written(body, Asked(model=asked.model, names=names), losses.sorted())


# Tools.


def _tools(body: Json, asked: Request, traits: Traits, losses: Losses) -> dict[str, str]:
    """Put the tools into the body; return the caller's name of each that has another there."""
    declared, names = [], {}
    for function in asked.functions:
        name = tool_name(function.name, NAMES)
        if name != function.name:
            names[name] = function.name
        if function.strict:
            losses.add("strict")
        if function.cache:
            losses.add("cache_control")
        schema = narrowed(function.parameters, _KEYWORDS.__contains__, losses)
        description = present(description=function.description)
        declared.append({"name": name, **description, "parametersJsonSchema": schema})
    tools: list[Json] = [{"functionDeclarations": declared}] if declared else []
    vendor = _vendor_tools(asked, losses)
    if vendor and declared and not traits.mixes:
        for tool in vendor:
            losses.add(f"server_tool:{pivot.tool_kind(tool)}")
        vendor = []
    config: Json = {"includeServerSideToolInvocations": True} if vendor and declared else {}
    if declared and asked.choice.mode is not None:
        only = tool_name(asked.choice.name, NAMES) if asked.choice.name else None
        allowed = {"allowedFunctionNames": [only]} if only else {}
        config["functionCallingConfig"] = {"mode": _MODES[asked.choice.mode], **allowed}
    if asked.parallel is False and declared:
        losses.add("parallel_tool_calls")
    body |= {"tools": [*tools, *vendor]} if tools or vendor else {}
    body |= {"toolConfig": config} if config else {}
    return names


def _vendor_tools(asked: Request, losses: Losses) -> list[Json]:
    """Return Gemini's own tools, and a search in the place of another vendor's."""
    found: list[Json] = []
    searches = asked.web_search is not None
    if asked.web_search:
        losses.add("web_search_options")  # where the user is, and how much to read
    for tool in asked.vendor_tools:
        if pivot.vendor_of(tool) == "gemini":
            found.append(tool)
        elif pivot.tool_kind(tool) in _SEARCHES:
            searches = True
        else:
            pivot.lose_tool(tool, losses)
    known = any(pivot.tool_kind(tool) in _SEARCHES for tool in found)
    return [*found, {"googleSearch": {}}] if searches and not known else found


# Options.


def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def _options(body: Json, asked: Request, losses: Losses) -> Json:
    """Put Gemini's own options into the body; return the settings."""
    settings: Json = {}
    for name, value in asked.options.items():
        own = _camel(name)
        if name in _SETTINGS:
            settings[_SETTINGS[name]] = value
        elif own in _OWN_SETTINGS:
            settings[own] = value
        elif own in _OWN:
            body[own] = value
        elif own == "generationConfig" and type(value) is dict:
            settings |= {_camel(key): each for key, each in value.items()}
        elif name == "modalities" and type(value) is list:
            settings["responseModalities"] = [str(each).upper() for each in value]
        elif name != "thinking":
            losses.add(name)
    if settings.get("logprobs") is not None and not settings.get("responseLogprobs"):
        del settings["logprobs"]
        losses.add("top_logprobs")
    return settings


def _shape(settings: Json, body: Json, asked: Request, traits: Traits, losses: Losses) -> None:
    """Ask for the form of the answer."""
    wanted = asked.format
    if wanted is None:
        return
    if "tools" in body and not traits.mixes:
        if asked.choice.mode != "none":
            raise Unable("this model takes no response_format beside tools")
        del body["tools"], body["toolConfig"]
    settings["responseMimeType"] = _JSON
    if wanted.schema is not None:
        settings["responseJsonSchema"] = narrowed(wanted.schema, _KEYWORDS.__contains__, losses)


def _think(settings: Json, asked: Request, traits: Traits, losses: Losses) -> None:
    """Ask for thought, by its own option, by Anthropic's, or by an effort."""
    if "thinkingConfig" in settings:
        _fit_thinking(settings, traits, losses)
        return
    thinking, name = asked.options.get("thinking"), "thinking"
    if type(thinking) is dict:
        config = _budget(thinking, traits)
    elif asked.effort is not None:
        name, config = "reasoning_effort", _EFFORTS[traits.thinking](asked.effort, traits, losses)
    else:
        return
    if config:
        settings["thinkingConfig"] = config
    else:
        losses.add(name)


def _fit_thinking(settings: Json, traits: Traits, losses: Losses) -> None:
    """Put a caller's own setting, made for another model of Gemini's, as this one knows it."""
    given = part(settings, "thinkingConfig")
    given = {_camel(name): value for name, value in given.items()}
    level, budget = text(given, "thinkingLevel"), given.get("thinkingBudget")
    rest = {n: v for n, v in given.items() if n not in ("thinkingLevel", "thinkingBudget")}
    fits = {
        "none": level is None and budget is None and not rest,
        "budget": level is None and (budget != 0 or traits.pauses),
        "level": budget is None or (level is None and budget != 0),
    }
    if fits[traits.thinking]:
        return
    losses.add("thinkingConfig")
    effort = level.lower() if level else "none" if budget == 0 else ""
    known = _EFFORTS[traits.thinking](effort, traits, Losses())
    del settings["thinkingConfig"]
    if traits.thinking != "none" and (known or rest):
        settings["thinkingConfig"] = {**(known or {}), **rest}


def _budget(thinking: Json, traits: Traits) -> Json | None:
    kind = text(thinking, "type")
    if traits.thinking == "none" or (kind == "disabled" and not traits.pauses):
        return None
    if kind == "disabled":
        return {"thinkingBudget": 0}
    budget = count(thinking, "budget_tokens")
    return {"thinkingBudget": -1 if budget is None else budget, "includeThoughts": True}


def _in_tokens(effort: str, traits: Traits, losses: Losses) -> Json | None:
    if effort == "none":
        return {"thinkingBudget": 0} if traits.pauses else None
    budget = _BUDGETS.get(effort)
    return None if budget is None else {"thinkingBudget": budget, "includeThoughts": True}


def _in_levels(effort: str, traits: Traits, losses: Losses) -> Json | None:
    if effort in ("none", "minimal"):
        least = "minimal" if traits.minimal else "low"
        if effort == "none" or least == "low":
            losses.add("reasoning_effort")  # it can't be told to think less
        return {"thinkingLevel": least} | ({"includeThoughts": True} if effort != "none" else {})
    level = _LEVELS.get(effort)
    if level != effort:
        losses.add("reasoning_effort")
    return None if level is None else {"thinkingLevel": level, "includeThoughts": True}


def _not_at_all(effort: str, traits: Traits, losses: Losses) -> Json | None:
    return None


_EFFORTS: Final[Mapping[str, Callable[[str, Traits, Losses], Json | None]]] = {
    "none": _not_at_all,
    "budget": _in_tokens,
    "level": _in_levels,
}
