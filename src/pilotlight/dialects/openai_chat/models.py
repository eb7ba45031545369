"""What OpenAI's own models refuse that others of theirs take.

Sources: OpenAI's guide to reasoning models and to GPT-5 ("parameter compatibility"), and the
refusals "Unsupported parameter: 'max_tokens' ... Use 'max_completion_tokens' instead" and
"Unrecognized request argument supplied: reasoning_effort".
"""

from __future__ import annotations

import re
from typing import Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.pivot import asks

_REASONS: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5(?!\.?\d*-chat)|gpt-[6-9]|codex)")
# These reason only when told to, and take every option while they don't.
_AT_WILL: Final = re.compile(r"(?:^|/)(?:gpt-5\.\d|gpt-[6-9])")
_NEVER: Final = re.compile(r"(?:^|/)(?:gpt-[34]|chatgpt|gpt-5(?:\.\d)?-chat)")
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


def fit_model(body: Json, model: str, losses: Losses) -> None:
    """Take out, by name, what a model of OpenAI's would refuse; raises Unable for `stop`."""
    if _NEVER.search(model) and body.pop("reasoning_effort", None) not in (None, "none"):
        losses.add("reasoning_effort")
    if not reasons(model):
        return
    if "max_tokens" in body:
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)
    if _AT_WILL.search(model) and body.get("reasoning_effort", "none") == "none":
        return
    if body.pop("stop", None):
        raise Unable("this model takes no stop sequences")
    for name in _SAMPLING:
        if name in body and asks(name, value := body.pop(name)) and value != _ANYHOW.get(name):
            losses.add(name)
