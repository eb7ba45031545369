"""A target at run time: one model endpoint, its provider and what is known of its health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pilotlight.core.backoff import RetryPolicy
from pilotlight.core.breaker import Breaker
from pilotlight.core.budget import RetryBudget
from pilotlight.core.bulkhead import Bulkhead
from pilotlight.core.lifecycle import Lifecycle
from pilotlight.core.steps import Provider, Timeouts


@dataclass(slots=True, eq=False)
class Health:
    """What all routes of the process share about one endpoint + model + credential."""

    breaker: Breaker
    budget: RetryBudget
    bulkhead: Bulkhead | None = None  # None: as many calls at once as come
    lifecycle: Lifecycle = field(default_factory=Lifecycle)


@dataclass(slots=True, eq=False)
class Target:
    """One configured model endpoint.

    `local` is proven, not declared.  `window` tells the context length in tokens,
    None when it is not known.  `lacks` names the abilities it certainly has not
    (`tools images json_schema ...`).  `reserve` is the time in seconds kept free
    for it while an earlier target is being asked; None: a share of what is left.
    """

    name: str
    model: str
    provider: Provider
    health: Health
    local: bool = False
    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    reserve: float | None = None
    lacks: frozenset[str] = frozenset()
    window: Callable[[], int | None] = field(default=lambda: None)

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.model!r})"
