"""What is known of each provider by its litellm prefix: dialect, address, key.

Sources: each provider's API reference, and litellm's own provider table for the
names of the environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from pilotlight.core.headers import clean_key
from pilotlight.wire.tap import Wire

# litellm and the SDKs insist on a key, a server of the user's own does not.
NO_KEY_NEEDED: Final = "not-needed"


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One provider.

    `base_url` is where its API lives (empty: only the user can say), `openai_url`
    where the openai SDK can reach it (None: nowhere), `keys` and `bases` the
    environment variables for the API key and for another address.
    """

    wire: Wire = "other"
    base_url: str = ""
    openai_url: str | None = None
    keys: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One endpoint as it was configured; `name` is the target's."""

    name: str
    model: str  # litellm's `provider/model`
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    context: int | None = None
    keep_alive: str | float | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold a secret
    key_variable: str | None = None  # the environment variable that should hold the key
    via: Literal["litellm"] | None = None  # None: straight, where that is the same

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]

    @property
    def bare_model(self) -> str:
        return self.model.partition("/")[2]


def _openai_like(base_url: str, *keys: str, bases: tuple[str, ...] = ()) -> ProviderInfo:
    return ProviderInfo("openai", base_url, base_url, keys, bases)


_COHERE = ProviderInfo(
    "cohere",
    "https://api.cohere.com",
    None,
    ("COHERE_API_KEY", "CO_API_KEY"),
    ("COHERE_API_BASE",),
)
CATALOG: Mapping[str, ProviderInfo] = MappingProxyType(
    {
        "openai": _openai_like(
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            bases=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ),
        "anthropic": ProviderInfo(
            "anthropic",
            "https://api.anthropic.com",
            "https://api.anthropic.com/v1/",
            ("ANTHROPIC_API_KEY",),
            ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        ),
        "gemini": ProviderInfo(
            "gemini",
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ),
        "mistral": _openai_like("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
        "groq": _openai_like("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        "deepseek": _openai_like("https://api.deepseek.com/beta", "DEEPSEEK_API_KEY"),
        "xai": _openai_like("https://api.x.ai/v1", "XAI_API_KEY"),
        "together_ai": _openai_like(
            "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", "TOGETHER_API_KEY"
        ),
        "fireworks_ai": _openai_like(
            "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"
        ),
        "openrouter": _openai_like("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        "perplexity": _openai_like("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
        "cerebras": _openai_like("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        "nvidia_nim": _openai_like("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
        "cohere": _COHERE,
        "cohere_chat": _COHERE,
        "hosted_vllm": ProviderInfo("openai", "", "", ("HOSTED_VLLM_API_KEY",)),
        "lm_studio": ProviderInfo("openai", "", "", ("LM_STUDIO_API_KEY",)),
        "llamafile": ProviderInfo("openai", "", "", ("LLAMAFILE_API_KEY",)),
        "azure": ProviderInfo("openai", "", None, ("AZURE_API_KEY",), ("AZURE_API_BASE",)),
        "stability": ProviderInfo(
            "stability", "https://api.stability.ai", None, ("STABILITY_API_KEY",)
        ),
        "ollama": ProviderInfo("ollama", "", "", (), ("OLLAMA_HOST",)),
        "ollama_chat": ProviderInfo("ollama", "", "", (), ("OLLAMA_HOST",)),
    }
)


def info(provider: str) -> ProviderInfo:
    """Return what is known; for an unknown provider, the habits that all share."""
    return CATALOG.get(provider) or ProviderInfo(keys=(f"{provider.upper()}_API_KEY",))


def environment_key(provider: str) -> str | None:
    """Return the API key from the provider's usual environment variable.

    Raises ConfigError for a key that can't be sent.
    """
    for name in info(provider).keys:
        if value := os.environ.get(name):
            return clean_key(value, name) or None
    return None


def environment_base(provider: str) -> str | None:
    """Return the address from the provider's usual environment variable."""
    return _first(info(provider).bases)


def _first(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
