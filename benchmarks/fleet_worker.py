"""One worker of a service, for `benchmarks.fleet`: `python -m benchmarks.fleet_worker JSON`.

Prints each change of its breaker or its store with the time, and what it counted when its
standard input is closed.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import pilotlight
from pilotlight.events import AttemptStarted, BreakerChanged, Event, StateStore

ASK = [{"role": "user", "content": "hi"}]


def say(word: str, rest: object) -> None:
    """Print a line in one piece: two threads do."""
    sys.stdout.write(f"{word} {rest}\n")
    sys.stdout.flush()


def told(event: Event) -> None:
    """Print what concerns the primary's breaker, its trials, and the store."""
    if isinstance(event, BreakerChanged) and event.target == "primary":
        say(event.new, time.time())
    elif isinstance(event, AttemptStarted):
        if event.target == "primary" and event.breaker != "closed":
            say("trial", time.time())
    elif isinstance(event, StateStore):
        say(event.state, time.time())


def main() -> None:
    """Call at a steady pace until told to end."""
    given = json.loads(sys.argv[1])
    pilotlight.listeners.append(told)
    route = pilotlight.load(given["config"]).route("chat")
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    calls = failed = 0
    while not over.wait(given["pace"]):
        calls += 1
        try:
            route.complete(ASK)
        except Exception:
            failed += 1
        if calls == 1:
            say("ready", time.time())
    say("ended", json.dumps({"calls": calls, "failed": failed}))


if __name__ == "__main__":
    main()
