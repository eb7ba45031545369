"""What is known of each provider by its litellm prefix: dialect, address, key.

Sources: each provider's API reference, and litellm's own provider table for the
names of the environment variables.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from pilotlight.core.headers import clean_key
from pilotlight.wire.tap import Wire

# litellm and the SDKs insist on a key, a server of the user's own does not.
NO_KEY_NEEDED: Final = "not-needed"
RESPONSES: Final = "responses/"  # before a model that is to be asked by OpenAI's Responses API


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One provider.

    `base_url` is where its API lives (empty: only the user can say), `openai_url`
    where the openai SDK can reach it (None: nowhere), `keys` and `bases` the
    environment variables for the API key and for another address.  `responses`: it has
    OpenAI's Responses API too.
    """

    wire: Wire = "other"
    base_url: str = ""
    openai_url: str | None = None
    keys: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    responses: bool = False


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
    via: Literal["litellm"] | None = None  # None: straight, where it speaks a dialect of ours

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]

    @property
    def bare_model(self) -> str:
        return self.model.partition("/")[2].removeprefix(RESPONSES)

    @property
    def by_responses(self) -> bool:
        """Whether it is to be asked by OpenAI's Responses API, which litellm's name says too."""
        return self.model.partition("/")[2].startswith(RESPONSES)


def _openai_like(
    base_url: str, *keys: str, bases: tuple[str, ...] = (), responses: bool = False
) -> ProviderInfo:
    return ProviderInfo("openai", base_url, base_url, keys, bases, responses)


def _own_server(key: str, *, responses: bool = False) -> ProviderInfo:
    """A server of the user's own, of which only the user knows the address."""
    return ProviderInfo("openai", "", "", (key,), (), responses)


def _hosted(name: str, base_url: str, *keys: str) -> ProviderInfo:
    """A vendor whose variables are called as most are."""
    variable = name.upper()
    return _openai_like(base_url, *keys, f"{variable}_API_KEY", bases=(f"{variable}_API_BASE",))


# Servers that speak OpenAI's chat and want nothing of their own.
_HOSTED: Final = {
    "aiml": "https://api.aimlapi.com/v1",
    "baseten": "https://inference.baseten.co/v1",
    "dashscope": "https://dashscope.aliyuncs.com/compatible-mode/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "featherless_ai": "https://api.featherless.ai/v1",
    "friendliai": "https://api.friendli.ai/serverless/v1",
    "hyperbolic": "https://api.hyperbolic.xyz/v1",
    "moonshot": "https://api.moonshot.ai/v1",
    "morph": "https://api.morphllm.com/v1",
    "nebius": "https://api.studio.nebius.ai/v1",
    "novita": "https://api.novita.ai/v3/openai",
    "nscale": "https://inference.api.nscale.com/v1",
    "sambanova": "https://api.sambanova.ai/v1",
    "v0": "https://api.v0.dev/v1",
    "vercel_ai_gateway": "https://ai-gateway.vercel.sh/v1",
    "wandb": "https://api.inference.wandb.ai/v1",
    "zai": "https://api.z.ai/api/paas/v4",
}


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
            responses=True,
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
        "groq": _openai_like("https://api.groq.com/openai/v1", "GROQ_API_KEY", responses=True),
        "deepseek": _openai_like("https://api.deepseek.com/beta", "DEEPSEEK_API_KEY"),
        "xai": _openai_like("https://api.x.ai/v1", "XAI_API_KEY", responses=True),
        "together_ai": _openai_like(
            "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", "TOGETHER_API_KEY"
        ),
        "fireworks_ai": _openai_like(
            "https://api.fireworks.ai/inference/v1",
            "FIREWORKS_API_KEY",
            "FIREWORKS_AI_API_KEY",
            responses=True,
        ),
        "openrouter": _openai_like(
            "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", responses=True
        ),
        "perplexity": _openai_like("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
        "cerebras": _openai_like("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        "nvidia_nim": _openai_like("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
        "cohere": _COHERE,
        "cohere_chat": _COHERE,
        "lambda_ai": _hosted("lambda", "https://api.lambda.ai/v1"),
        "meta_llama": _hosted("llama", "https://api.llama.com/compat/v1"),
        "hosted_vllm": _own_server("HOSTED_VLLM_API_KEY", responses=True),
        "lm_studio": _own_server("LM_STUDIO_API_KEY", responses=True),
        "llamafile": _own_server("LLAMAFILE_API_KEY"),
        **{name: _hosted(name, base) for name, base in _HOSTED.items()},
        "azure": ProviderInfo(
            "openai", "", None, ("AZURE_API_KEY",), ("AZURE_API_BASE",), responses=True
        ),
        "stability": ProviderInfo(
            "stability", "https://api.stability.ai", None, ("STABILITY_API_KEY",)
        ),
        "automatic1111": ProviderInfo("other", "http://127.0.0.1:7860", None),
        "ollama": ProviderInfo("ollama", "", "", (), ("OLLAMA_HOST",)),
        "ollama_chat": ProviderInfo("ollama", "", "", (), ("OLLAMA_HOST",)),
    }
)


def info(provider: str) -> ProviderInfo:
    """Return what is known; for an unknown provider, the habits that all share."""
    return CATALOG.get(provider) or ProviderInfo(keys=(f"{provider.upper()}_API_KEY",))


def meant(provider: str) -> str | None:
    """Return the provider that was probably meant by a name that is none; None: no idea.

    A name that only litellm knows is near to none of these.
    """
    lower = provider.lower()
    if provider in CATALOG or lower in _OTHERS:
        return None
    if lower in CATALOG:
        return lower
    near = difflib.get_close_matches(lower, (*CATALOG, *_OTHERS), n=1, cutoff=0.8)
    return _ALSO_CALLED.get(lower) or next(iter(near), None)


# Those of litellm's that are typed most.
_OTHERS: Final = ("bedrock", "vertex_ai", "huggingface", "sagemaker", "databricks", "watsonx")
_ALSO_CALLED: Final = {
    "aws": "bedrock",
    "claude": "anthropic",
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "google_genai": "gemini",
    "googleai": "gemini",
    "gpt": "openai",
    "grok": "xai",
    "lmstudio": "lm_studio",
    "nvidia": "nvidia_nim",
    "together": "together_ai",
    "vertex": "vertex_ai",
    "x-ai": "xai",
}


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
