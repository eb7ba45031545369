"""`@failover`: a user's own function, run once for each attempt with the target to use.

Functions, coroutine functions, generators and async generators, methods too.  The target is
given as a parameter, or asked for with `current_target()`.  The function may use any SDK; what
it raises is diagnosed, by the wire where the target's clients were used, else by the exception.

A little long, because the four colours of a function stand side by side to be compared.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar, cast, overload
from weakref import ref

from pilotlight.app import default
from pilotlight.config.checks import bad_model
from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import CallContext, Policy, failover_flow
from pilotlight.core.provider import Answered, Attempt, Ended, Facts, Failed, Report
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import diagnosed, failure, verdict_failure
from pilotlight.doors.decorated import TargetGiver
from pilotlight.errors import ConfigError, ProviderFault
from pilotlight.privacy.classification import NOTHING, sense_arguments
from pilotlight.privacy.residency import is_private
from pilotlight.privacy.residency import private as private_block
from pilotlight.routes.call_rules import OURS, check_messages, slip
from pilotlight.routes.route import Route
from pilotlight.scopes.call_colour import coloured
from pilotlight.vocabulary.faults import RULES, Fault
from pilotlight.vocabulary.operations import Priority
from pilotlight.wire.tap import listening

if TYPE_CHECKING:
    from pilotlight.wire.alarm import Alarm
    from pilotlight.wire.tap import Tap

F = TypeVar("F", bound=Callable[..., Any])
PARAMETER = "target"


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
        meant = slip(name, (*OURS, "accept", "pass_target"))
        raise TypeError(
            f"failover() takes no {name}=" + (f"; did you mean {meant}=?" if meant else "")
        )
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
        guard = _Guard(
            function, find, pass_target, private, total_timeout, priority, accept, signature, place
        )
        wrapper = _wrapper(guard)
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        return cast("F", wrapper)

    return decorate


def _finder(targets: Sequence[str | Route]) -> Callable[[], Route]:
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


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments of one call."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    private: bool  # as it was when the call was made

    @property
    def prompts(self) -> Sequence[Any]:
        """Whatever the function was given may be prompt text: it is scrubbed from evidence."""
        return (*self.args, *self.kwargs.values())


@dataclass(frozen=True, slots=True)
class _Guard:
    """One decorated function and how its calls are protected."""

    function: Callable[..., Any]
    find: Callable[[], Route]
    pass_target: bool
    private: bool
    total_timeout: float | None
    priority: Priority | None
    accept: Callable[[Any], bool] | None
    signature: inspect.Signature  # as callers see it
    place: int | None  # of `target` among the positional parameters; None: keyword-only

    def run(self, handle: Any, given: _Given) -> Any:
        """Call the function with the target where its signature has it."""
        args, kwargs = given.args, given.kwargs
        if not self.pass_target:
            return self.function(*args, **kwargs)
        if self.place is not None and len(args) > self.place:
            return self.function(*args[: self.place], handle, *args[self.place :], **kwargs)
        return self.function(*args, **kwargs, target=handle)

    def trip(self, given: _Given, *, stream: bool = False) -> tuple[CallContext, Route, _Given]:
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
            stream=stream,
            policy=policy,
            finding=finding,
        )
        return ctx, route, given


def _wrapper(guard: _Guard) -> Callable[..., Any]:
    """Return the wrapper of the function's own colour; a call is private from where it is made."""
    colours: tuple[tuple[Callable[..., bool], Callable[[_Guard], Callable[[_Given], Any]]], ...] = (
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.isgeneratorfunction, _generator),
        (inspect.iscoroutinefunction, _coroutine),
    )
    run = next((make for is_it, make in colours if is_it(guard.function)), _function)(guard)

    def call(*args: Any, **kwargs: Any) -> Any:
        return run(_Given(args, kwargs, is_private(guard.private)))

    return coloured(guard.function, call)


def _scene(handle: Any, ctx: CallContext) -> listening:
    """Return what stands around the function's code; in a private call its own calls are, too."""
    return (_Privately if ctx.call.private else listening)(handle.tap)


class _Privately(listening):
    """The attempt's tap listens, and whatever is asked by pilotlight meanwhile is private."""

    def __enter__(self) -> Tap:
        self._block = private_block()
        self._block.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._block.__exit__(None, None, None)


