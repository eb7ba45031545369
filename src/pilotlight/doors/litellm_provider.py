"""A provider of litellm's: `model="pilotlight/chat"` asks the route `chat`.

So whatever is built on litellm (DSPy, CrewAI, smolagents, aider) takes the road without knowing
it.  A route's target may go through litellm itself: that call names a model and no route, and
nothing here stays behind from one call to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from pilotlight.app import Pilotlight, default
from pilotlight.catalog.litellm_module import litellm, need
from pilotlight.errors import ConfigError
from pilotlight.routes.call_rules import seconds_of
from pilotlight.routes.route import Route

NAME: Final = "pilotlight"
# litellm's own ways to carry a call out, which the route has for itself.
_NOT_OURS: Final = frozenset(
    {"stream", "max_retries", "num_retries", "fallbacks", "api_base", "base_url", "model"}
)


def register_litellm(app: Pilotlight | None = None) -> None:
    """Make `model="pilotlight/<route>"` known to litellm: completions, streams, embeddings.

    `app` is the configuration, by default the process's own.  Once more replaces it.  What a
    route raises becomes litellm's own exception of the same HTTP status.  A call is private by
    its route, or inside `private()` where it is awaited.

    Raises MissingExtra where litellm is not installed.
    """
    need("register_litellm()")
    module = litellm()
    handler = _handler_class()(lambda: default() if app is None else app)
    others = [each for each in module.custom_provider_map if each["provider"] != NAME]
    module.custom_provider_map = [*others, {"provider": NAME, "custom_handler": handler}]
    module.utils.custom_llm_setup()


@cache
def _handler_class() -> Any:
    """Return the class of the handler; its base comes with litellm."""
    from litellm.llms.custom_llm import CustomLLM

    class Handler(CustomLLM):
        """Carries out what litellm is asked for at a route."""

        def __init__(self, app: Callable[[], Pilotlight]) -> None:
            super().__init__()
            self._app = app

        def completion(self, *_: Any, **given: Any) -> Any:
            route, how = self._call(given)
            try:
                return route.complete(given["messages"], **how).response
            except Exception as error:
                raise _as_litellm(error) from error

        async def acompletion(self, *_: Any, **given: Any) -> Any:
            route, how = self._call(given)
            try:
                return (await route.acomplete(given["messages"], **how)).response
            except Exception as error:
                raise _as_litellm(error) from error

        def streaming(self, *_: Any, **given: Any) -> Iterator[Any]:
            route, how = self._call(given)
            route, end = _unrepeated(route), _End()
            try:
                with route.stream(given["messages"], **how) as stream:
                    for chunk in stream:
                        yield from end.without(chunk)
            except Exception as error:
                raise _as_litellm(error) from error
            yield end.told()

        async def astreaming(self, *_: Any, **given: Any) -> Any:
            route, how = self._call(given)
            route, end = _unrepeated(route), _End()
            try:
                async with route.astream(given["messages"], **how) as stream:
                    async for chunk in stream:
                        for each in end.without(chunk):
                            yield each
            except Exception as error:
                raise _as_litellm(error) from error
            yield end.told()

        def embedding(self, *_: Any, **given: Any) -> Any:
            route, how = self._call(given)
            try:
                return route.embed(given["input"], **how).response
            except Exception as error:
                raise _as_litellm(error) from error

        async def aembedding(self, *_: Any, **given: Any) -> Any:
            route, how = self._call(given)
            try:
                return (await route.aembed(given["input"], **how)).response
            except Exception as error:
                raise _as_litellm(error) from error

        def _call(self, given: Mapping[str, Any]) -> tuple[Route, dict[str, Any]]:
            try:
                route = self._app().route(given["model"])
            except ConfigError as error:
                raise _as_litellm(error, 404) from error
            asked = given.get("optional_params") or {}
            how = {name: value for name, value in asked.items() if name not in _NOT_OURS}
            return route, {**how, "timeout": seconds_of(given.get("timeout"))}

    return Handler


def _unrepeated(route: Route) -> Route:
    """Return a route whose streams do not start anew: litellm's readers could not be told."""
    if route.policy.on_interrupt == "raise":
        return route
    return replace(route, policy=replace(route.policy, on_interrupt="raise"))


class _End:
    """Why a stream ended and what it took, held back until both are known.

    litellm stops reading at the reason, and the tokens come behind it.
    """

    def __init__(self) -> None:
        self._reason = "stop"
        self._usage: Any = None

    def without(self, chunk: Any) -> Iterable[Any]:
        """Return the chunk as litellm's, without its end; nothing if it is nothing else."""
        from pilotlight.providers.shapes import Shape, as_model_response_stream

        if isinstance(chunk, Shape):
            chunk = as_model_response_stream(chunk)
        self._usage = getattr(chunk, "usage", None) or self._usage
        choices = getattr(chunk, "choices", None)
        if not choices:
            return ()
        if choices[0].finish_reason:
            self._reason, choices[0].finish_reason = choices[0].finish_reason, None
            said = choices[0].delta
            if not (said.content or said.tool_calls):
                return ()
        return (chunk,)

    def told(self) -> dict[str, Any]:
        """Return the end, as litellm's `GenericStreamingChunk`."""
        usage = None if self._usage is None else self._usage.model_dump()
        ends = {"is_finished": True, "finish_reason": self._reason, "usage": usage}
        return {"text": "", "tool_use": None, "index": 0, **ends}


def _as_litellm(error: Exception, status: int | None = None) -> Exception:
    """Return an error of which litellm makes its own exception, by the status."""
    from litellm.llms import custom_llm

    from pilotlight.doors.exchange.refusals import message_of, status_for  # bring httpx

    made: Any = custom_llm.CustomLLMError
    if type(error).__module__.partition(".")[0] == "litellm":
        return error  # the caller's own mistake, as a provider has told it through litellm
    told: Exception = made(status or status_for(error), message_of(error))
    return told
