"""pilotlight for Django: LLM calls that survive their providers, in a site of many workers.

    from django_pilotlight import llm, llm_context, stream_response

    @llm_context(private=True, total_timeout=8)
    def summarise(request, pk):
        answer = llm().complete(messages)
        return JsonResponse({"text": answer.text, "degraded": answer.failed_over})

Names are loaded when they are first used: Django imports this module before its
apps are ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_pilotlight.calls import Calls, llm
    from django_pilotlight.context import LLMContext, carrying, llm_context
    from django_pilotlight.current_app import app
    from django_pilotlight.streaming import stream_response

__version__ = "0.1.0"

_HOMES = {
    "Calls": "calls",
    "LLMContext": "context",
    "app": "current_app",
    "carrying": "context",
    "llm": "calls",
    "llm_context": "context",
    "stream_response": "streaming",
}

__all__ = [
    "Calls",
    "LLMContext",
    "app",
    "carrying",
    "llm",
    "llm_context",
    "stream_response",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