def _function(guard: _Guard) -> Callable[[_Given], Any]:
    def run(asked: _Given) -> Any:
        ctx, route, given = guard.trip(asked)

        def ask(attempt: Attempt) -> Answered | Failed:
            provider = attempt.target.provider
            if ctx.call.private and (away := provider.verify_local(attempt)) is not None:
                return away
            handle = _handle(ctx, attempt, False)
            try:
                with _scene(handle, ctx):
                    value = guard.run(handle, given)
            except Exception as error:
                return _failed(handle, error, given.prompts)
            return _judged(handle, value)

        return drivers.complete(failover_flow(ctx), ask, route.clock)

    return run


def _coroutine(guard: _Guard) -> Callable[[_Given], Any]:
    async def run(asked: _Given) -> Any:
        ctx, route, given = guard.trip(asked)

        async def ask(attempt: Attempt) -> Answered | Failed:
            provider = attempt.target.provider
            if ctx.call.private and (away := await provider.averify_local(attempt)) is not None:
                return away
            handle = _handle(ctx, attempt, True)
            alarm = _alarm(handle.tap)
            try:
                with _scene(handle, ctx), alarm:
                    value = await guard.run(handle, given)
            except Exception as error:
                _whose_time(handle.tap, alarm)
                return _failed(handle, error, given.prompts)
            finally:
                alarm.stop()
            return _judged(handle, value)

        return await drivers.acomplete(failover_flow(ctx), ask, route.clock)

    return run


def _generator(guard: _Guard) -> Callable[[_Given], Any]:
    def run(asked: _Given) -> Generator[Any]:
        ctx, route, given = guard.trip(asked, stream=True)

        def ask(attempt: Attempt) -> _Source:
            provider = attempt.target.provider
            handle = _handle(ctx, attempt, False)
            items = guard.run(handle, given)
            verify_local = partial(provider.verify_local, attempt) if ctx.call.private else None
            return _Source(handle, _scene(handle, ctx), items, given.prompts, verify_local)

        yield from drivers.stream(failover_flow(ctx), ask, route.clock)

    return run


def _async_generator(guard: _Guard) -> Callable[[_Given], Any]:
    async def run(asked: _Given) -> AsyncIterator[Any]:
        ctx, route, given = guard.trip(asked, stream=True)

        def ask(attempt: Attempt) -> _AsyncSource:
            provider = attempt.target.provider
            handle = _handle(ctx, attempt, True)
            items = guard.run(handle, given)
            verify_local = partial(provider.averify_local, attempt) if ctx.call.private else None
            return _AsyncSource(handle, _scene(handle, ctx), items, given.prompts, verify_local)

        items = cast("AsyncGenerator[Any]", drivers.astream(failover_flow(ctx), ask, route.clock))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # at once, not when the collector comes by

    return run


def _handle(ctx: CallContext, attempt: Attempt, asynchronous: bool) -> Any:
    """Return what the function is given; its tap knows it, and the wish on broken events."""
    handle = attempt.target.provider.handle(attempt, asynchronous)
    handle.tap.skips = ctx.call.skip_broken
    with suppress(TypeError):  # an object of a plugin's own may take no weak reference
        handle.tap.target = ref(handle)  # not itself, or only the collector would free the two
    return handle


class _Away(Exception):
    """The model is not at home, and the call is private."""

    def __init__(self, failure: Failed) -> None:
        super().__init__()
        self.failure = failure


class _Items:
    """What the two colours of a user's generator share."""

    _alarm: Alarm | None = None  # of an async one that has been read

    def __init__(
        self, handle: Any, scene: listening, items: Any, prompts: Sequence[Any], verify_local: Any
    ) -> None:
        self._handle = handle
        self._scene = scene  # entered for each step
        self._items = items
        self._prompts = prompts
        self._verify_local = verify_local  # asked once, before the function runs; None: no need
        self._texts: list[str] = []

    def commits(self, item: Any) -> bool:
        """An item commits unless it is empty: what it means is the function's own affair."""
        return item is not None and item != ""

    def failed(self, error: Exception) -> Failed:
        """Diagnose what interrupted the function."""
        if isinstance(error, _Away):
            return error.failure
        if self._alarm is not None:
            _whose_time(self._handle.tap, self._alarm)
        return _failed(self._handle, error, self._prompts, "".join(self._texts))

    def ended(self) -> Ended | Failed:
        """Judge by the wire whether the function was given a whole answer."""
        found = _seen(self._handle, "".join(self._texts))
        return found if isinstance(found, Failed) else Ended(found)

    def _note(self, item: Any) -> Any:
        if self._handle.tap.spoilt:  # an SDK may have passed over it
            raise ProviderFault(Fault.MALFORMED_RESPONSE, self._handle.name)
        if isinstance(item, str):
            self._texts.append(item)
        return item


