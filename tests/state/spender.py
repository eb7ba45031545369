"""A process that spends: at each line it is given, so many calls at once, each in a thread.

python spender.py PAID LOCAL STATE OFFLINE CALLS
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter

import pilotlight

ASK = [{"role": "user", "content": "hi"}]
PRICE = 0.01  # dollars a call


def main(paid: str, local: str, state: str, offline: str, calls: str) -> None:
    price = {"input": 0.0, "output": 0.0, "per_call": PRICE}
    targets = {
        "paid": {
            "model": "openai/gpt-4o",
            "api_base": f"{paid}/v1",
            "api_key": "k",
            "price": price,
        },
        "local": {"model": "ollama/llama3.2", "api_base": local, "concurrency": 200},
    }
    budget = {"usd": 1.0, "per": "month", "unknown": "refuse", "offline": offline}
    app = pilotlight.load(
        {
            "targets": targets,
            "routes": {"chat": {"targets": ["paid", "local"]}},
            "budgets": {"team": budget},
            "state": state,
        }
    )
    route, served, failed = app.route("chat"), Counter(), []

    def call() -> None:
        try:
            served[route.complete(ASK).served_by] += 1
        except Exception as error:
            failed.append(repr(error))

    print("ready", flush=True)
    for _ in sys.stdin:
        threads = [threading.Thread(target=call) for _ in range(int(calls))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        print("done", flush=True)
    told = {**served, "failed": len(failed), "why": failed[:3]}
    print(json.dumps({**told, "spent": round(app.ledgers["team"].spent, 9)}), flush=True)


main(*sys.argv[1:])
