"""The prober: one daemon thread a process, which looks at each target between its calls.

It starts with the first call of a route that wants it, and ends when there is nobody
left to look at.  It knows its targets by weak references.  A forked child has none
until its own first call.
"""

from __future__ import annotations

import atexit
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pilotlight.core.fork import GATE
from pilotlight.core.target import Health, Target
from pilotlight.health import verdict
from pilotlight.health.checks import LocalCheck, check_target
from pilotlight.health.pull import PULLS
from pilotlight.health.warmup import WARMER, Warmer
from pilotlight.plain import logger

JITTER: Final = 0.1  # of the interval, either way: a fleet must not knock in step
GAP: Final = 1.0  # seconds between two looks at one target, however often it is woken
LONGEST_NAP: Final = 60.0

_log = logger("pilotlight.health")


@dataclass(slots=True, eq=False)
class _Known:
    """A target to look at; times by the prober's clock."""

    target: weakref.ref[Target]
    due: float
    looked: float = float("-inf")


class Prober:
    """Looks at targets in turn; thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        chance: Callable[[], float] = random.random,
        warmer: Warmer = WARMER,
    ) -> None:
        self.clock = clock
        self.generation = 0  # rises when those who attend have to say so again
        self._chance = chance
        self._warmer = warmer
        self._known: list[_Known] = []
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        """Start without a thread, and with locks that nobody holds."""
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.generation += 1

    # Whom to look at.

    def know(self, targets: Iterable[Target]) -> None:
        """Look at these from now on; at once, the first time."""
        with self._lock:
            self._drop_the_dead()
            known = {id(each.target()) for each in self._known}
            new = [each for each in targets if each.care.wanted and id(each) not in known]
            self._known += [_Known(weakref.ref(each), self.clock()) for each in new]

    def attend(self, targets: Iterable[Target]) -> int:
        """Know these and see that the thread runs; return the generation this holds for."""
        self.know(targets)
        with self._lock:
            if self._thread is None and self._known and not self._stopped:
                self._start()
            generation = self.generation
        self._woken.set()  # new ones are due now
        return generation

    def _start(self) -> None:
        """Expects the lock."""
        thread = threading.Thread(target=self._loop, name="pilotlight-health", daemon=True)
        with suppress(RuntimeError):  # no more threads: the interpreter is ending
            thread.start()
            self._thread = thread

    def forget(self, targets: Iterable[Target]) -> None:
        """Look at these no more, until they are called again."""
        gone = {id(each) for each in targets}
        with self._lock:
            self._known = [each for each in self._known if id(each.target()) not in gone]
            self.generation += 1

    def _drop_the_dead(self) -> None:
        """Expects the lock."""
        self._known = [each for each in self._known if each.target() is not None]

    # The thread.

    def wake(self) -> None:
        """Look at all of them soon: something has happened.  Never waits."""
        if threading.current_thread() is self._thread:
            return  # it was the prober's own doing
        earliest = self.clock()
        for each in self._known:
            each.due = min(each.due, max(earliest, each.looked + GAP))
        self._woken.set()

    def _loop(self) -> None:
        while not self._stopped:
            self._woken.clear()
            self._pass(everything=False)
            with self._lock:
                self._drop_the_dead()
                if not self._known and not self._woken.is_set():
                    if self._thread is threading.current_thread():
                        self._thread = None
                        self.generation += 1
                    return
                nap = min((each.due for each in self._known), default=0.0) - self.clock()
            self._woken.wait(min(max(nap, 0.05), LONGEST_NAP))

    def stop(self, patience: float = 0.0) -> None:
        """Let the thread end; wait for it at most so many seconds."""
        self._stopped = True
        self._woken.set()
        thread = self._thread
        if patience and thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    def reset(self) -> None:
        """Forget all targets and let the thread end; a later call starts another."""
        with self._lock:
            self._known = []
            self.generation += 1
        self._woken.set()

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    # A look.

    def run_once(self) -> None:
        """Look at every target now, in this thread."""
        self._pass(everything=True)

    def _pass(self, *, everything: bool) -> None:
        with self._lock:
            known = list(self._known)
        groups: dict[Health, list[tuple[_Known, Target]]] = {}
        for each in known:
            if (target := each.target()) is not None:
                groups.setdefault(target.health, []).append((each, target))
        for group in groups.values():
            if self._stopped and not everything:
                return
            if everything or min(each.due for each, _ in group) <= self.clock():
                for each, target in group:  # first, so that a wake meanwhile is not lost
                    each.looked = self.clock()
                    spread = 1 + JITTER * (2 * self._chance() - 1)
                    each.due = each.looked + target.care.interval * spread
                self._look([target for _, target in group])

    def _look(self, targets: list[Target]) -> None:
        """Check one endpoint; what goes wrong here is ours, and changes nothing."""
        target = next((each for each in targets if each.care.health), targets[0])
        try:
            if target.care.health and (check := check_target(target)) is not None:
                verdict.apply([target, *(each for each in targets if each is not target)], check)
                verdict.try_again(target, check)
                self._fetch(targets, check)
            for each in targets:
                self._warmer.upkeep(each)
        except Exception:
            _log.exception("%s: the health check failed to work", target.name)

    def _fetch(self, targets: list[Target], check: verdict.Check) -> None:
        if isinstance(check, LocalCheck) and check.state == "missing":
            wanting = next((each for each in targets if each.care.pull == "missing"), None)
            if wanting is not None:
                PULLS.in_background(wanting, self.wake)


PROBER: Final = Prober()
"""The process's own."""

GATE.in_child(PROBER._begin_afresh)
atexit.register(PROBER.stop, 0.1)
