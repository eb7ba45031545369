"""What this worker hears of its breaker and its store, line by line into a file that all share."""

from __future__ import annotations

import os
import time

import pilotlight
from pilotlight.events import AttemptStarted, BreakerChanged, CallEnded, Event, StateStore

_called: set[int] = set()


def keep(path: str) -> None:
    """Begin; once a process."""

    def tell(word: str) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()} {word} {time.time()}\n".encode())
        os.close(file)

    def heard(event: Event) -> None:
        if isinstance(event, BreakerChanged) and event.target == "gpt":
            tell(event.new)
        elif isinstance(event, AttemptStarted):
            if event.target == "gpt" and event.breaker != "closed":
                tell("trial")
        elif isinstance(event, StateStore):
            tell(event.state)
        elif isinstance(event, CallEnded) and os.getpid() not in _called:
            _called.add(os.getpid())
            tell("called")

    pilotlight.listeners.append(heard)
