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

from pilotlight.version import __version__ as __version__

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight, load
    from pilotlight.catalog.litellm_module import preload
    from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
    from pilotlight.core.flow.recorder import receipts
    from pilotlight.core.flow.steps import StreamRestarted
    from pilotlight.doors.decorator import failover
    from pilotlight.doors.dropin import (
        acompletion,
        aembedding,
        aimage_generation,
        completion,
        embedding,
        image_generation,
    )
    from pilotlight.doors.gateway.mount import asgi
    from pilotlight.doors.guard.guard import guard
    from pilotlight.doors.litellm_provider import register_litellm
    from pilotlight.errors import (
        AllTargetsFailed,
        BudgetSpent,
        CircuitOpen,
        ConfigError,
        DeadlineExceeded,
        InvalidCall,
        MissingExtra,
        PilotlightError,
        PromptTruncated,
        ProviderFault,
        ProviderRefusal,
        StreamInterrupted,
        TargetSkipped,
    )
    from pilotlight.events import listeners
    from pilotlight.privacy.residency import private
    from pilotlight.providers.attempt_target import AttemptTarget, current_target
    from pilotlight.routes.answer import (
        Answer,
        AnswerStream,
        AsyncAnswerStream,
        EmbeddingAnswer,
        ImageAnswer,
    )
    from pilotlight.routes.route import Route
    from pilotlight.scopes.tags import tagged
    from pilotlight.telemetry.setup import configure_telemetry
    from pilotlight.vocabulary.chunk import Chunk
    from pilotlight.vocabulary.faults import Fault
    from pilotlight.vocabulary.receipt import Receipt


_HOMES = {
    "AllTargetsFailed": "errors",
    "Answer": "routes.answer",
    "AnswerStream": "routes.answer",
    "AsyncAnswerStream": "routes.answer",
    "AttemptTarget": "providers.attempt_target",
    "Breaker": "core.breaker.breaker",
    "BreakerPolicy": "core.breaker.breaker",
    "BudgetSpent": "errors",
    "Chunk": "vocabulary.chunk",
    "CircuitOpen": "errors",
    "ConfigError": "errors",
    "DeadlineExceeded": "errors",
    "EmbeddingAnswer": "routes.answer",
    "Fault": "vocabulary.faults",
    "ImageAnswer": "routes.answer",
    "InvalidCall": "errors",
    "MissingExtra": "errors",
    "Pilotlight": "app",
    "PilotlightError": "errors",
    "PromptTruncated": "errors",
    "ProviderFault": "errors",
    "ProviderRefusal": "errors",
    "Receipt": "vocabulary.receipt",
    "Route": "routes.route",
    "StreamInterrupted": "errors",
    "StreamRestarted": "core.flow.steps",
    "TargetSkipped": "errors",
    "acompletion": "doors.dropin",
    "aembedding": "doors.dropin",
    "aimage_generation": "doors.dropin",
    "asgi": "doors.gateway.mount",
    "completion": "doors.dropin",
    "configure_telemetry": "telemetry.setup",
    "current_target": "providers.attempt_target",
    "embedding": "doors.dropin",
    "failover": "doors.decorator",
    "guard": "doors.guard.guard",
    "image_generation": "doors.dropin",
    "listeners": "events",
    "load": "app",
    "preload": "catalog.litellm_module",
    "private": "privacy.residency",
    "receipts": "core.flow.recorder",
    "register_litellm": "doors.litellm_provider",
    "tagged": "scopes.tags",
}

__all__ = [
    "AllTargetsFailed",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AttemptTarget",
    "Breaker",
    "BreakerPolicy",
    "BudgetSpent",
    "Chunk",
    "CircuitOpen",
    "ConfigError",
    "DeadlineExceeded",
    "EmbeddingAnswer",
    "Fault",
    "ImageAnswer",
    "InvalidCall",
    "MissingExtra",
    "Pilotlight",
    "PilotlightError",
    "PromptTruncated",
    "ProviderFault",
    "ProviderRefusal",
    "Receipt",
    "Route",
    "StreamInterrupted",
    "StreamRestarted",
    "TargetSkipped",
    "acompletion",
    "aembedding",
    "aimage_generation",
    "asgi",
    "completion",
    "configure_telemetry",
    "current_target",
    "embedding",
    "failover",
    "guard",
    "image_generation",
    "listeners",
    "load",
    "preload",
    "private",
    "receipts",
    "register_litellm",
    "tagged",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
