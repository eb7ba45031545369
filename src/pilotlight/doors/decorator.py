"""`@failover`: a user's own function, run once for each attempt with the target to use.

Functions, coroutine functions, generators and async generators, methods too.  The target is
given as a parameter, or asked for with `current_target()`.  The function may use any SDK; what
it raises is diagnosed, by the wire where the target's clients were used, else by the exception.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    Callable,
    Sequence,
)
from typing import Any, Literal, Never, TypeVar, cast, overload

from pilotlight.app import default
from pilotlight.config.checks import bad_model
from pilotlight.doors import colours
from pilotlight.doors.decorated import TargetGiver
from pilotlight.doors.guarded import Given, Guard
from pilotlight.errors import ConfigError
from pilotlight.privacy.residency import is_private
from pilotlight.routes.call_rules import OURS, slip
from pilotlight.routes.route import Route
from pilotlight.scopes.call_colour import coloured
from pilotlight.scopes.tags import tags_of
from pilotlight.vocabulary.operations import Priority

F = TypeVar("F", bound=Callable[..., Any])
PARAMETER = "target"
_OURS = tuple(name for name in OURS if name != "timeout")
_OF_CALLS = {
    "timeout": "total_timeout= bounds a call with all its attempts, targets.<name>.timeout one",
    "fallbacks": "name the models behind one another: @failover(first, second)",
    "fallback": "name the models behind one another: @failover(first, second)",
    "model": "name the models behind one another: @failover(first, second)",
    "models": "name the models behind one another: @failover(first, second)",
}


@overload
def failover(
    *targets: str | Route,
    pass_target: Literal[False],
    private: bool = False,
    total_timeout: float | None = None,
    priority: Priority | None = None,
    accept: Callable[[Any], bool] | None = None,
) -> Callable[[F], F]: ...
@overload
def failover(
    *targets: str | Route,
    pass_target: Literal[True] = True,
    private: bool = False,
    total_timeout: float | None = None,
    priority: Priority | None = None,
    accept: Callable[[Any], bool] | None = None,
) -> TargetGiver: ...
def failover(
    *targets: str | Route,
    pass_target: bool = True,
    private: bool = False,
    total_timeout: float | None = None,
    priority: Priority | None = None,
    accept: Callable[[Any], bool] | None = None,
    **unknown: Never,
) -> Any:
    """Run the decorated function once for each attempt, with `target=` the one to use.

    `targets` is a route's name, a `Route`, or model strings in the order to ask
    them.  `private` keeps every call on local targets, `total_timeout` (seconds) bounds
    a call with all its attempts, `priority` ("high", "normal", "low") is its rank where
    it must queue, `accept` may refuse a returned value, which then
    fails over.  With `pass_target=False` the function keeps its whole signature, and asks
    `current_target()` for the one to use.

    Raises TypeError at once for a function without a `target` parameter, unless
    `pass_target=False`, and ConfigError for a model without a provider; a call raises as
    `Route.complete`.

        @failover("openai/gpt-4o", "ollama/llama3.2")
        def summarise(target: AttemptTarget, text: str) -> str: ...

        @failover("openai/gpt-4o", "ollama/llama3.2", pass_target=False)
        def summarise(text: str) -> str: ...
    """
    for name in unknown:
        mend = _OF_CALLS.get(name)
        if mend is None and (meant := slip(name, (*_OURS, "accept", "pass_target"))):
            mend = f"did you mean {meant}=?"
        raise TypeError(f"failover() takes no {name}=" + (f"; {mend}" if mend else ""))
    for name, value in (("private", private), ("pass_target", pass_target)):
        if type(value) is not bool:
            raise TypeError(f"{name} is a {type(value).__name__}; it should be True or False")
    find = _finder(targets)

    def decorate(function: F) -> F:
        signature, place = _seen_by_callers(function) if pass_target else (_whole(function), None)
        if accept is not None and _yields(function):
            raise TypeError(
                f"accept= can't judge {function.__qualname__}(): what a generator has yielded "
                "is with the caller already; judge inside it"
            )
        guard = Guard(
            function, find, pass_target, private, total_timeout, priority, accept, signature, place
        )
        wrapper = _wrapper(guard)
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        return cast("F", wrapper)

    return decorate


def _finder(targets: Sequence[Any]) -> Callable[[], Route]:
    """Return how to find the route; names are looked up at the first call, not at import."""
    if not targets or callable(targets[0]):
        raise TypeError(
            'failover needs to know whom to ask: @failover("chat") for a route, or '
            '@failover("openai/gpt-4o", "ollama/llama3.2") for models'
        )
    if len(targets) == 1 and isinstance(targets[0], Route):
        route = targets[0]
        return lambda: route
    names = [name for name in targets if isinstance(name, str)]
    if len(targets) == 1 and isinstance(targets[0], list | tuple):
        shown = ", ".join(map(repr, targets[0]))
        raise TypeError(f"failover is given a list; write @failover({shown})")
    if len(names) != len(targets):
        raise TypeError("failover takes one Route alone, or names and models as strings")
    if len(names) == 1 and "/" not in names[0]:
        return lambda: default().route(names[0])
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"@failover: {name!r} stands there twice; name it once")
        if name.count("/") and (problem := bad_model(name)) is not None:
            raise ConfigError(f"@failover: {problem}")
    return lambda: default().adhoc(names)


def _yields(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _whole(function: Callable[..., Any]) -> inspect.Signature:
    """Return the function's signature."""
    if isinstance(function, classmethod | staticmethod):  # it would hide the function's colour
        kind = type(function).__name__
        raise TypeError(f"put @failover below @{kind}, next to the function it guards")
    return inspect.signature(function)


def _seen_by_callers(function: Callable[..., Any]) -> tuple[inspect.Signature, int | None]:
    """Return the signature less `target`, and where that stands among the positional parameters."""
    signature = _whole(function)
    parameters = dict(signature.parameters)
    found = parameters.pop(PARAMETER, None)
    if found is None or found.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise TypeError(
            f"{function.__qualname__}() takes no `target`: add a keyword parameter, such as "
            f"def {function.__name__}(..., *, target), and use target.litellm_kwargs in it; or "
            "say @failover(..., pass_target=False) and use pilotlight.current_target() in it"
        )
    keyword = found.kind is inspect.Parameter.KEYWORD_ONLY
    place = None if keyword else list(signature.parameters).index(PARAMETER)
    return signature.replace(parameters=list(parameters.values())), place


def _wrapper(guard: Guard) -> Callable[..., Any]:
    """Return the wrapper of the function's own colour; a call is private from where it is made."""
    kinds: tuple[tuple[Callable[..., bool], Callable[[Guard], Callable[[Given], Any]]], ...] = (
        (inspect.isasyncgenfunction, colours.async_generator),
        (inspect.isgeneratorfunction, colours.generator),
        (inspect.iscoroutinefunction, colours.coroutine),
    )
    make = next((make for is_it, make in kinds if is_it(guard.function)), colours.function)
    run = make(guard)

    def call(*args: Any, **kwargs: Any) -> Any:
        return run(Given(args, kwargs, is_private(guard.private), tags_of()))

    return coloured(guard.function, call)
