"""What is known of other people's model classes: whom they ask, and how to put a client of ours in.

A vendor's class keeps its SDK client where it likes, so this is a table.  A class that stands
in none of its rows is asked as it is: its exceptions and its answers are then all there is to
judge by, and it is never local.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from langchain_pilotlight._errors import NotAllowed
from pilotlight.extension import Endpoint
from pilotlight.plain import logger

if TYPE_CHECKING:
    import httpx

_log = logger("pilotlight.langchain")

# LangChain's `ls_provider`, where litellm calls the provider by another name.
_PROVIDERS: Final[Mapping[str, str]] = {
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "amazon_bedrock": "bedrock",
    "mistralai": "mistral",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
}
_MODELS: Final = ("model_name", "model", "model_id", "deployment_name", "azure_deployment")
_BASES: Final = ("azure_endpoint", "anthropic_api_url", "base_url", "api_base", "endpoint_url")
# What a call may be given to ask somebody else than the model's fields say.
_ELSEWHERE: Final = (
    *_BASES, "host", "openai_api_base", "client", "async_client", "client_kwargs",
    "sync_client_kwargs", "async_client_kwargs", "http_client", "http_async_client",
    "model_kwargs", "extra_body",
)  # fmt: skip
_DEFAULT_ADDRESSES: Final = ("https://api.anthropic.com", "https://api.openai.com/v1")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a model asks: what tells one circuit breaker from another."""

    model: str  # litellm's `provider/model`
    base_url: str | None
    api_key: str | None


def identity(model: Any) -> Identity:
    """Return whom this LangChain object asks, as far as its fields tell."""
    provider = _provider(model)
    name = _first(model, _MODELS) or type(model).__name__
    if provider != "ollama":  # there a name is taken as it is, whatever it begins with
        name = name.removeprefix("models/").removeprefix(f"{provider}/")
    base = _client_address(model) or _first(model, _BASES)
    base = (base or "").rstrip("/")
    return Identity(
        f"{provider}/{name}", None if base in _DEFAULT_ADDRESSES else base or None, _key(model)
    )


def astray(options: Mapping[str, Any], proven: str | None) -> tuple[str, Any] | None:
    """Return the option of a call, with its value, that asks another than the proven model.

    `proven` is the model's name; None: a name is not handed on, and so changes nothing.
    """
    names = () if proven is None else _MODELS
    for name, value in options.items():
        if name in _ELSEWHERE or (name in names and value != proven):
            return name, value
    return None


def marks(model: Any) -> tuple[Any, ...]:
    """Return what a model object holds now, to be compared by identity: it may be changed later."""
    private = getattr(model, "__pydantic_private__", None) or {}
    return (*getattr(model, "__dict__", {}).values(), *private.values())


def unchanged(model: Any, before: tuple[Any, ...]) -> bool:
    """Tell whether a model object holds what it held before."""
    now = marks(model)
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _provider(model: Any) -> str:
    """Return litellm's name for the provider; for what is no chat model, by its package."""
    ask = getattr(model, "_get_ls_params", None)
    said = ask().get("ls_provider") if ask is not None else None
    said = said or _package(model).removeprefix("langchain_") or "langchain"
    return _PROVIDERS.get(str(said), str(said))


def _package(model: Any) -> str:
    """Return the partner package that a class comes from, also for a subclass of one's own."""
    roots = [str(kind.__module__).partition(".")[0] for kind in type(model).__mro__]
    return next((root for root in roots if root in _VENDORS), roots[0])


def _first(model: Any, names: tuple[str, ...]) -> str | None:
    found = (getattr(model, name, None) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)


def _key(model: Any) -> str | None:
    """Return the API key: the first secret field that is named like one."""
    for name in getattr(type(model), "model_fields", {}):
        if name.endswith("api_key") and isinstance(value := getattr(model, name), SecretStr):
            return value.get_secret_value() or None
    return None


def _client_address(model: Any) -> str | None:
    """Return the address that the SDK's own client has, which knows the environment as well."""
    vendor = _VENDORS.get(_package(model))
    client = vendor.client(model) if vendor is not None else None
    base = getattr(client, "base_url", None)
    return None if base is None else str(base)


# Putting a client of ours in.


@dataclass(frozen=True, slots=True)
class Vendor:
    """How to reach into one partner package's classes."""

    client: Callable[[Any], Any]  # what has the address as `base_url`
    quiet: Callable[[Any], Any]  # a copy that never retries by itself
    wired: Callable[[Any, Endpoint], Any | None]  # a copy over our clients; None: not possible
    held: Callable[[Any, Endpoint], Any | None] = lambda _m, _e: None  # that asks one model only


def held(model: Any, endpoint: Endpoint) -> Any | None:
    """Return a copy for private calls: over our clients, and for the endpoint's model alone.

    None where that is not possible; such a model is not local.  The copy raises NotAllowed,
    before anything is written, where a request names another model than the proven one.
    """
    vendor = _VENDORS.get(_package(model))
    try:
        return None if vendor is None else vendor.held(model, endpoint)
    except Exception as error:  # a release whose insides are others
        _log.warning("%s is not taken for local: %s", type(model).__name__, type(error).__name__)
        return None


