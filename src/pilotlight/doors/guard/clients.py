"""The SDKs whose clients can be guarded: how each is told by its class, read, and made again.

A client is made again by the public way that its SDK has for an HTTP client of one's own.  No SDK
is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pilotlight.catalog import providers
from pilotlight.doors.guard.home import Endpoint
from pilotlight.errors import ConfigError

Make = Callable[[Any, bool], Any]
"""Makes an HTTP client over our transport, of the family and settings of one of the SDK's.

Its second argument: for async code.
"""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK: the dialects that its client speaks, and how it is read and made again."""

    dialects: frozenset[str]
    endpoint: Callable[[Any], Endpoint]
    remade: Callable[[Any, Make], Any]


def sdk_of(client: Any) -> Sdk:
    """Return the SDK of a client; raises ConfigError for anything that is no client."""
    for kind in type(client).__mro__:
        package = kind.__module__.partition(".")[0]
        found = _SDKS.get((package, kind.__name__)) or _SDKS.get((kind.__module__, kind.__name__))
        if found is not None:
            return found
    if isinstance(client, str):
        raise ConfigError(
            f"guard({client!r}) is a text; guard an SDK's client, such as guard(OpenAI(), "
            f"fallback={_model(client)!r}), or call a model by pilotlight.completion"
        )
    given = client.__name__ if isinstance(client, type) else type(client).__name__
    hint = f"make one: guard({given}())" if isinstance(client, type) else f"known are {KNOWN}"
    raise ConfigError(f"guard() takes an SDK's client, not {given}; {hint}")


def _model(text: str) -> str:
    return text if "/" in text else "ollama/llama3.2"


# OpenAI's and what is made by the same generator.


def _stainless(prefix: str, path: str) -> Callable[[Any], Endpoint]:
    def endpoint(client: Any) -> Endpoint:
        key = getattr(client, "api_key", None)
        base = str(client.base_url).rstrip("/") + path
        return Endpoint(prefix, base, key if type(key) is str and key else None)

    return endpoint


def _copied(client: Any, make: Make) -> Any:
    http = client._client
    return client.copy(http_client=make(http, hasattr(http, "aclose")))


# The others.


def _gemini(client: Any) -> Endpoint:
    api = client._api_client
    base, version = str(api._http_options.base_url).rstrip("/"), api._http_options.api_version
    if version and base != providers.info("gemini").base_url:
        base = f"{base}/{version}"
    return Endpoint("vertex_ai" if api.vertexai else "gemini", base, api.api_key)


def _gemini_again(client: Any, make: Make) -> Any:
    api = client._api_client
    options = api._http_options.model_copy(
        update={
            "httpx_client": make(api._httpx_client, False),
            "httpx_async_client": make(api._async_httpx_client or api._httpx_client, True),
        }
    )
    google = {"project": api.project, "location": api.location} if not api.api_key else {}
    if api.vertexai and not api.api_key:
        google["credentials"] = api._credentials
    return type(client)(
        vertexai=api.vertexai,
        api_key=api.api_key,
        debug_config=client._debug_config,
        http_options=options,
        **(google if api.vertexai else {}),
    )


def _mistral(client: Any) -> Endpoint:
    config = client.sdk_configuration
    security = config.security() if callable(config.security) else config.security
    base, _ = config.get_server_details()
    return Endpoint("mistral", f"{base}/v1", getattr(security, "api_key", None))


def _mistral_again(client: Any, make: Make) -> Any:
    config = client.sdk_configuration

    def key() -> str | None:
        security = config.security() if callable(config.security) else config.security
        found: str | None = getattr(security, "api_key", None)
        return found

    base, _ = config.get_server_details()
    return type(client)(
        api_key=key,
        server_url=base,
        client=make(config.client, False),
        async_client=make(config.async_client, True),
        retry_config=config.retry_config,
        timeout_ms=config.timeout_ms,
        debug_logger=config.debug_logger,
    )


def _ollama(client: Any) -> Endpoint:
    http = client._client
    token = http.headers.get("authorization", "").removeprefix("Bearer ")
    return Endpoint("ollama", str(http.base_url), token or None)


def _ollama_again(client: Any, make: Make) -> Any:
    http = client._client
    made = make(http, hasattr(http, "aclose"))
    return type(client)(
        str(http.base_url),
        follow_redirects=http.follow_redirects,
        timeout=http.timeout,
        headers=dict(http.headers),
        transport=made._transport,
        event_hooks=http.event_hooks,
    )


_CHAT: Final = frozenset({"openai_chat"})
_OPENAI: Final = frozenset({"openai_chat", "openai_responses"})
_CLAUDE: Final = frozenset({"anthropic_messages"})


def _by_copy(dialects: frozenset[str], prefix: str, path: str = "") -> Sdk:
    return Sdk(dialects, _stainless(prefix, path), _copied)


_OLLAMA: Final = Sdk(frozenset({"ollama"}), _ollama, _ollama_again)
_SDKS: Final = {
    ("openai", "AzureOpenAI"): _by_copy(_OPENAI, "azure"),
    ("openai", "AsyncAzureOpenAI"): _by_copy(_OPENAI, "azure"),
    ("openai", "OpenAI"): _by_copy(_OPENAI, "openai"),
    ("openai", "AsyncOpenAI"): _by_copy(_OPENAI, "openai"),
    ("anthropic", "Anthropic"): _by_copy(_CLAUDE, "anthropic"),
    ("anthropic", "AsyncAnthropic"): _by_copy(_CLAUDE, "anthropic"),
    ("groq", "Groq"): _by_copy(_CHAT, "groq", "/openai/v1"),
    ("groq", "AsyncGroq"): _by_copy(_CHAT, "groq", "/openai/v1"),
    ("google.genai.client", "Client"): Sdk(frozenset({"gemini"}), _gemini, _gemini_again),
    ("mistralai", "Mistral"): Sdk(_CHAT, _mistral, _mistral_again),
    ("ollama", "Client"): _OLLAMA,
    ("ollama", "AsyncClient"): _OLLAMA,
}
KNOWN: Final = (
    "OpenAI, AzureOpenAI, Anthropic, Groq and Async..., google.genai.Client, Mistral, "
    "ollama.Client, ollama.AsyncClient"
)
