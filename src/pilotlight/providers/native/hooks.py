"""What a program has told litellm to do with every call; then litellm is to do it."""

from __future__ import annotations

import sys
from typing import Final

_HOOKS: Final = (
    "callbacks", "success_callback", "failure_callback", "input_callback", "service_callback",
    "_async_success_callback", "_async_failure_callback", "_async_input_callback",
    "cache", "model_alias_map", "headers", "organization", "pre_call_rules", "post_call_rules",
    "route_all_chat_openai_to_responses", "modify_params", "max_budget",
)  # fmt: skip
_ITS_OWN: Final = ["cache"]  # put there by its Gemini calls, and idle while `litellm.cache` is None


def litellm_has_hooks() -> bool:
    """Tell whether the program has told litellm to take part in every call: log it, cache it."""
    module = sys.modules.get("litellm")
    if module is None:
        return False
    settings = vars(module)
    return any(value != _ITS_OWN for name in _HOOKS if (value := settings.get(name)))