def wired(model: Any, endpoint: Endpoint) -> Any:
    """Return a copy that does not retry, over our clients where that is possible."""
    vendor = _VENDORS.get(_package(model))
    try:
        if vendor is not None:
            through = vendor.wired(model, endpoint)
            return vendor.quiet(model) if through is None else through
    except Exception as error:  # a release whose insides are others: ask it as it is
        _log.warning("%s is asked as it is: %s", type(model).__name__, type(error).__name__)
        return model
    if getattr(model, "max_retries", 0):
        _log.warning(
            "%s retries by itself (max_retries=%s), besides pilotlight: set max_retries=0",
            type(model).__name__,
            model.max_retries,
        )
    return model


def can_be_held(model: Any) -> bool:
    """Tell whether requests of this model are known to go where its fields say, to that model."""
    return _package(model) in _HELD and not _has_own_transport(model)


def inabilities(model: Any) -> frozenset[str]:
    """Return what a class can't put to its provider, whatever the model could make of it."""
    return _INABILITIES.get(_package(model), frozenset())


def _has_own_transport(model: Any) -> bool:
    """Tell whether the user has given a client, a proxy or a transport: it is left alone."""
    given = ("http_client", "http_async_client", "openai_proxy")
    if any(getattr(model, name, None) for name in given):
        return True
    kwargs = ("client_kwargs", "sync_client_kwargs", "async_client_kwargs")
    keys = {key for name in kwargs for key in getattr(model, name, None) or {}}
    return bool(keys & {"transport", "mounts", "proxy", "verify", "cert"})


def _openai(model: Any, endpoint: Endpoint | None) -> Any:
    """Copy a model of the OpenAI family; its embeddings keep their clients one level deeper."""
    twin = copy(model)
    extra: dict[str, Any] = {"max_retries": 0}
    plain = extra | ({"http_client": endpoint.http_client()} if endpoint else {})
    async_ = extra | ({"http_client": endpoint.ahttp_client()} if endpoint else {})
    if (root := getattr(model, "root_client", None)) is not None:
        twin.root_client = root.with_options(**plain)
        twin.client = twin.root_client.chat.completions
    elif model.client is not None:
        twin.client = model.client._client.with_options(**plain).embeddings
    if (aroot := getattr(model, "root_async_client", None)) is not None:
        twin.root_async_client = aroot.with_options(**async_)
        twin.async_client = twin.root_async_client.chat.completions
    elif model.async_client is not None:
        twin.async_client = model.async_client._client.with_options(**async_).embeddings
    return twin


def _openai_client(model: Any) -> Any:
    return getattr(model, "root_client", None) or getattr(model.client, "_client", None)


def _wired_openai(model: Any, endpoint: Endpoint) -> Any | None:
    return None if _has_own_transport(model) else _openai(model, endpoint)


def _quiet_anthropic(model: Any) -> Any:
    """Copy it without the clients that it has cached: the next are made with the copy's number."""
    twin = model.model_copy(update={"max_retries": 0})
    for name in ("_client_params", "_client", "_async_client"):
        twin.__dict__.pop(name, None)
    return twin


def _wired_ollama(model: Any, endpoint: Endpoint, *, only: str | None = None) -> Any | None:
    """Copy an Ollama model; `only`: requests that name another model are refused unsent."""
    http, ahttp = endpoint.http_client(), endpoint.ahttp_client()
    if http is None or ahttp is None or _has_own_transport(model):
        return None
    twin = model.model_copy()
    common = model.client_kwargs or {}
    plain = {**common, **(model.sync_client_kwargs or {}), "transport": http._transport}
    async_ = {**common, **(model.async_client_kwargs or {}), "transport": ahttp._transport}
    if only is not None:
        plain["event_hooks"] = _last(plain, Gate(only))
        async_["event_hooks"] = _last(async_, AsyncGate(only))
    headers = {**(common.get("headers") or {}), "accept-encoding": "identity"}
    base = str(model._client._client.base_url) if only is None else endpoint.base_url
    twin._client = type(model._client)(host=base, **{**plain, "headers": headers})
    twin._async_client = type(model._async_client)(host=base, **{**async_, "headers": headers})
    return twin


def _held_ollama(model: Any, endpoint: Endpoint) -> Any | None:
    return _wired_ollama(model, endpoint, only=endpoint.model.partition("/")[2])


def _last(kwargs: Mapping[str, Any], gate: Any) -> dict[str, list[Any]]:
    """Return the client's hooks with ours behind the user's own, which may change a request."""
    given = kwargs.get("event_hooks") or {}
    return {**given, "request": [*given.get("request", ()), gate]}


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets requests for one model pass, whatever has put another one into them."""

    model: str

    def __call__(self, request: httpx.Request) -> None:
        self.check(request.read())

    def check(self, body: bytes) -> None:
        """Raise NotAllowed for the body of a request that is not for this model."""
        try:
            named = json.loads(body)["model"]
        except (ValueError, TypeError, KeyError):
            named = None
        if named != self.model:
            raise NotAllowed.of_another_model("model", named, self.model)


@dataclass(frozen=True, slots=True)
class AsyncGate(Gate):
    """The same for async."""

    async def __call__(self, request: httpx.Request) -> None:  # type: ignore[override]
        self.check(await request.aread())


_VENDORS: Final[Mapping[str, Vendor]] = {
    "langchain_openai": Vendor(_openai_client, lambda m: _openai(m, None), _wired_openai),
    "langchain_anthropic": Vendor(lambda _: None, _quiet_anthropic, lambda _m, _e: None),
    "langchain_ollama": Vendor(
        lambda m: m._client._client, lambda m: m, _wired_ollama, _held_ollama
    ),
}
_INABILITIES: Final = {"langchain_ollama": frozenset({"audio", "files"})}
_HELD: Final = frozenset({"langchain_ollama"})
