"""While a breaker is open: is there anybody yet?  Asked by what costs nobody anything.

A break after failed calls ends in a trial, and that is a user's call.  So meanwhile the
endpoint is asked for its free list of models (an Ollama for its version) by the way that calls
take, through the same connections, with the same key.

- No answer at all: no call would get one either.  The break is held, up to `max_reset_timeout`
  in all, for the check may fail for reasons of its own.
- The first good answer after such, or after an error: something has changed.  The break is
  over, and the next call is the trial.
- Good answers all along say nothing of the model, and change nothing.

One daemon thread while there is such a breaker, else none.  Never asked: after a throttle, a
spent quota or a refused key, and of what another process has found out.
"""

from __future__ import annotations

import atexit
import random
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Literal

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.breaker.policy import CALLS_FAILED
from pilotlight.core.breaker.states import Open
from pilotlight.core.fork import GATE
from pilotlight.core.target import Target
from pilotlight.health.checks import CHECK_TIMEOUTS
from pilotlight.health.hosted import list_request
from pilotlight.health.server import connection_of, visiting
from pilotlight.plain import logger

EVERY: Final = 4.0  # seconds between two looks, about
JITTER: Final = 0.25  # of them, either way
HELD: Final = 2 * EVERY + 5.0  # seconds that a look holds a break, until after the next one's end

Sign = Literal["silent", "broken", "well"]
_log = logger("pilotlight.health")


class Recovery:
    """Looks at the endpoints whose breakers are open; thread-safe."""

    def __init__(self, *, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self.reset()

    def reset(self) -> None:
        """Forget all; the thread ends."""
        self._lock = threading.Lock()
        self._targets: weakref.WeakKeyDictionary[Breaker, weakref.ref[Target]] = (
            weakref.WeakKeyDictionary()
        )
        self._unwell: weakref.WeakSet[Breaker] = weakref.WeakSet()  # seen so, since they opened
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def plan(self, targets: Iterable[Target]) -> None:
        """Take note of targets that may be asked."""
        with self._lock:
            for each in targets:
                connection = connection_of(each)
                if each.care.recovery and connection is not None and connection.base_url:
                    self._targets[each.health.breaker] = weakref.ref(each)

    def forget(self, targets: Iterable[Target]) -> None:
        """Ask these no more, until they are planned again."""
        with self._lock:
            for each in targets:
                self._targets.pop(each.health.breaker, None)

    def opened(self, breaker: Breaker) -> None:
        """A breaker has opened: see that somebody looks.  Never waits."""
        with self._lock:
            if self._thread is not None or breaker not in self._targets or not _worn(breaker):
                return
            thread = threading.Thread(target=self._loop, name="pilotlight-recovery", daemon=True)
            with suppress(RuntimeError):  # no more threads: the interpreter is ending
                thread.start()
                self._thread = thread

    def _loop(self) -> None:
        woken = self._woken
        while not woken.wait(EVERY * (1 + JITTER * (2 * self._chance() - 1))):
            if self.look():
                continue
            with self._lock:
                if self._thread is not threading.current_thread():
                    return
                if not any(map(_worn, tuple(self._targets))):
                    self._thread = None
                    return

    def look(self) -> int:
        """Ask once after each endpoint whose breaker is open; return how many there are."""
        with self._lock:
            known = [(each, self._targets[each]()) for each in tuple(self._targets)]
        worn = [(each, target) for each, target in known if target and _worn(each)]
        for breaker, target in worn:
            try:
                sign = sign_of(target)
            except Exception:  # ours, and changes nothing
                _log.exception("%s: the look at it failed to work", target.name)
                continue
            with GATE:  # no fork while a breaker's lock may be held
                self._take(breaker, target, sign)
        return len(worn)

    def _take(self, breaker: Breaker, target: Target, sign: Sign) -> None:
        if sign != "well":
            self._unwell.add(breaker)
            if sign == "silent":
                breaker.hold(HELD)
        elif breaker in self._unwell:
            self._unwell.discard(breaker)
            if breaker.hasten():
                _log.info("%s answers again; the next call is a trial", target.name)

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Let the thread end."""
        self._woken.set()


def _worn(breaker: Breaker) -> bool:
    """Tell whether calls of this process have opened it, and it is not tried just now."""
    state = breaker.state
    return isinstance(state, Open) and state.reason in CALLS_FAILED and not state.learned


def sign_of(target: Target) -> Sign:
    """Ask the endpoint; expects one whose address is known."""
    import httpx

    connection = connection_of(target)
    assert connection is not None
    url, headers = list_request(connection)
    if connection.wire == "ollama":
        url = f"{connection.base_url.rstrip('/')}/api/version"
    try:
        with visiting(connection, CHECK_TIMEOUTS) as client:
            status = client.get(url, headers=headers, timeout=30.0).status_code
    except httpx.HTTPError:
        return "silent"
    return "broken" if status >= 500 else "well"


RECOVERY: Final = Recovery()
"""The process's own."""

GATE.in_child(RECOVERY.reset)  # the lock and the thread were the parent's
atexit.register(RECOVERY.stop)
