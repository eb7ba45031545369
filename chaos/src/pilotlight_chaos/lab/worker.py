"""The process that `actions.restart` runs: some calls, one after the other, and a report."""

from __future__ import annotations

import json
import sys

import pilotlight

from .doors import messages


def main() -> None:
    """Read an order from stdin, carry it out, and print how many calls were lost."""
    order = json.load(sys.stdin)
    lost = 0
    with pilotlight.load(order["config"]) as app:
        route = app.route(order["route"])
        for number in range(order["calls"]):
            try:
                route.complete(messages(f"question {number} {order['tag']}"))
            except Exception:
                lost += 1
    print(json.dumps({"calls": order["calls"], "lost": lost}))


if __name__ == "__main__":
    main()
