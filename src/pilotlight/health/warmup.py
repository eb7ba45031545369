"""Warm-up: the local model is loaded before the first failover needs it.

A cold model takes seconds to minutes to load, and the load belongs to the request that
asked for it: a call that gives up starts it all over.  So at the first failure of a target
ahead in a route that counts, or as soon as it is suspected to have died, a request without messages
loads the model, with a time limit of its own: a sudden outage gives no earlier sign.  A model that
the last check saw in memory is seen to from half-way to the trip on.  Some time after all is
well again, the server is told that it may let go.
"""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pilotlight import events
from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.fork import GATE
from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.health import loading
from pilotlight.health.checks import LocalCheck, check_target
from pilotlight.health.server import connection_of
from pilotlight.plain import logger
from pilotlight.providers.ollama.names import display_name

HALF: Final = 0.5  # of the way to the trip
FRESH: Final = 240.0  # seconds for which a load needs no repeating, less than a keep_alive
SULK: Final = 30.0  # seconds between a load that failed and the next
RELEASE_AFTER: Final = 600.0  # seconds after recovery

Work = Callable[[], None]
_log = logger("pilotlight.health")


@dataclass(slots=True, eq=False)
class _Flame:
    """What is known of one model on one server."""

    running: bool = False
    warmed: float | None = None  # when; None: not by us, or let go of since
    failed: float | None = None
    well_since: float | None = None
    ahead: weakref.WeakSet[Breaker] = field(default_factory=weakref.WeakSet)


def _in_thread(work: Work) -> None:
    """Run in a daemon thread that sees the caller's context."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="pilotlight-warm", daemon=True).start()


class Warmer:
    """Loads models ahead of need, each at most once at a time; thread-safe.

    `run` says where the work is done, by default in a thread of its own.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, run: Callable[[Work], None] = _in_thread
    ) -> None:
        self.clock = clock
        self._run = run
        self.reset()

    def reset(self) -> None:
        """Forget all; a load under way is let be."""
        self._lock = threading.Lock()
        self._flames: dict[tuple[str, str], _Flame] = {}
        self._forgotten: weakref.WeakSet[Target] = weakref.WeakSet()
        self._behind: weakref.WeakKeyDictionary[Breaker, list[weakref.ref[Target]]] = (
            weakref.WeakKeyDictionary()
        )

    # Whom to warm, and when.

    def plan(self, targets: Sequence[Target]) -> None:
        """Take note of a route: who stands behind whom."""
        for position, target in enumerate(targets):
            if target.care.warm == "never" or (flame := self._flame(target)) is None:
                continue
            self._forgotten.discard(target)
            if target.care.warm == "always":
                self.warm(target)
            with self._lock:
                for first in targets[:position]:
                    flame.ahead.add(first.health.breaker)
                    behind = self._behind.setdefault(first.health.breaker, [])
                    behind[:] = [each for each in behind if each() is not None]
                    if not any(each() is target for each in behind):
                        behind.append(weakref.ref(target))

    def forget(self, targets: Iterable[Target]) -> None:
        """Let these go: that a load of theirs breaks off now is no news."""
        for each in targets:
            self._forgotten.add(each)

    def trouble(self, failing: Breaker) -> None:
        """Warm whoever stands behind a breaker that has a reason for doubt.  Never waits."""
        with self._lock:
            behind = tuple(self._behind.get(failing, ()))
        near = failing.strain >= HALF
        for each in behind:
            if (target := each()) is not None and (near or not _in_memory(target)):
                self.warm(target)

    def warm(self, target: Target, *, again: bool = False) -> bool:
        """Load a target's model unless that has just been done; tell whether a load began.

        `again`: also when it has been done; the model is known to be cold.
        """
        flame = self._flame(target)
        if flame is None or target.health.away:
            return False
        with self._lock:
            now = self.clock()
            fresh = flame.warmed is not None and now - flame.warmed < FRESH and not again
            sulking = flame.failed is not None and now - flame.failed < SULK
            if flame.running or fresh or sulking:
                return False
            flame.running = True
        try:
            self._run(lambda: self._load(target, flame))
        except RuntimeError:  # no more threads: the interpreter is ending
            flame.running = False
            return False
        return True

    def upkeep(self, target: Target) -> None:
        """Keep warm what is still needed, let go of what is not; called with each health check."""
        if target.care.warm == "never" or (flame := self._flame(target)) is None:
            return
        check = target.health.check
        cold = check is not None and check.state == "installed"
        with self._lock:
            ahead = list(flame.ahead)
        needed = target.care.warm == "always" or any(each.strain >= HALF for each in ahead)
        if needed:
            flame.well_since = None
            self.warm(target, again=cold)
        elif flame.warmed is not None and not flame.running:
            now = self.clock()
            flame.well_since = now if flame.well_since is None else flame.well_since
            if now - flame.well_since >= RELEASE_AFTER:
                flame.warmed = flame.well_since = None
                self._run(lambda: self._release(target))

    def _flame(self, target: Target) -> _Flame | None:
        connection = connection_of(target)
        if connection is None or connection.wire != "ollama":
            return None
        key = connection.base_url, display_name(connection.spec.bare_model).lower()
        with self._lock:
            return self._flames.setdefault(key, _Flame())

    # The work.

    def _load(self, target: Target, flame: _Flame) -> None:
        began = self.clock()
        _tell(target, "started")
        problem: str | None = "it broke off"
        try:
            problem = _loaded(target)
        except Exception:
            _log.exception("%s: the warm-up failed to work", target.name)
        finally:
            now = self.clock()
            flame.warmed, flame.failed = (now, None) if problem is None else (None, now)
            flame.running = False
        if problem is None or target not in self._forgotten:
            _tell(target, "done" if problem is None else "failed", now - began, problem)

    def _release(self, target: Target) -> None:
        began = self.clock()
        try:
            if loading.release(target):
                _tell(target, "released", self.clock() - began)
        except Exception:
            _log.exception("%s: the warm-up could not be released", target.name)


def _in_memory(target: Target) -> bool:
    """Tell whether the last check has seen its model loaded."""
    check = target.health.check
    return check is not None and check.state == "loaded"


def _loaded(target: Target) -> str | None:
    """Load the model if it is here; return why not, if not.

    Who waits for the target's places is told how long that takes.
    """
    check = check_target(target)  # never load what would be loaded elsewhere
    if isinstance(check, LocalCheck) and check.state not in ("loaded", "installed"):
        return check.problem
    limits = Timeouts(5.0, None, None, target.care.warm_timeout)
    bulkhead = target.health.bulkhead
    if bulkhead is None or (check is not None and check.state == "loaded"):
        return loading.load(target, loading.keep_alive(target), limits)
    bulkhead.load_began()
    problem: str | None = "it broke off"
    try:
        problem = loading.load(target, loading.keep_alive(target), limits)
    finally:
        bulkhead.load_ended(whole=problem is None)
    return problem


def _tell(target: Target, phase: str, duration: float = 0.0, problem: str | None = None) -> None:
    if problem is not None:
        _log.warning("%s: warm-up %s: %s", target.name, phase, problem)
    if events.listeners:
        events.emit(events.WarmUp(target.name, phase, duration, problem))


WARMER: Final = Warmer()
"""The process's own."""


GATE.in_child(WARMER.reset)  # the locks and loads were the parent's; the plans are made anew
