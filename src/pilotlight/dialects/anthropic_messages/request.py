"""A request of the pivot as the body of Anthropic's POST /v1/messages.

Source: Anthropic's API reference, Messages; the pages on tool use, extended thinking and
structured outputs.
"""

from __future__ import annotations

from typing import Any, Final

from pilotlight.dialects import pivot
from pilotlight.dialects.anthropic_messages.models import Traits, traits_of
from pilotlight.dialects.anthropic_messages.tools import FORCES, beta_of, is_known, put_tools
from pilotlight.dialects.anthropic_messages.turns import turns
from pilotlight.dialects.base import Asked, Json, Losses, Unable, Written
from pilotlight.dialects.fields import count, part, text, words
from pilotlight.dialects.history import ANTHROPIC_IDS, fit
from pilotlight.dialects.pivot import Request
from pilotlight.dialects.schema import narrowed

JSON_TOOL: Final = "json_response"
_JSON_ONLY: Final = "Answer with one JSON object and with nothing else."
# Its own options; the pivot's are translated below.
_OWN: Final = words(
    "cache_control container context_management diagnostics inference_geo mcp_servers"
    " output_config output_format speed thinking user_profile_id"
)
# An option that a beta header has to announce.
_BETAS: Final = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-04-04",
    "output_format": "structured-outputs-2025-11-13",
    "speed": "fast-mode-2026-02-01",
}
_FILES: Final = "files-api-2025-04-14"
# Tokens to think with, as litellm gives them; the API takes no fewer than 1024.
_BUDGETS: Final = {
    "minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384
}  # fmt: skip
_EFFORTS: Final = {"minimal": "low"} | {e: e for e in ("low", "medium", "high", "xhigh", "max")}
_LEAST: Final = 1024
_WIDE: Final = 0.95  # the least `top_p` beside thought


def write_request(request: Json) -> Written:
    """Write a request of the pivot.  Raises Unable, and nothing else."""
    try:
        pivot.check_cached(request)
        return _written(pivot.read(request))
    except RecursionError:
        raise Unable("the request is nested too deep") from None


def _written(asked: Request) -> Written:
    losses, traits = Losses(), traits_of(asked.model)
    messages = fit(asked.messages, ANTHROPIC_IDS, losses)
    system, said = turns(messages, losses, traits.prefill)
    body: Json = {"model": asked.model, "messages": said}
    json_tool = _shape(body, system, asked, traits, losses)
    names = put_tools(body, asked, traits, losses)
    if system:
        body["system"] = system
    if asked.stream:
        body["stream"] = True
    if asked.stop:
        if any(not each.strip() for each in asked.stop):
            raise Unable("Anthropic takes no stop sequence of white space alone")
        body["stop_sequences"] = asked.stop
    options = _options(asked, losses)
    shape = {**part(body, "output_config"), **part(options, "output_config")}
    body |= options | ({"output_config": shape} if shape else {})
    _think(body, asked, traits, losses)
    _sample(body, asked, traits, losses)
    body |= asked.extra
    context = Asked(model=asked.model, names=names, json_tool=json_tool)
    return Written(body, context, losses.sorted(), _headers(body, asked))


def _headers(body: Json, asked: Request) -> dict[str, str]:
    betas = asked.options.get("betas")
    named = [each for each in betas if type(each) is str] if type(betas) is list else []
    named += [beta for name, beta in _BETAS.items() if name in body]
    named += [beta for tool in body.get("tools") or () if (beta := beta_of(tool))]
    if any(_lies_there(block) for turn in body["messages"] for block in turn["content"]):
        named.append(_FILES)
    return {"anthropic-beta": ",".join(dict.fromkeys(named))} if named else {}


def _lies_there(block: Json) -> bool:
    """Tell a file that has been uploaded to Anthropic."""
    held = "source" in block and text(block["source"], "type") == "file"
    return held or block.get("type") == "container_upload"


# The form of the answer.


def _shape(
    body: Json, system: list[Json], asked: Request, traits: Traits, losses: Losses
) -> str | None:
    """Ask for the form of the answer; return the name of the tool that stands for it."""
    wanted = asked.format
    if wanted is None:
        return None
    if wanted.schema is None:
        losses.add("response_format")  # there is no such mode: said in words
        system.append({"type": "text", "text": _JSON_ONLY})
        return None
    if traits.schemas:
        schema = narrowed(wanted.schema, is_known, losses, closed=True)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return None
    schema = {"type": "object", **wanted.schema}
    if schema["type"] != "object":
        raise Unable("response_format is the schema of no object: this model takes no other")
    what = "Gives the answer, in its final form."
    body["tools"] = [{"name": JSON_TOOL, "description": what, "input_schema": schema}]
    only = not asked.functions or asked.choice.mode == "none"
    if only or asked.choice.name is None:
        body["tool_choice"] = {"type": "tool", "name": JSON_TOOL} if only else {"type": "any"}
    return JSON_TOOL


# Options.


