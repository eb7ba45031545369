"""A worker of a service: calls as fast as it is answered, and tells what it hears of its breaker.

python worker.py PRIMARY BACKUP STATE MARK
"""

from __future__ import annotations

import json
import sys
import threading

import pilotlight
from pilotlight.events import (
    BreakerChanged,
    DrillEnded,
    DrillStarted,
    Event,
    StateStore,
    TargetSkipped,
)

ASK = [{"role": "user", "content": "hi"}]
BREAKER = {"reset_timeout": 0.5, "max_reset_timeout": 0.5, "minimum_calls": 5}
PACE = 0.03  # seconds between two calls


def say(line: str) -> None:
    """Print a line in one piece: two threads do."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def told(event: Event) -> None:
    if isinstance(event, BreakerChanged):
        say(event.new)
    elif isinstance(event, StateStore):
        say(event.state)
    elif isinstance(event, DrillStarted | DrillEnded):
        say(type(event).__name__)
    elif isinstance(event, TargetSkipped) and event.reason == "drill":
        say("drill")


def main(primary: str, backup: str, state: str) -> None:
    common = {"retry": {"max_retries": 0}, "breaker": BREAKER, "api_key": "key"}
    targets = {
        name: {"model": "ollama/llama3.2", "api_base": base, **common}
        for name, base in (("primary", primary), ("backup", backup))
    }
    routes = {"chat": {"targets": list(targets)}}
    app = pilotlight.load({"targets": targets, "routes": routes, "state": state})
    route = app.route("chat")
    pilotlight.listeners.append(told)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    calls = failed = 0
    while not over.is_set():
        calls += 1
        try:
            route.complete(ASK)
        except Exception as error:
            failed += 1
            print(f"failed {error!r}", file=sys.stderr)
        over.wait(PACE)
    say(json.dumps({"calls": calls, "failed": failed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
