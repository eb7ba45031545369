"""What OpenAI's own models refuse that others of theirs take.

Sources: OpenAI's guide to reasoning models and to GPT-5 ("parameter compatibility"), and the
refusals "Unsupported parameter: 'max_tokens' ... Use 'max_completion_tokens' instead" and
"Unrecognized request argument supplied: reasoning_effort".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.pivot import asks

_REASONS: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5(?!\.?\d*-chat)|gpt-[6-9]|codex)")
# These reason only when told to, and take every option while they don't.
_AT_WILL: Final = re.compile(r"(?:^|/)(?:gpt-5\.\d|gpt-[6-9])")
_NEVER: Final = re.compile(r"(?:^|/)(?:gpt-[34]|chatgpt|gpt-5(?:\.\d)?-chat)")
# Sources: OpenAI's pages of these models, "endpoints".
_BY_RESPONSES: Final = re.compile(
    r"(?:^|/)(?:(?:o1|o3|gpt-5(?:\.\d)?)-pro|(?:gpt-5(?:\.\d)?-)?codex|o\d(?:-mini)?-deep-research"
    r"|computer-use|gpt-daybreak)"
)
_TOOLS_APART: Final = re.compile(r"(?:^|/)(?:gpt-5\.[4-9]|gpt-[6-9])(?!.*-(?:chat|search))")
_SAMPLING: Final = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "logit_bias",
)  # fmt: skip
_ANYHOW: Final = {"temperature": 1, "top_p": 1}


def reasons(model: str) -> bool:
    """Tell whether a model of OpenAI's may think before it speaks."""
    return _REASONS.search(model) is not None


def may_reason(model: str) -> bool:
    """Tell a model that may think, as any that is not known may, from one that never does."""
    return _NEVER.search(model) is None


def by_responses_alone(model: str) -> bool:
    """Tell whether OpenAI asks a model by its Responses API and by no other."""
    return _BY_RESPONSES.search(model) is not None


def by_responses_with_tools(model: str, effort: object) -> bool:
    """Tell whether a model takes functions in the Responses API alone while it reasons.

    Source: the refusal "Function tools with reasoning_effort are not supported for gpt-5.4 in
    /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to
    'none'."; not told, it reasons.
    """
    return effort != "none" and _TOOLS_APART.search(model) is not None


def fit_model(body: Json, model: str, losses: Losses) -> None:
    """Take out, by name, what a model of OpenAI's would refuse; raises Unable for `stop`."""
    never, may, at_will = _kinds(model)
    if never and body.pop("reasoning_effort", None) not in (None, "none"):
        losses.add("reasoning_effort")
    if not may:
        return
    if "max_tokens" in body:
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)
    if at_will and body.get("reasoning_effort", "none") == "none":
        return
    if body.pop("stop", None):
        raise Unable("this model takes no stop sequences")
    for name in _SAMPLING:
        if name in body and asks(name, value := body.pop(name)) and value != _ANYHOW.get(name):
            losses.add(name)


@lru_cache(maxsize=256)
def _kinds(model: str) -> tuple[bool, bool, bool]:
    """Return whether a model never reasons, may, and only when told to."""
    return bool(_NEVER.search(model)), reasons(model), bool(_AT_WILL.search(model))
