"""A target at run time: one model endpoint, its provider and what is known of its health."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.embedding_space import EmbeddingSpace
from pilotlight.core.health.lifecycle import Lifecycle
from pilotlight.core.health.told import Told
from pilotlight.core.health.usual import Usual
from pilotlight.core.provider import Call, Provider, Timeouts
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.spending.price import UNKNOWN, Price, PriceCap
from pilotlight.vocabulary.operations import Operation
from pilotlight.vocabulary.residency_rules import ResidencyRule


@dataclass(frozen=True, slots=True)
class MaintenancePolicy:
    """How a target is looked after between calls; by default not at all.

    `health`: it is checked every `interval` seconds.  `warm`: when its model is
    loaded ahead of the first call, and `warm_timeout` how many seconds that may
    take.  `pull`: whether a missing model is pulled.  `recovery`: while its breaker is open,
    it is asked by what costs nothing whether it is back.
    """

    health: bool = False
    warm: Literal["never", "when-degraded", "always"] = "never"
    warm_timeout: float = 600.0
    pull: Literal["never", "missing"] = "never"
    interval: float = 30.0
    recovery: bool = False

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return self.health or self.warm != "never"


class Checked(Protocol):
    """What every health check tells; `problem` and `mend` are None when all is well."""

    @property
    def state(self) -> str:
        """In one word."""

    @property
    def problem(self) -> str | None:
        """What is wrong."""

    @property
    def mend(self) -> str | None:
        """What to do about it."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Health:
    """What all routes of the process share about one endpoint + model + credential.

    `attend` is called with each call of a route: with the first, the process begins to
    read the board that it shares with others.  None: it shares nothing.
    """

    breaker: Breaker
    budget: RetryBudget
    bulkhead: Bulkhead | None = None  # None: as many calls at once as come
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    check: Checked | None = None  # the last one; None: never looked at
    lacks: frozenset[str] = frozenset()  # what the server itself says that it can't do
    away: bool = False  # a "local" model that by the server's own words runs elsewhere
    attend: Callable[[], None] | None = None
    usual: Usual = field(default_factory=Usual)  # how long it takes
    told: Told = field(default_factory=Told)
    answered_at: float = -math.inf  # the moment of the last good answer, by the flow's clock

    def hold(self, seconds: float) -> None:
        """Keep calls away for so long: the endpoint has asked for it."""
        self.told.wait(seconds, self.breaker.clock())

    @property
    def window(self) -> int | None:
        """The context in tokens as a refusal told it; None: it has not, or long ago."""
        return self.told.window(self.breaker.clock())

    def limit(self, tokens: int) -> None:
        """Keep that a prompt was refused because the context has so many tokens."""
        self.told.limit(tokens, self.breaker.clock())

    @property
    def asked_to_wait(self) -> float | None:
        """For how many seconds the endpoint has asked not to be called; None: it may be."""
        return self.told.wait_left(self.breaker.clock())

    @property
    def retry_after(self) -> float | None:
        """Seconds until neither its breaker nor its own word keeps calls away; None: now."""
        waits = (self.breaker.retry_after, self.asked_to_wait)
        return max((wait for wait in waits if wait is not None), default=None)


def able(_call: Call) -> str:
    """Of a target whose API can be told everything."""
    return ""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Target:
    """One configured model endpoint.

    `local` is proven, not declared; `outside` is the rule by which it is not.  `unwatched` are
    operations that go over connections which are not ours: for these it is not.  `window` tells
    the context length in tokens, None when it is not known; `room` how many of them a call with
    these options can have at most, None unless that is certain.  `lacks` tells the abilities it
    certainly has not (`core.requirements.ABILITIES`), asked at each call, for they may be learned.
    `time_reserve` is the time in seconds kept free for it while an earlier target is being asked;
    None: a share of what is left.  `base_url` is its address, empty where that is not known.
    `space` is where its embeddings lie; None: not said.  `gathers` tells whether an unstreamed
    chat can be streamed and the answer put together with nothing lost; its second argument:
    even where a model that is well may think unheard for longer than `first_token`.  `unable`
    tells what of a call its API can't be told and must not be left out; empty: nothing.  `price`
    tells what its calls cost; above `max_price` it is not asked.
    """

    name: str
    model: str
    provider: Provider
    health: Health
    local: bool = False
    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    time_reserve: float | None = None
    lacks: Callable[[], frozenset[str]] = field(default=frozenset)
    window: Callable[[], int | None] = field(default=lambda: None)
    room: Callable[[Mapping[str, Any]], int | None] = field(default=lambda _options: None)
    care: MaintenancePolicy = MaintenancePolicy()
    outside: ResidencyRule = ResidencyRule.NOT_LOCAL
    unwatched: frozenset[Operation] = frozenset()
    base_url: str = ""
    space: EmbeddingSpace | None = None
    gathers: Callable[[Call, bool], bool] = field(default=lambda _call, _even_so: False)
    unable: Callable[[Call], str] = able
    price: Callable[[], Price] = lambda: UNKNOWN
    max_price: PriceCap | None = None

    def rule_for(self, operation: Operation) -> ResidencyRule | None:
        """Return the rule that keeps private calls of this kind from it, as it is configured."""
        if not self.local:
            return self.outside
        return ResidencyRule.FOREIGN_SOCKETS if operation in self.unwatched else None

    def boundary_for(self, operation: Operation) -> ResidencyRule | None:
        """Return the rule that keeps private calls of this kind from it; None: they may come."""
        away = ResidencyRule.REMOTE_HOST if self.health.away else None
        return self.rule_for(operation) or away

    @property
    def boundary(self) -> ResidencyRule | None:
        """The rule that keeps private chats from it; None: they may come."""
        return self.boundary_for("chat")

    @property
    def is_local(self) -> bool:
        """Whether it is proven local, and its server has not said otherwise since."""
        return self.boundary is None

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.model!r})"
