"""`ChatPilotlight`: a route of pilotlight's configuration as a chat model."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr, model_validator

import pilotlight
from langchain_pilotlight._binding import private_when_made
from langchain_pilotlight._cache import only_of_the_first
from langchain_pilotlight._errors import langchain_errors
from langchain_pilotlight._openai import Chunks, from_openai, to_openai
from langchain_pilotlight._relay import Tail, signed
from langchain_pilotlight._structured import Method, held_to
from pilotlight import Answer, Route

_CHOICES: Mapping[str, str] = {
    "any": "required",
    "required": "required",
    "auto": "auto",
    "none": "none",
}


@private_when_made
class ChatPilotlight(BaseChatModel):
    """A chat model that asks a route: closed models first, the local one when they are out.

    `route` is a route's name, or a `pilotlight.Route`.  `config` is where it stands: the path
    of a file or a mapping; None: as `pilotlight.load` finds it.  `total_timeout` is in seconds, for
    a call with all its attempts; `private` keeps every call on targets that are proven local.
    Both may also be given with a call.

    Making one reads nothing and contacts nobody.  Calls raise as those of a guarded model.
    """

    route: str | Any = "chat"
    config: str | PathLike[str] | Mapping[str, Any] | None = Field(
        default=None, exclude=True, repr=False
    )
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    total_timeout: float | None = Field(default=None, alias="timeout")
    private: bool = False
    streaming: bool = False
    cache_fallback_answers: bool = False

    model_config = ConfigDict(populate_by_name=True, arbitrary_types_allowed=True)
    _found: Route | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _keep_fallbacks_out_of_the_cache(self) -> Self:
        if not self.cache_fallback_answers:
            self.cache = only_of_the_first(self.cache)
        return self

    # What LangChain asks of a chat model.

    @property
    def _llm_type(self) -> str:
        return "pilotlight"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"route": self._name, "private": self.private, **self._settings()}

    @property
    def _name(self) -> str:
        return self.route.name if isinstance(self.route, Route) else str(self.route)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        named = kwargs.get("model")
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        params["ls_provider"] = "pilotlight"
        params["ls_model_name"] = named if isinstance(named, str) else self._name
        return params

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """Bind tools; `tool_choice` is "any", "auto", "none" or a tool's name."""
        bound = [convert_to_openai_tool(tool, strict=kwargs.get("strict")) for tool in tools]
        kwargs.pop("strict", None)
        if tool_choice is not None:
            kwargs["tool_choice"] = _choice(tool_choice, bound)
        return self.bind(tools=bound, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Method = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Return a runnable whose answers are held to a schema, by local models as well."""
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        return held_to(self, schema, method, include_raw=include_raw, strict=strict)

    # The call.

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            answer = self._way().complete(to_openai(messages), **self._options(stop, kwargs))
        return self._result(answer)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = self._options(stop, kwargs)
        with langchain_errors():
            answer = await self._way().acomplete(to_openai(messages), **options)
        return self._result(answer)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs, stream=True)
        tail, chunks = Tail(), Chunks()
        with (
            langchain_errors(),
            self._way().stream(to_openai(messages), **options) as stream,
        ):
            for given in stream:
                yield from tail.released(chunks.chunk(given))
            yield from tail.rest(stream.receipt, self._first)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs, stream=True)
        tail, chunks = Tail(), Chunks()
        with langchain_errors():
            async with self._way().astream(to_openai(messages), **options) as stream:
                async for given in stream:
                    for ready in tail.released(chunks.chunk(given)):
                        yield ready
                for ready in tail.rest(stream.receipt, self._first):
                    yield ready

    def _way(self) -> Route:
        """Return the route, looked up at the first call."""
        if isinstance(self.route, Route):
            return self.route
        if self._found is None:
            loaded = pilotlight.load(self.config)
            self._found = loaded.route(self.route)
            weakref.finalize(self, loaded.close)  # before the collector gets at the sockets
        return self._found

    @property
    def _first(self) -> str:
        return self._way().targets[0].name

    def _settings(self) -> dict[str, Any]:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}

    def _options(
        self, stop: list[str] | None, kwargs: Mapping[str, Any], *, stream: bool = False
    ) -> dict[str, Any]:
        """Return what the route is called with."""
        options = {**self._settings(), **kwargs}
        options.setdefault("total_timeout", self.total_timeout)
        options["private"] = bool(options.get("private")) or self.private
        if stopping := stop or self.stop:
            options["stop"] = stopping
        if stream:
            options.setdefault("stream_options", {"include_usage": True})
        return options

    def _result(self, answer: Answer) -> ChatResult:
        message = from_openai(answer.response)
        result = ChatResult(generations=[ChatGeneration(message=message)])
        return signed(result, answer.receipt, self._first)


def _choice(wanted: Any, tools: Sequence[Mapping[str, Any]]) -> Any:
    """Return LangChain's tool choice as OpenAI has it."""
    if isinstance(wanted, bool):
        return "required" if wanted else "none"
    if not isinstance(wanted, str):
        return wanted
    names = [tool.get("function", {}).get("name") for tool in tools]
    if wanted in _CHOICES and wanted not in names:
        return _CHOICES[wanted]
    return {"type": "function", "function": {"name": wanted}}
