"""Closed targets are looked after only once something is wrong: what does it is loaded then.

A route with a local model loads it in any case.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from pilotlight.core import background
from pilotlight.core.breaker import breaker
from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.target import Target

_targets: weakref.WeakKeyDictionary[Breaker, weakref.ref[Target]] = weakref.WeakKeyDictionary()


def await_trouble(targets: Iterable[Target]) -> None:
    """When the breaker of one of them opens, let it be asked whether it is back."""
    for each in targets:
        if each.care.recovery:
            _targets[each.health.breaker] = weakref.ref(each)
    if _opened not in breaker.observers:
        breaker.observers.append(_opened)


def _opened(failing: Breaker) -> None:
    """A breaker counted a failure or changed its state."""
    known = _targets.get(failing)
    target = None if known is None else known()
    if target is None or failing.state.name != "open" or not background.allowed():
        return
    from pilotlight.health.recovery import RECOVERY  # with httpx and all

    RECOVERY.plan([target])
    RECOVERY.opened(failing)
