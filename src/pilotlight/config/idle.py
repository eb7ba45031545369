"""Values that would have no effect: each is refused, for whoever wrote it expects one.

A rule says when that is certain, from the configuration alone: what a call, another
configuration or a variable of the environment may give an effect is let be.  Only a value that
is written is refused, never a default, and not one that asks for what happens anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pilotlight.config.routes import RouteConfig
from pilotlight.config.tables import ApiKey, BreakerTable, RetryTable
from pilotlight.config.targets import TargetConfig, timeouts
from pilotlight.config.values import Table
from pilotlight.core.provider import Timeouts

T = TypeVar("T")
TableT = TypeVar("TableT", bound=Table)


class IdleKey(NamedTuple):
    """A key whose value has no effect: where it stands, why, and the mend."""

    place: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Rule(Generic[T]):
    """When a key has no effect; `neutral` is the value that asks for none."""

    key: str
    idle: Callable[[T], bool]
    why: str
    neutral: Any = None


def _own_model(target: TargetConfig) -> bool:
    """Tell whether its model is kept and loaded by an Ollama of the user's."""
    return target.is_ollama and not target.is_cloud


_NOT_OLLAMA: Final = "has no effect on a target that is not Ollama's; remove it"
_CLOUD: Final = "has no effect on a model of Ollama's cloud, which is not kept here; remove it"
_UNCHECKED: Final = (
    'has no effect where the target is not checked; add `health = "on"`, or remove it'
)
_TARGET: Final = (
    Rule[TargetConfig](
        "queue",
        lambda each: each.concurrency is None,
        "has no effect without `concurrency`; add `concurrency = 4`, or remove it",
    ),
    *(
        Rule[TargetConfig](key, lambda each: not each.is_ollama, _NOT_OLLAMA, neutral)
        for key, neutral in (
            ("keep_alive", None),
            ("warm", "never"),
            ("warm_timeout", None),
            ("pull", "never"),
        )
    ),
    *(
        Rule[TargetConfig](key, lambda each: each.is_cloud, _CLOUD, neutral)
        for key, neutral in (
            ("warm", "never"),
            ("warm_timeout", None),
            ("pull", "never"),
        )
    ),
    Rule[TargetConfig](
        "warm_timeout",
        lambda each: _own_model(each) and each.warm == "never",
        "has no effect where the model is never loaded ahead of a call; "
        'write `warm = "when-degraded"`, or remove it',
    ),
    Rule[TargetConfig](
        "pull", lambda each: _own_model(each) and each.health == "off", _UNCHECKED, "never"
    ),
    Rule[TargetConfig]("probe_interval", lambda each: not each.care().wanted, _UNCHECKED),
    Rule[TargetConfig](
        "replacement",
        lambda each: each.retires is None,
        "has no effect without `retires`; add the first day without the model, or remove it",
    ),
    Rule[TargetConfig](
        "via",
        lambda each: each.is_ollama,
        "has no effect on Ollama, which is always asked by its own API; remove it",
    ),
)
_KEY: Final = (
    Rule[ApiKey](
        "env",
        lambda each: each.value is not None,
        "has no effect beside `value`; remove one of the two",
    ),
)
_ROUTE: Final = (
    Rule[RouteConfig](
        "on_interrupt",
        lambda each: len(each.targets) == 1,
        "has no effect with one target, for a stream starts anew at the next; "
        "add a target, or remove it",
        "raise",
    ),
    Rule[RouteConfig](
        "sit_out",
        lambda each: len(each.targets) == 1,
        "has no effect with one target: `rate_limit_wait` says how long it is waited for; "
        "remove it",
        0.0,
    ),
    Rule[RouteConfig](
        "sensitive",
        lambda each: each.private,
        "has no effect on a route whose calls are all private; remove it, or `private`",
    ),
)
_BREAKER: Final = (
    Rule[BreakerTable](
        "slow_call_rate",
        lambda each: each.slow_call_duration is None,
        'has no effect without `slow_call_duration`; add it, such as `"20s"`, or remove this',
    ),
)
_NO_RETRY: Final = "has no effect with `max_retries = 0`; raise that, or remove this"
_RETRY: Final = (
    *(
        Rule[RetryTable](key, lambda each: each.max_retries == 0, _NO_RETRY)
        for key in RetryTable.model_fields
        if key != "max_retries"
    ),
    Rule[RetryTable](
        "wait_initial",
        lambda each: each.max_retries > 0 and each.wait_initial > each.wait_max,
        "is longer than `wait_max`, the longest pause; raise that, or lower this",
    ),
)


def _beyond(clock: str) -> Callable[[Timeouts], bool]:
    def beyond(clocks: Timeouts) -> bool:
        own = getattr(clocks, clock)
        return own is not None and clocks.total is not None and own > clocks.total

    return beyond


_TIMEOUT: Final = tuple(
    Rule[Timeouts](
        clock,
        _beyond(clock),
        "is longer than `total`, which ends the attempt before; raise that, or lower this",
    )
    for clock in ("connect", "first_token", "between_tokens")
)


def idle_keys(
    targets: Mapping[str, TargetConfig],
    routes: Mapping[str, RouteConfig],
    breaker: BreakerTable,
    retry: RetryTable,
) -> Iterator[IdleKey]:
    """Yield each key of a configuration whose value has no effect."""
    for name, target in targets.items():
        place = ("targets", name)
        yield from _idle(place, target, _TARGET, [target])
        yield from _idle((*place, "api_key"), target.api_key, _KEY, [target.api_key])
        yield from _idle((*place, "timeout"), target.timeout, _TIMEOUT, [timeouts(target)])
    for name, route in routes.items():
        yield from _idle(("routes", name), route, _ROUTE, [route])
    own_breakers = {name: target.breaker for name, target in targets.items()}
    own_retries = {name: target.retry for name, target in targets.items()}
    yield from _shared("breaker", breaker, own_breakers, _BREAKER)
    yield from _shared("retry", retry, own_retries, _RETRY)


def _shared(
    key: str, common: TableT, own: Mapping[str, TableT], rules: Iterable[Rule[TableT]]
) -> Iterator[IdleKey]:
    """Yield from the common numbers and those of the targets, which stand over them.

    A common number is idle where it is so for every target, and for models that have none.
    """
    merged = {name: each.over(common) for name, each in own.items()}
    for rule in rules:
        using = [
            merged[name] for name, each in own.items() if rule.key not in each.model_fields_set
        ]
        yield from _idle((key,), common, [rule], [common, *using])
    for name, each in own.items():
        yield from _idle(("targets", name, key), each, rules, [merged[name]])


def _idle(
    place: tuple[str, ...], table: Table, rules: Iterable[Rule[T]], cases: Sequence[T]
) -> Iterator[IdleKey]:
    for rule in rules:
        written = rule.key in table.model_fields_set
        asks = written and getattr(table, rule.key) not in (None, rule.neutral)
        if asks and all(map(rule.idle, cases)):
            yield IdleKey((*place, rule.key), rule.why)
