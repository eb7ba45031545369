"""What `@failover` makes of a function, told to type checkers.

A checker can take `target` out of a signature where it is the first positional parameter, in
a method the one after `self`: the others are kept as they are.  It can't take out a
keyword parameter, or one further back: such a function's result is kept, and its arguments
are not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Never, ParamSpec, Protocol, TypeVar, overload

from pilotlight.providers.attempt_target import AttemptTarget

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Owner = TypeVar("Owner")
Owner_contra = TypeVar("Owner_contra", contravariant=True)


class _TargetFirst(Protocol[P, R_co]):
    def __call__(self, target: AttemptTarget, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _TargetSecond(Protocol[Owner_contra, P, R_co]):
    def __call__(
        self, owner: Owner_contra, /, target: AttemptTarget, *args: P.args, **kwargs: P.kwargs
    ) -> R_co: ...


class _TargetAfterMany(Protocol[R_co]):
    # pyright would let `*texts: object` pass for a `target` that stands first
    def __call__(
        self, one: Never, two: Never, /, *args: Any, target: AttemptTarget, **kwargs: Any
    ) -> R_co: ...


class TargetGiver(Protocol):
    """A decorator that gives the function its `target`, which callers no longer do."""

    @overload
    def __call__(self, function: _TargetAfterMany[R], /) -> Callable[..., R]: ...
    @overload
    def __call__(self, function: _TargetFirst[P, R], /) -> Callable[P, R]: ...
    @overload
    def __call__(
        self, function: _TargetSecond[Owner, P, R], /
    ) -> Callable[Concatenate[Owner, P], R]: ...
    @overload
    def __call__(self, function: Callable[..., R], /) -> Callable[..., R]: ...
