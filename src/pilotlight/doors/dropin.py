"""litellm's own functions, protected.  Change one import.

The route is found by the model: a route of that name, else the route that asks
this model first, else one that asks it at all, else the route named "default";
where none fits, the model alone (with litellm's `fallbacks=` behind it, if given).
For `embedding` only a route will do that asks this model first: another model's vectors
are of no use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, overload

from pilotlight.app import Pilotlight, default
from pilotlight.catalog.litellm_module import litellm, need
from pilotlight.config.targets import TargetConfig
from pilotlight.doors.litellm_errors import as_litellms
from pilotlight.errors import InvalidCall
from pilotlight.privacy.residency import is_private
from pilotlight.routes.call_rules import check_names
from pilotlight.routes.route import Route
from pilotlight.scopes.tags import tags_of
from pilotlight.vocabulary.operations import Priority

if TYPE_CHECKING:
    from litellm import EmbeddingResponse, ImageResponse, ModelResponse
    from litellm.types.utils import ModelResponseStream

    from pilotlight.core.flow.steps import StreamRestarted

# litellm's own ways to retry and fail over, which ours replaces, and its own transport.
_OURS = frozenset(
    {"num_retries", "max_retries", "fallbacks", "context_window_fallback_dict", "client"}
)
_ADDRESS = ("api_key", "api_base", "base_url")
_TERMS = (
    "timeout",
    "total_timeout",
    "private",
    "priority",
)  # what a call may say besides litellm's options


@overload
def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: Literal[False] | None = None,
    **options: Any,
) -> ModelResponse: ...
@overload
def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: Literal[True],
    **options: Any,
) -> CompletionStream: ...
@overload
def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: bool | None,
    **options: Any,
) -> ModelResponse | CompletionStream: ...
def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: bool | None = None,
    **options: Any,
) -> ModelResponse | CompletionStream:
    """Complete as `litellm.completion` does, by the targets of the model's route.

    Returns `litellm.ModelResponse`, or with `stream=True` an iterator of
    `ModelResponseStream`.  `timeout` bounds each attempt in seconds, as litellm's
    does one request, `total_timeout` the whole call with all its attempts; `priority` is its
    rank where it must queue.  `api_key` and `api_base` hold for this model alone and are never
    sent to another target.

    Raises what `Route.complete` raises.  An `AllTargetsFailed` in which a prompt was too long for
    a target is `litellm.ContextWindowExceededError` as well.
    """
    route, rest = _route_for(default(), model, options)
    how: dict[str, Any] = {
        "private": private,
        "timeout": timeout,
        "total_timeout": total_timeout,
        "priority": priority,
    }
    with as_litellms():
        if stream:
            return CompletionStream(route.stream(messages, **how, **rest))
        return route.complete(messages, **how, **rest).response


@overload
def acompletion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: Literal[False] | None = None,
    **options: Any,
) -> Coroutine[Any, Any, ModelResponse]: ...
@overload
def acompletion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: Literal[True],
    **options: Any,
) -> Coroutine[Any, Any, AsyncCompletionStream]: ...
@overload
def acompletion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: bool | None,
    **options: Any,
) -> Coroutine[Any, Any, ModelResponse | AsyncCompletionStream]: ...
def acompletion(
    model: str,
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    stream: bool | None = None,
    **options: Any,
) -> Coroutine[Any, Any, ModelResponse | AsyncCompletionStream]:
    """Complete as `litellm.acompletion` does; as `completion`, for async code.

    Made inside `private()`, the call is private wherever it is awaited.
    """
    held = is_private() or private
    options["tags"] = tags_of(options.get("tags"))

    async def completed() -> ModelResponse | AsyncCompletionStream:
        route, rest = _route_for(default(), model, options)
        how = _terms(held, timeout, total_timeout, priority)
        with as_litellms():
            if stream:
                return await AsyncCompletionStream(route.astream(messages, **how, **rest)).opened()
            return (await route.acomplete(messages, **how, **rest)).response

    return completed()


def embedding(
    model: str,
    input: str | Sequence[str],
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    **options: Any,
) -> EmbeddingResponse:
    """Embed as `litellm.embedding` does, by the targets of the model's route; see `completion`.

    Raises what `Route.embed` raises.
    """
    route, rest = _route_for(default(), model, options, any_model=False)
    how = _terms(private, timeout, total_timeout, priority)
    with as_litellms():
        return route.embed(input, **how, **rest).response


def aembedding(
    model: str,
    input: str | Sequence[str],
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    **options: Any,
) -> Coroutine[Any, Any, EmbeddingResponse]:
    """Embed as `litellm.aembedding` does; as `embedding`, for async code.

    Made inside `private()`, the call is private wherever it is awaited.
    """
    held = is_private() or private
    options["tags"] = tags_of(options.get("tags"))

    async def embedded() -> EmbeddingResponse:
        route, rest = _route_for(default(), model, options, any_model=False)
        how = _terms(held, timeout, total_timeout, priority)
        with as_litellms():
            return (await route.aembed(input, **how, **rest)).response

    return embedded()


def image_generation(
    prompt: str,
    model: str,
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    **options: Any,
) -> ImageResponse:
    """Make images as `litellm.image_generation` does, by the targets of the model's route.

    Raises what `Route.image` raises.
    """
    route, rest = _route_for(default(), model, options)
    how = _terms(private, timeout, total_timeout, priority)
    return route.image(prompt, **how, **rest).response


def aimage_generation(
    prompt: str,
    model: str,
    *,
    timeout: float | None = None,
    total_timeout: float | None = None,
    private: bool | None = None,
    priority: Priority | None = None,
    **options: Any,
) -> Coroutine[Any, Any, ImageResponse]:
    """Make images as `litellm.aimage_generation` does; as `image_generation`, for async code.

    Made inside `private()`, the call is private wherever it is awaited.
    """
    held = is_private() or private
    options["tags"] = tags_of(options.get("tags"))

    async def pictured() -> ImageResponse:
        route, rest = _route_for(default(), model, options)
        how = _terms(held, timeout, total_timeout, priority)
        return (await route.aimage(prompt, **how, **rest)).response

    return pictured()


def _terms(
    private: bool | None,
    timeout: float | None,
    total_timeout: float | None,
    priority: Priority | None,
) -> Any:
    return {
        "private": private,
        "timeout": timeout,
        "total_timeout": total_timeout,
        "priority": priority,
    }


class CompletionStream:
    """The chunks as litellm's class, opened already: a failure to open is raised by the call."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._first = list(islice(chunks, 1))

    def __iter__(self) -> Iterator[ModelResponseStream | StreamRestarted]:
        return self

    def __next__(self) -> ModelResponseStream | StreamRestarted:
        return _as_litellm(self._first.pop() if self._first else next(self._chunks))

    def close(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        self._chunks.close()


class AsyncCompletionStream:
    """The same for `async for`."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._first: list[Any] = []

    async def opened(self) -> AsyncCompletionStream:
        """Read up to the first content; raises what opening the stream raises."""
        async for chunk in self._chunks:
            self._first = [chunk]
            break
        return self

    def __aiter__(self) -> AsyncIterator[ModelResponseStream | StreamRestarted]:
        return self

    async def __anext__(self) -> ModelResponseStream | StreamRestarted:
        return _as_litellm(self._first.pop() if self._first else await anext(self._chunks))

    async def aclose(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        await self._chunks.aclose()


def _as_litellm(chunk: Any) -> ModelResponseStream | StreamRestarted:
    from pilotlight.providers.shapes import Shape, as_model_response_stream

    if isinstance(chunk, Shape):
        return as_model_response_stream(chunk)
    return chunk  # type: ignore[no-any-return]  # litellm's own, or a restart


def _route_for(
    pilot: Pilotlight, model: str, options: dict[str, Any], *, any_model: bool = True
) -> tuple[Route, dict[str, Any]]:
    """Return the route for a model, and the options less those that chose it."""
    need("the drop-in")
    litellm()  # its classes are what is returned, and what a mistake raises
    if not isinstance(model, str):
        raise InvalidCall(f"model is a {type(model).__name__}; it should be a name")
    check_names(options.keys() - _OURS - set(_ADDRESS), _TERMS)
    fallbacks = [name for name in options.get("fallbacks") or () if isinstance(name, str)]
    rest = {name: value for name, value in options.items() if name not in _OURS}
    address = {name: str(rest.pop(name)) for name in _ADDRESS if rest.get(name)}
    name = _find(pilot, model, any_model)
    route = pilot.adhoc((model, *fallbacks)) if name is None else pilot.route(name)
    if address:
        base = route
        key = (base.name, model, *sorted(address.items()))
        make = partial(_readdressed, pilot, base, model, address)
        route = pilot.lent(key, make, shared=base.targets)
    return route, rest


@lru_cache(maxsize=256)
def _find(pilot: Pilotlight, model: str, any_model: bool) -> str | None:
    """Return the name of the route for a model; None: the model alone."""
    routes = pilot.config.routes
    if model in routes:
        return model
    asked = {
        name: [pilot.config.targets[target].model for target in route.targets]
        for name, route in routes.items()
    }
    first = [name for name, models in asked.items() if models[0] == model]
    later = [name for name, models in asked.items() if model in models]
    for name in (*first, *later, "default") if any_model else first:
        if name in routes:
            return name
    return None


def _readdressed(pilot: Pilotlight, route: Route, model: str, asked: Mapping[str, str]) -> Route:
    """Return the route with another address or key for this model, and for no other."""
    changed = {
        "api_base": asked.get("api_base") or asked.get("base_url"),
        "api_key": asked.get("api_key"),
    }
    given = {key: value for key, value in changed.items() if value}
    targets = []
    for target in route.targets:
        if target.model == model:
            known = pilot.config.targets.get(target.name, TargetConfig(model=model))
            config = TargetConfig(**known.model_dump(exclude_unset=True) | given)
            targets.append(pilot.make_target(target.name, config))
        else:
            targets.append(target)
    return replace(route, targets=tuple(targets))
