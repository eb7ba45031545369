"""`llm("default")`: a route that fills in what the request says."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django_pilotlight import current_app, event_writer
from django_pilotlight.context import NOTHING, LLMContext, Priority, current

if TYPE_CHECKING:
    from pilotlight import Answer, AnswerStream, AsyncAnswerStream, Route

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Calls:
    """The four call shapes of one route, within the request's context.

    The context in force where it is made holds too, so that one made in a private
    request stays private in a thread.  Made at import, it knows of none, and goes by the
    context of each call.  The route is looked up at each call: settings may change.
    """

    name: str = "default"
    made_in: LLMContext = NOTHING

    @property
    def route(self) -> Route:
        """The `pilotlight.Route`; called directly, it knows only of private contexts."""
        return current_app.route(self.name)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> Answer:
        """Return the first good answer of the route's targets; as `pilotlight.Route.complete`."""
        route, holds = self._begin(private, total_timeout, priority)
        return route.complete(messages, **holds, **options)

    def acomplete(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> Coroutine[Any, Any, Answer]:
        """Return the first good answer, without blocking the event loop.

        What holds where it is called holds where it is awaited; the time runs from the call.
        """
        context = self._context()

        async def answer() -> Answer:
            route, holds = self._begin(private, total_timeout, priority, context)
            return await route.acomplete(messages, **holds, **options)

        return answer()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> AnswerStream:
        """Return an iterator of chunks; what holds is settled here, not when it is read."""
        route, holds = self._begin(private, total_timeout, priority)
        return route.stream(messages, **holds, **options)

    def astream(
        self,
        messages: Sequence[Message],
        *,
        private: bool | None = None,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        **options: Any,
    ) -> AsyncAnswerStream:
        """Return an async iterator of chunks; what holds is settled here, not when it is read."""
        route, holds = self._begin(private, total_timeout, priority)
        return route.astream(messages, **holds, **options)

    def _context(self) -> LLMContext:
        return current().within(self.made_in)

    def _begin(
        self,
        private: bool | None,
        total_timeout: float | None,
        priority: Priority | None,
        context: LLMContext | None = None,
    ) -> tuple[Route, dict[str, Any]]:
        """Return the route, and what its call is told of residency, deadline and priority.

        An invalid deadline goes through as it is, for the route to refuse.
        """
        route = self.route
        event_writer.ensure_running()
        context = self._context() if context is None else context
        own = route.total_timeout if total_timeout is None else total_timeout
        left = context.left()
        if left is not None:
            own = left if own is None else min(own, left)
        return route, {
            "private": private or context.private or None,
            "total_timeout": own,
            "priority": priority or context.priority,
        }


def llm(route: str = "default") -> Calls:
    """Return a route of the settings, to be called: `complete acomplete stream astream`.

    The only route there is also answers to "default".  Nothing is loaded or raised here;
    an unknown name raises `pilotlight.ConfigError` at the call.
    """
    return Calls(route, current())
