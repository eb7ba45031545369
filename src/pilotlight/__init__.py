"""LLM calls that survive their providers.

    from pilotlight import failover

    @failover("openai/gpt-4o", "ollama/llama3.2")
    def summarise(text: str, *, target) -> str: ...

Importing costs little: names are loaded when they are first used, litellm and the
SDKs when a call first needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotlight.answer import (
        Answer,
        AnswerStream,
        AsyncAnswerStream,
        EmbeddingAnswer,
        ImageAnswer,
    )
    from pilotlight.assembly import Pilotlight, load
    from pilotlight.core.breaker import Breaker, BreakerPolicy
    from pilotlight.core.faults import Fault
    from pilotlight.core.receipt import Receipt, receipts
    from pilotlight.core.steps import StreamRestarted
    from pilotlight.decorator import failover
    from pilotlight.dropin import (
        acompletion,
        aembedding,
        aimage_generation,
        completion,
        embedding,
        image_generation,
    )
    from pilotlight.errors import (
        AllTargetsFailed,
        CircuitOpen,
        ConfigError,
        DeadlineExceeded,
        InvalidCall,
        PilotlightError,
        PromptTruncated,
        ProviderFault,
        StreamInterrupted,
        TargetSkipped,
    )
    from pilotlight.events import listeners
    from pilotlight.providers.handle import AttemptTarget
    from pilotlight.providers.litellm_module import preload
    from pilotlight.residency import private
    from pilotlight.route import Route
    from pilotlight.telemetry.setup import configure_telemetry

__version__ = "0.1.0"

_HOMES = {
    "AllTargetsFailed": "errors",
    "Answer": "answer",
    "AnswerStream": "answer",
    "AsyncAnswerStream": "answer",
    "AttemptTarget": "providers.handle",
    "Breaker": "core.breaker",
    "BreakerPolicy": "core.breaker",
    "CircuitOpen": "errors",
    "ConfigError": "errors",
    "DeadlineExceeded": "errors",
    "EmbeddingAnswer": "answer",
    "Fault": "core.faults",
    "ImageAnswer": "answer",
    "InvalidCall": "errors",
    "Pilotlight": "assembly",
    "PilotlightError": "errors",
    "PromptTruncated": "errors",
    "ProviderFault": "errors",
    "Receipt": "core.receipt",
    "Route": "route",
    "StreamInterrupted": "errors",
    "StreamRestarted": "core.steps",
    "TargetSkipped": "errors",
    "acompletion": "dropin",
    "aembedding": "dropin",
    "aimage_generation": "dropin",
    "completion": "dropin",
    "configure_telemetry": "telemetry.setup",
    "embedding": "dropin",
    "failover": "decorator",
    "image_generation": "dropin",
    "listeners": "events",
    "load": "assembly",
    "preload": "providers.litellm_module",
    "private": "residency",
    "receipts": "core.receipt",
}

__all__ = [
    "AllTargetsFailed",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AttemptTarget",
    "Breaker",
    "BreakerPolicy",
    "CircuitOpen",
    "ConfigError",
    "DeadlineExceeded",
    "EmbeddingAnswer",
    "Fault",
    "ImageAnswer",
    "InvalidCall",
    "Pilotlight",
    "PilotlightError",
    "PromptTruncated",
    "ProviderFault",
    "Receipt",
    "Route",
    "StreamInterrupted",
    "StreamRestarted",
    "TargetSkipped",
    "acompletion",
    "aembedding",
    "aimage_generation",
    "completion",
    "configure_telemetry",
    "embedding",
    "failover",
    "image_generation",
    "listeners",
    "load",
    "preload",
    "private",
    "receipts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
