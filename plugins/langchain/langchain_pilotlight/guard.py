"""`guard`: the chat models people already have, with failover between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, Self, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr, model_validator

from langchain_pilotlight._binding import private_when_made
from langchain_pilotlight._cache import only_of_the_first
from langchain_pilotlight._errors import langchain_errors
from langchain_pilotlight._relay import arelayed, relayed, signed
from langchain_pilotlight._road import Road, road
from langchain_pilotlight._structured import Method, held_to, usual
from pilotlight import BreakerPolicy, ConfigError
from pilotlight.extension import acomplete, astream, complete, stream

OURS: Final = ("pilotlight", "pilotlight-guard")  # by `_llm_type`
Fallback = BaseChatModel | Sequence[BaseChatModel]


def guard(
    primary: BaseChatModel,
    fallback: Fallback = (),
    *,
    breaker: BreakerPolicy | None = None,
    total_timeout: float | None = None,
    private: bool = False,
    hold: bool = False,
) -> GuardedChatModel:
    """Return a chat model that asks `primary`, and `fallback` (one or several) when it is out.

    `breaker` has the numbers of each model's circuit breaker; None leaves those in force that
    the process has for it.  `total_timeout` is in seconds, for a call with all its attempts.
    `private` keeps every call on models that are proven local: a `ChatOllama` at a loopback
    address whose model runs there.  `private=True` with a call does so for that one, and a
    private call is refused where an option (`model=`) would have another model asked.  `hold`
    keeps a stream back until it is whole, so that an outage in its middle fails over unseen
    as well.

    Making one contacts nobody.  Raises ConfigError for a model that is guarded already.

    Calls raise AllTargetsFailed, DeadlineExceeded, StreamInterrupted (all of LangChain's
    `ModelError` family), ConfigError for a private call without a local model, or the model's
    own exception when the mistake is the caller's.
    """
    fallbacks = (fallback,) if isinstance(fallback, BaseChatModel) else tuple(fallback)
    for each in (primary, *fallbacks):
        if each._llm_type in OURS:
            raise ConfigError(
                f"guard was given a {type(each).__name__}, which fails over by itself: give the "
                "models themselves, as guard(a, fallback=[b, c]), or leave the outer one out"
            )
    return GuardedChatModel(
        primary=primary,
        fallbacks=fallbacks,
        breaker=breaker,
        total_timeout=total_timeout,
        private=private,
        hold=hold,
    )


@private_when_made
class GuardedChatModel(BaseChatModel):
    """A chat model that is several, on pilotlight's road; made by `guard`.

    Each answer tells in `response_metadata["pilotlight"]` what happened: the receipt of the
    call as plain data, with `served_by`, `failed_over` and `reason`.

    What is bound (`model=`, `temperature=`, a vendor's own tools) is in the primary's
    language.  The others get what all have in common: the tools that are functions, the tool
    choice, stop words, the response format, `temperature`, `top_p`, `seed` and `max_tokens`.
    """

    primary: BaseChatModel
    fallbacks: tuple[BaseChatModel, ...] = ()
    breaker: BreakerPolicy | None = Field(default=None, exclude=True)
    total_timeout: float | None = None
    private: bool = False
    hold: bool = False
    cache_fallback_answers: bool = False

    _road: Road | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _keep_fallbacks_out_of_the_cache(self) -> Self:
        """The base would serve a fallback's answer from the cache long after the outage."""
        if not self.cache_fallback_answers:
            self.cache = only_of_the_first(self.cache)
        return self

    # What LangChain asks of a chat model.

    @property
    def _llm_type(self) -> str:
        return "pilotlight-guard"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        models = (self.primary, *self.fallbacks)
        return {
            "models": [{"type": each._llm_type, **each._identifying_params} for each in models],
            "private": self.private,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self.primary._get_ls_params(stop=stop, **kwargs)

    def _resolve_model_profile(self) -> ModelProfile | None:
        """Return what all of the models can do: an agent is built on it."""
        profiles = [each.profile or {} for each in (self.primary, *self.fallbacks)]
        return cast("ModelProfile | None", _intersection(profiles) or None)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """Bind tools; each model's own `bind_tools` puts them in its language when it is asked.

        A dictionary is the primary's own business, such as a vendor's search.
        """
        strict = kwargs.get("strict")
        bound = [
            tool if isinstance(tool, dict) else convert_to_openai_tool(tool, strict=strict)
            for tool in tools
        ]
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=bound, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Method | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Return a runnable whose answers are held to a schema, whichever model gives them.

        `method` is by default the one that the models' classes all take by default, and else
        "function_calling", which every hosted API has; Ollama can't force a tool call.
        """
        method = method or usual((self.primary, *self.fallbacks))
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        return held_to(self, schema, method, include_raw=include_raw, strict=strict)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        way = self._way()
        with langchain_errors():
            value, receipt = complete(way.trip(messages, stop, kwargs))
        return signed(value, receipt, way.first)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        way = self._way()
        with langchain_errors():
            value, receipt = await acomplete(way.trip(messages, stop, kwargs))
        return signed(value, receipt, way.first)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        way = self._way()
        with langchain_errors():
            ctx = way.trip(messages, stop, kwargs, stream=True)
            yield from relayed(stream(ctx), ctx, way.first)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        way = self._way()
        with langchain_errors():
            ctx = way.trip(messages, stop, kwargs, stream=True)
            async for chunk in arelayed(astream(ctx), ctx, way.first):
                yield chunk

    def _way(self) -> Road:
        """Return the road; made at the first call, and anew where the models are others by now."""
        models = (self.primary, *self.fallbacks)
        if self._road is None or not self._road.leads_to(models, self.hold):
            self._road = road(models, self.breaker, self.hold)
        return self._road.with_rules(self.total_timeout, self.private)


def _intersection(profiles: Sequence[Any]) -> dict[str, Any]:
    """Keep what all profiles say: the AND of abilities, the smallest of limits.

    A model that says nothing of an ability is not known to have it.
    """
    common: dict[str, Any] = {}
    for name, first in profiles[0].items():
        values = [profile.get(name) for profile in profiles]
        if isinstance(first, bool):
            common[name] = all(value is True for value in values)
        elif isinstance(first, int):
            known = [value for value in values if isinstance(value, int)]
            common[name] = min(known)
        elif all(value == first for value in values):
            common[name] = first
    return common
