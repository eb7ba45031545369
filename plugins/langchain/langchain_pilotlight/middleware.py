"""`FailoverMiddleware`: an agent's model calls, with failover between models."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ExtendedModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langgraph.types import Command

from langchain_pilotlight._convert import KEY
from langchain_pilotlight.guard import GuardedChatModel, guard
from pilotlight import BreakerPolicy
from pilotlight.plain import logger

_log = logger("pilotlight.langchain")
_KEPT: Final = 8  # guarded models; an agent has one or two


@dataclass(frozen=True, slots=True)
class Failover:
    """What `on_failover` is told: who should have answered, who did, and why.

    `reason` is a fault (`server_error`, `timeout`) or why it was not asked (`breaker_open`,
    `residency`); `receipt` is the call's receipt as plain data.
    """

    source: str
    target: str
    reason: str
    receipt: Mapping[str, Any]


class FailoverState(AgentState[Any]):
    """An agent's state, and in `pilotlight` the receipt of each call that failed over."""

    pilotlight: NotRequired[Annotated[list[dict[str, Any]], operator.add]]


class FailoverMiddleware(AgentMiddleware[FailoverState, Any]):
    """Asks the agent's own model, and `fallback` (one or several) when it is out.

    The models' circuit breakers are the process's, so that a run does not ask a model that
    another run has found dead.  The caller's own mistakes (400) and an interrupt of the graph
    pass through untouched.

    `local_only` decides for each request whether it is private: nothing of it is sent to a
    model that is not proven local, as for `guard`.  If it fails, the request is private.
    `on_failover` is told of each call that another model has answered.  `hold` (the default)
    keeps an answer back until it is whole, so that a stream of the agent's messages never
    shows a dead model's half sentence; with False tokens come as they are spoken, and an
    outage in the middle of an answer raises StreamInterrupted.

    In front of it (as a later middleware, inside), a `ModelRetryMiddleware` must re-raise
    (`on_failure="error"`): its default turns the error into an answer.
    """

    state_schema = FailoverState

    def __init__(
        self,
        fallback: BaseChatModel,
        *more: BaseChatModel,
        breaker: BreakerPolicy | None = None,
        deadline: float | None = None,
        local_only: Callable[[ModelRequest[Any]], bool] | None = None,
        on_failover: Callable[[Failover], None] | None = None,
        hold: bool = True,
    ) -> None:
        super().__init__()
        self.fallbacks = (fallback, *more)
        self._breaker = breaker
        self._deadline = deadline
        self._local_only = local_only
        self._on_failover = on_failover
        self._hold = hold
        self._guarded: dict[tuple[int, bool], GuardedChatModel] = {}

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ExtendedModelResponse[Any] | ModelResponse[Any]:
        """Let the guarded model answer."""
        return self._reported(handler(self._guarding(request)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any] | ModelResponse[Any]:
        """As `wrap_model_call`."""
        return self._reported(await handler(self._guarding(request)))

    def _guarding(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        private = self._is_private(request)
        key = (id(request.model), private)
        known = self._guarded.get(key)
        if known is None or known.primary is not request.model:
            known = guard(
                request.model,
                self.fallbacks,
                breaker=self._breaker,
                deadline=self._deadline,
                private=private,
                hold=self._hold,
            )
            if len(self._guarded) >= _KEPT:  # a model made anew for each request
                self._guarded.clear()
            self._guarded[key] = known
        return request.override(model=known)

    def _is_private(self, request: ModelRequest[Any]) -> bool:
        if self._local_only is None:
            return False
        try:
            return bool(self._local_only(request))
        except Exception as error:  # fails closed; what it raised may quote the prompt
            _log.error("local_only raised %s; the call is private", type(error).__name__)
            return True

    def _reported(
        self, response: ModelResponse[Any]
    ) -> ExtendedModelResponse[Any] | ModelResponse[Any]:
        """Put the facts of a failover into the agent's state, and tell the listener."""
        told = _receipt(response)
        if not told or not told["failed_over"]:
            return response
        if self._on_failover is not None:
            try:
                self._on_failover(_failover(told))
            except Exception:
                _log.exception("on_failover failed; the answer is let through")
        return ExtendedModelResponse(response, Command(update={KEY: [told]}))


def _receipt(response: ModelResponse[Any]) -> dict[str, Any] | None:
    spoken = (message for message in response.result if isinstance(message, AIMessage))
    return next((m.response_metadata[KEY] for m in spoken if KEY in m.response_metadata), None)


def _failover(told: dict[str, Any]) -> Failover:
    asked = [*told["skipped"], *told["attempts"]]
    source = next((each["target"] for each in asked if each["target"] != told["served_by"]), "")
    return Failover(source, told["served_by"] or "", told["reason"] or "", told)