class _Source(_Items):
    """A user's generator, read with the attempt's tap listening."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._verify_local is not None:
            verify_local, self._verify_local = self._verify_local, None
            if (away := verify_local()) is not None:
                raise _Away(away)
        with self._scene:
            item = next(self._items)
        return self._note(item)

    def close(self) -> None:
        """Let the function's own `finally` run."""
        with self._scene:
            self._items.close()


class _AsyncSource(_Items):
    """A user's async generator, read with the attempt's tap listening and its clocks kept."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._verify_local is not None:
            verify_local, self._verify_local = self._verify_local, None
            if (away := await verify_local()) is not None:
                raise _Away(away)
        if self._alarm is None:
            self._alarm = _alarm(self._handle.tap)
        with self._scene, self._alarm:
            item = await anext(self._items)
        return self._note(item)

    async def aclose(self) -> None:
        """Let the function's own `finally` run."""
        if self._alarm is not None:
            self._alarm.stop()
        with self._scene:
            await self._items.aclose()


def _alarm(tap: Tap) -> Alarm:
    """Return what ends the attempt that is heard by this tap when its time is over."""
    from pilotlight.wire.alarm import Alarm  # brings asyncio

    total = tap.timeouts.total
    return Alarm(None if total is None else max(0.0, tap.started + total - tap.clock()))


def _whose_time(tap: Tap, alarm: Alarm) -> None:
    """Note where an alarm says nothing of the provider, which had little of the time."""
    if alarm.starved:
        tap.starved = True
    elif alarm.rang and tap.requests and not tap.expired and (total := tap.timeouts.total):
        tap.ledger.begin()
        tap.starved = not tap.ledger.fair("total", total, silent=False)


def _judged(handle: Any, value: Any) -> Answered | Failed:
    """Hold what the function returned against the wire: half an answer is no answer."""
    found = _seen(handle)
    return found if isinstance(found, Failed) else Answered(value, found)


def _seen(handle: Any, partial: str = "") -> Facts | Failed:
    """Return what the wire has shown of the answer."""
    from pilotlight.providers.wire_only import judge_seen
    from pilotlight.wire.tap import skips_of

    if handle.tap.told is not None:
        return _at_its_word(handle.tap.told, partial=partial)
    verdict = judge_seen(handle.tap)
    if verdict is not None:
        return verdict_failure(handle, verdict, partial)
    return Facts(status=handle.tap.status, flags=skips_of(handle.tap))


def _failed(handle: Any, error: Exception, prompts: Sequence[Any], partial: str = "") -> Failed:
    """Diagnose what the function raised; a bug of its own is raised.

    A `ProviderFault` is a diagnosis already.
    """
    from pilotlight.diagnosis.classify import classify_exception, is_witness
    from pilotlight.providers.wire_only import answered, judge_seen, sound

    tap = handle.tap
    if tap.spoilt:
        return failure(handle, tap, error, prompts, partial)
    told = tap.told or error
    if isinstance(told, ProviderFault) and told.fault in RULES:
        return _at_its_word(told, prompts, partial)
    if tap.complete and not tap.expired and (verdict := judge_seen(tap)) is not None:
        return diagnosed(handle, tap, verdict, error, partial)  # it fell over what it was given
    if tap.requests and sound(tap) and classify_exception(error) is None:
        raise error  # the provider had answered well
    if answered(tap) and not is_witness(error, tap):
        raise error  # or it was not asked again
    return failure(handle, handle.tap, error, prompts, partial)


def _at_its_word(told: ProviderFault, prompts: Sequence[Any] = (), partial: str = "") -> Failed:
    """Return the failure of which somebody has told what it is."""
    from pilotlight.diagnosis.evidence import scrub

    said = scrub(told.evidence, Texts((*prompts, partial)))
    return Failed(Report(Fault(told.fault), told, told.retry_after, evidence=said), partial)
