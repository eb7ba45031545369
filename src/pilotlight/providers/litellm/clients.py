"""Which `client=` makes litellm talk to a provider over our wire.

litellm looks at the type of `client=` and silently ignores one that does not fit,
so a wrong kind is no error but an unwatched call.  The tables were measured with
litellm 1.106.2: for each provider and call shape, one request was seen and it was ours.
A provider may take another kind for embeddings or images than for a chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from pilotlight.vocabulary.operations import Operation
from pilotlight.wire.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal["openai", "azure", "handler"]

# These routes end in the OpenAI SDK.
OPENAI: Final = frozenset(
    """
    ai21 ai21_chat aiml baseten cerebras codestral custom_openai dashscope deepinfra
    docker_model_runner empower featherless_ai friendliai galadriel github hyperbolic
    lambda_ai litellm_proxy llamafile lm_studio meta_llama moonshot morph nebius novita nscale
    nvidia_nim openai perplexity sambanova text-completion-openai v0 vercel_ai_gateway
    volcengine wandb xinference zai
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
# These end in litellm's own HTTP handlers.
HANDLER: Final = frozenset(
    """
    anthropic azure_ai bedrock cometapi databricks deepseek fireworks_ai gemini groq heroku
    hosted_vllm huggingface lemonade minimax mistral ollama ollama_chat openrouter ovhcloud
    snowflake together_ai vertex_ai xai
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
AZURE: Final = frozenset(("azure", "azure_text"))
# litellm drops `client=` on the way, at least in some shapes: such calls go unwatched.
UNWATCHED: Final = frozenset(
    """
    aiohttp_openai cloudflare cohere cohere_chat nlp_cloud petals replicate sagemaker
    text-completion-codestral
    """.split()  # noqa: SIM905 - a list of them would fill a page
)


_EMBEDDINGS: Final[Mapping[Kind, frozenset[str]]] = {
    "openai": frozenset(
        """
        azure_ai fireworks_ai litellm_proxy mistral nebius nvidia_nim openai together_ai xinference
        """.split()  # noqa: SIM905 - a list of them would fill a page
    ),
    "azure": frozenset({"azure"}),
    "handler": frozenset(
        """
        cohere databricks gemini hosted_vllm infinity jina_ai llamafile lm_studio openrouter
        perplexity sambanova volcengine voyage
        """.split()  # noqa: SIM905 - a list of them would fill a page
    ),
}
_IMAGES: Final[Mapping[Kind, frozenset[str]]] = {
    "openai": frozenset(("litellm_proxy", "nebius", "nscale", "openai", "together_ai", "xai")),
    "handler": frozenset(("aiml", "fal_ai", "gemini", "openrouter", "recraft", "stability")),
}
_KINDS: Final[Mapping[Operation, Mapping[Kind, frozenset[str]]]] = {
    "chat": {"azure": AZURE, "handler": HANDLER, "openai": OPENAI},
    "embeddings": _EMBEDDINGS,
    "image": _IMAGES,
}


def kind_of(provider: str, operation: Operation = "chat") -> Kind | None:
    """Return the kind of client that litellm takes for a provider.

    None stands for the `UNWATCHED` and for all that were not measured.
    """
    kinds = _KINDS[operation].items()
    return next((kind for kind, providers in kinds if provider in providers), None)


def needs_thread(provider: str, operation: Operation) -> bool:
    """Tell whether litellm's async way drops `client=` while its sync way takes it.

    So it is for images by its own handlers, and for Gemini's embeddings; both would also
    block a thread of the loop's executor.
    """
    if operation == "embeddings":
        return provider == "gemini"
    return operation == "image" and kind_of(provider, operation) == "handler"


def litellm_client(
    source: Pool | httpx.Client | httpx.AsyncClient,
    provider: str,
    *,
    asynchronous: bool,
    api_key: str,
    base_url: str | None = None,
    api_version: str | None = None,
    operation: Operation = "chat",
) -> object | None:
    """Return the object to pass to litellm as `client=`, or None where it takes none.

    For a pool the object is made once and kept with it, as an SDK client takes
    milliseconds to make; for a bound client it is made anew.
    """
    kind = kind_of(provider, operation)
    if kind is None:
        return None
    if not isinstance(source, Pool):
        return _MAKERS[kind](source, api_key, base_url, api_version)
    key = (kind, asynchronous, api_key, base_url, api_version)
    made = source.handed.get(key)
    if made is None:
        client = source.aclient() if asynchronous else source.client()
        made = _MAKERS[kind](client, api_key, base_url, api_version)
        source.handed[key] = made
    return made


def _openai(client: Any, api_key: str, base_url: str | None, _api_version: str | None) -> object:
    from pilotlight.providers.litellm import openai_clients as clients

    asynchronous = isinstance(client, httpx.AsyncClient)
    make: Any = clients.AsyncOneShot if asynchronous else clients.OneShot
    return make(api_key=api_key, base_url=base_url, http_client=client, max_retries=0)


def _azure(client: Any, api_key: str, base_url: str | None, api_version: str | None) -> object:
    from pilotlight.providers.litellm import openai_clients as clients

    asynchronous = isinstance(client, httpx.AsyncClient)
    make: Any = clients.AsyncAzureOneShot if asynchronous else clients.AzureOneShot
    return make(
        api_key=api_key,
        azure_endpoint=base_url,
        api_version=api_version,
        http_client=client,
        max_retries=0,
    )


def _handler(client: Any, *_: str | None) -> object:
    from pilotlight.providers.litellm import handlers

    if isinstance(client, httpx.AsyncClient):
        return handlers.OneShotHandler(client)
    return handlers.HTTPHandler(client=client)


_MAKERS: Final[dict[Kind, Callable[[Any, str, str | None, str | None], object]]] = {
    "openai": _openai,
    "azure": _azure,
    "handler": _handler,
}
