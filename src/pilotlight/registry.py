"""What this process knows of each endpoint's health, shared by every door.

The key is endpoint + model + credential, so that the client, the decorator, the
drop-in and the plugins see one another's trips.  The numbers of the
configuration read last are those that hold.
"""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import pybreaker

from pilotlight import events, notices
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.clock import Clock
from pilotlight.core.embedding_space import EmbeddingSpace
from pilotlight.core.fork import GATE
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.target import Health
from pilotlight.privacy.residency import is_loopback


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What tells one health record from another; the credential is hashed."""

    base_url: str
    model: str
    credential: str
    clock: Clock

    @classmethod
    def of(cls, base_url: str, model: str, key: str | None, clock: Clock) -> Endpoint:
        """Build the key without keeping the secret."""
        digest = hashlib.blake2b((key or "").encode(), digest_size=8).hexdigest()
        return cls(base_url.rstrip("/"), model, digest, clock)

    @property
    def board_key(self) -> str:
        """The endpoint's name on a shared board: equal in all processes, and tells nothing.

        A hash of address and model, keyed by the credential's: who reads the board can't
        find out which addresses or keys are in use.  A loopback address is another server
        on each host, and so has another name there.
        """
        own = is_loopback(urlsplit(self.base_url).hostname or "")
        host = socket.gethostname() if own else ""
        told = f"{self.base_url}\0{self.model}\0{host}".encode()
        secret = self.credential.encode()
        return hashlib.blake2b(told, key=secret, digest_size=12, person=b"pilotlight").hexdigest()


class _Announcer(pybreaker.CircuitBreakerListener):
    """Turns a breaker's transitions into events."""

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        reason = getattr(new_state, "reason", None) or cb._next_reason
        notices.breaker_moved(
            str(cb.name),
            old_state.name,
            new_state.name,
            reason,
            cb.retry_after,
            new_state.learned,
            cb.policy.consecutive_failures,
        )
        if events.listeners:
            events.emit(
                events.BreakerChanged(
                    str(cb.name),
                    old_state.name,
                    new_state.name,
                    reason,
                    cb.retry_after,
                    new_state.learned,
                )
            )


RECENT: Final = 256  # endpoints that are remembered although nobody uses them
BROKEN: Final = 1024  # and those of them whose break is not over


class Registry:
    """Endpoints and their health; thread-safe.

    What a target uses is there as long as the target.  Of the others those asked for last are
    remembered, and for longer those whose circuit is open: a key that comes back after it was
    refused finds the break that it had.  `chance` gives 0 to 1: how much of its jitter each
    break has.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self.forked()
        GATE.inherits(self)
        self._records: WeakValueDictionary[Endpoint, Health] = WeakValueDictionary()
        self._recent: OrderedDict[Endpoint, Health] = OrderedDict()
        self._broken: OrderedDict[Endpoint, Health] = OrderedDict()
        self._spaces: dict[str, EmbeddingSpace] = {}
        self._ledgers: WeakValueDictionary[str, Ledger] = WeakValueDictionary()

    def forked(self) -> None:
        """In a child: nobody holds the lock there."""
        self._lock = threading.Lock()

    def health(
        self,
        endpoint: Endpoint,
        name: str,
        policy: BreakerPolicy,
        retry: RetryPolicy,
        concurrency: int | None = None,
        queue: int = 0,
    ) -> Health:
        """Return the endpoint's record, made at first use, with these numbers in force."""
        with self._lock:
            record = self._records.get(endpoint)
            if record is None:
                breaker = Breaker(
                    name,
                    policy,
                    clock=endpoint.clock,
                    chance=self._chance,
                    listeners=[_Announcer()],
                )
                record = Health(breaker, RetryBudget(retry.budget_ratio, retry.budget_reserve))
                self._records[endpoint] = record
            self._remember(endpoint, record)
            record.breaker.configure(policy)
            record.budget.ratio = retry.budget_ratio
            if concurrency is None:
                record.bulkhead = None
            elif record.bulkhead is None:
                record.bulkhead = Bulkhead(concurrency, queue, endpoint.clock)
            else:
                record.bulkhead.configure(concurrency, queue)
            return record

    def _remember(self, endpoint: Endpoint, record: Health) -> None:
        """Hold a record besides its users; expects the lock."""
        self._broken.pop(endpoint, None)
        self._recent[endpoint] = record
        self._recent.move_to_end(endpoint)
        while len(self._recent) > RECENT:
            oldest, its = self._recent.popitem(last=False)
            if its.breaker.retry_after is not None:
                self._broken[oldest] = its
        while self._broken:
            oldest, its = next(iter(self._broken.items()))
            if len(self._broken) <= BROKEN and its.breaker.retry_after is not None:
                break
            del self._broken[oldest]

    def ledger(self, budget: Budget) -> Ledger:
        """Return the ledger of a budget, made at first use; one that has changed goes on counting.

        So money is not there again because a configuration is read anew.
        """
        with self._lock:
            known = self._ledgers.get(budget.name)
            if known is not None and known.budget == budget:
                return known
            made = Ledger(budget, time.time)
            if known is not None:
                made.carry_on(known)
            self._ledgers[budget.name] = made
            return made

    def space(self, name: str) -> EmbeddingSpace:
        """Return the embedding space of this name, made at first use."""
        with self._lock:
            return self._spaces.setdefault(name, EmbeddingSpace(name))

    @property
    def records(self) -> Mapping[Endpoint, Health]:
        """Everything known just now."""
        with self._lock:
            return MappingProxyType(dict(self._records))

    def reset(self) -> None:
        """Forget everything: for tests, and for a person who has mended something."""
        with self._lock:
            self._records.clear()
            self._recent.clear()
            self._broken.clear()
            self._spaces.clear()
            self._ledgers.clear()


REGISTRY = Registry()
"""The process's own registry; `pilotlight.registry.REGISTRY.records` shows it."""
