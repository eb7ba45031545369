"""One decorated function, and one call of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Signature
from typing import Any

from pilotlight.core.flow.failover import CallContext, Policy
from pilotlight.privacy.classification import NOTHING, sense_arguments
from pilotlight.privacy.residency import is_private
from pilotlight.routes.call_rules import check_messages
from pilotlight.routes.route import Route
from pilotlight.vocabulary.operations import Priority


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of one call."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    private: bool  # as it was when the call was made
    tags: Mapping[str, str]  # so were they

    @property
    def prompts(self) -> Sequence[Any]:
        """Whatever the function was given may be prompt text: it is scrubbed from evidence."""
        return (*self.args, *self.kwargs.values())


@dataclass(frozen=True, slots=True)
class Guard:
    """One decorated function and how its calls are protected."""

    function: Callable[..., Any]
    find: Callable[[], Route]
    pass_target: bool
    private: bool
    total_timeout: float | None
    priority: Priority | None
    accept: Callable[[Any], bool] | None
    signature: Signature  # as callers see it
    place: int | None  # of `target` among the positional parameters; None: keyword-only

    def run(self, handle: Any, given: Given) -> Any:
        """Call the function with the target where its signature has it."""
        args, kwargs = given.args, given.kwargs
        if not self.pass_target:
            return self.function(*args, **kwargs)
        if self.place is not None and len(args) > self.place:
            return self.function(*args[: self.place], handle, *args[self.place :], **kwargs)
        return self.function(*args, **kwargs, target=handle)

    def trip(self, given: Given, *, stream: bool = False) -> tuple[CallContext, Route, Given]:
        """Return a call on its way, its route, and the arguments that may be sent."""
        route = self.find()
        policy: Policy | None = None
        if self.accept is not None:
            policy = replace(route.policy, accept=self.accept)
        finding = NOTHING
        if route.sensitive is not None and not is_private(given.private, route.private):
            bound = self.signature.bind(*given.args, **given.kwargs)
            finding = sense_arguments(route.sensitive, bound, check_messages, route.clock)
            given = replace(given, args=bound.args, kwargs=bound.kwargs)
        ctx = route.journey(
            private=given.private,
            total_timeout=self.total_timeout,
            priority=self.priority,
            tags=given.tags,
            stream=stream,
            policy=policy,
            finding=finding,
        )
        return ctx, route, given
