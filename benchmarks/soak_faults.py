"""What goes wrong during the soak: by the seed, for one batch of calls at a time."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from pilotlight_chaos.faults import KINDS, Address

HOSTED_NAMES: Final = ("gpt", "claude", "gemini")
LOCAL_NAMES: Final = ("local", "spare")
SHARE_ILL: Final = 0.6  # of the servers have something, in each batch

# Parameters that keep a fault short against the clocks of `soak_calls`; the others have none.
PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "rate_limit": {"retry_after": 0.2},
    "slow": {"seconds": 0.25, "per_token": 0.02},
    "installed": {"seconds": 0.3},
    "stall": {"after": 2},
    "keepalive_stall": {"after": 1, "every": 0.05},
    "cut": {"after": 2},
    "reset": {"after": 1},
    "eof": {"after": 2},
    "error_event": {"after": 1},
    "done_false": {"after": 2},
    "drip": {"bytes_per_second": 4000.0},
    "flapping": {"down": 0.3, "up": 0.3},
}
SLOW_KINDS: Final = frozenset({"hang", "stall", "keepalive_stall", "slow", "installed"})


class Server:
    """The chaos server of another process, by its own door for such things."""

    def __init__(self, base: str) -> None:
        self.host = base.partition("/p/")[0]

    def base(self, name: str) -> str:
        """Return the address under which it plays this target."""
        return f"{self.host}/p/{name}"

    def make_ill(self, dice: random.Random) -> list[str]:
        """Heal all, then set this batch's faults; return their names."""
        self._post("heal", {})
        told = []
        for name in (*HOSTED_NAMES, *LOCAL_NAMES):
            if dice.random() < SHARE_ILL:
                kind, share = dice.choice(kinds(name)), dice.choice((0.1, 0.3, 0.6, 1.0))
                if kind in SLOW_KINDS:
                    share = min(share, 0.3)  # else the batch is nothing but waiting
                self._post(
                    "fault", {"name": name, "kind": kind, "rate": share, **PARAMS.get(kind, {})}
                )
                told.append(f"{name} {kind} {share:.0%}")
        return told

    def heal(self) -> None:
        """Remove all faults."""
        self._post("heal", {})

    def busy_with(self) -> int:
        """Return how many model requests it is still serving."""
        with urllib.request.urlopen(f"{self.host}/__control") as reply:
            counters = json.load(reply)["counters"]
        names = (*HOSTED_NAMES, *LOCAL_NAMES)
        return sum(counters[name]["in_flight"] for name in names if name in counters)

    def _post(self, what: str, body: Mapping[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.host}/__control/{what}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            reply.read()


def kinds(name: str) -> list[str]:
    """Return every fault that a server of this name can have, while a call goes on."""
    dialect = "ollama" if name in LOCAL_NAMES else "openai"
    return sorted(
        name
        for name, kind in KINDS.items()
        if dialect in kind.dialects and not issubclass(kind.params, Address)
    )