def _options(asked: Request, losses: Losses) -> Json:
    found: Json = {}
    for name, value in asked.options.items():
        if name in _OWN:
            found[name] = value
        elif name in ("user", "safety_identifier") and _is_opaque(value):
            found["metadata"] = {"user_id": value}
        elif name == "metadata" and text(value, "user_id"):
            found["metadata"] = {"user_id": value["user_id"]}
        elif name == "service_tier" and value == "standard_only":
            found["service_tier"] = value
        elif name not in ("temperature", "top_p", "top_k", "betas"):
            losses.add(name)
    return found


def _is_opaque(value: Any) -> bool:
    """Tell a user's id from what names a person: Anthropic refuses e-mail addresses."""
    return type(value) is str and 0 < len(value) <= 256 and "@" not in value


def _sample(body: Json, asked: Request, traits: Traits, losses: Losses) -> None:
    """Put in temperature, top_p and top_k, as far as model and thinking allow."""
    given = asked.options
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    for name in ("temperature", "top_p", "top_k"):
        value = given.get(name)
        if not isinstance(value, int | float):
            continue
        if name == "temperature" and value == 1:
            continue  # what it is anyhow
        barred = not traits.sampling or (thinks and (name != "top_p" or value < _WIDE))
        if barred or (name == "top_p" and "temperature" in body and not traits.both):
            losses.add(name)
            continue
        body[name] = value
        if name == "temperature" and not 0 <= value <= 1:  # OpenAI's scale goes to 2
            losses.add(name)
            body[name] = min(1, max(0, value))


def _think(body: Json, asked: Request, traits: Traits, losses: Losses) -> None:
    """Ask for thought, and for room for it and for the answer: `max_tokens` counts both."""
    given, name = body.pop("thinking", None), "thinking"
    thinking: Json | None
    if type(given) is dict:
        thinking = _fitted(body, given, traits, losses)
    else:
        thinking, name = _effort(body, asked.effort, traits, losses), "reasoning_effort"
    if thinking and _is_barred(body, thinking, traits):
        losses.add(name)
        thinking = None
    most = asked.max_tokens
    budget = count(thinking, "budget_tokens")
    if budget is not None and most is not None and budget >= most:
        budget = most - 1
        thinking = {**(thinking or {}), "budget_tokens": budget}
        losses.add(name)
        if budget < _LEAST:
            thinking = None
    if thinking:
        body["thinking"] = thinking
    body["max_tokens"] = most if most is not None else max(traits.most, (budget or 0) + 1)


def _fitted(body: Json, given: Json, traits: Traits, losses: Losses) -> Json | None:
    """Return a caller's own setting, made for another model of Anthropic's, as this one has it."""
    kind = given.get("type")
    if kind not in ("enabled", "adaptive"):
        return given if traits.thinking != "none" else None
    if traits.thinking == "none":
        losses.add("thinking")
        return None
    if traits.thinking == "budget" and count(given, "budget_tokens") is None:
        effort = text(part(body, "output_config"), "effort")
        budget = _BUDGETS.get(effort or "medium", _BUDGETS["medium"])
        rest = {name: value for name, value in given.items() if name != "display"}
        return {**rest, "type": "enabled", "budget_tokens": budget}
    told = count(given, "budget_tokens") is not None
    if traits.thinking == "adaptive" and kind == "enabled" and not (traits.budget and told):
        losses.add("thinking")  # how much of it
        rest = {name: value for name, value in given.items() if name != "budget_tokens"}
        return {**rest, "type": "adaptive"}
    return given


def _effort(body: Json, effort: str | None, traits: Traits, losses: Losses) -> Json | None:
    if effort is None or effort == "none":
        return None
    if traits.thinking == "none" or effort not in _BUDGETS:
        losses.add("reasoning_effort")
        return None
    if traits.thinking == "budget":
        return {"type": "enabled", "budget_tokens": _BUDGETS[effort]}
    if effort == "xhigh" and not traits.xhigh:
        losses.add("reasoning_effort")
        effort = "high"
    body["output_config"] = {"effort": _EFFORTS[effort], **part(body, "output_config")}
    return {"type": "adaptive", "display": "summarized"}


def _is_barred(body: Json, thinking: Json, traits: Traits) -> bool:
    """Tell whether the API would refuse to think.

    It does where a tool must be called, but for models that know both ways to think, and with a
    budget where the turn that is going on began without thought: "Expected `thinking`, but found
    `tool_use`".
    """
    kind = thinking.get("type")
    if kind not in ("enabled", "adaptive"):
        return False
    if part(body, "tool_choice").get("type") in FORCES:
        return kind == "enabled" or not traits.budget
    spoken = [turn for turn in body["messages"] if turn["role"] == "assistant"]
    if kind == "adaptive" or not spoken:
        return False
    answered = body["messages"][-1]["content"][0].get("type") == "tool_result"
    begins = spoken[-1]["content"][0].get("type")
    return answered and begins not in ("thinking", "redacted_thinking")
