"""An application to look at: it reads the name of a scenario a line, and plays a round of it.

    python -m tests.backends.app <OTLP endpoint> <Prometheus port>

Its providers are a chaos server's.  After each round it prints one line of JSON: the
trace it made, and the tokens that its receipts know of so far.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import trace

import pilotlight
from pilotlight_chaos import ChaosServer, LocalModel

SERVICE = "shop"
LOCAL = "llama3.2:1b"
ASK = [{"role": "user", "content": "Where is my order?"}]
DAYS = 10  # that the model `old` has left


class App:
    """Four routes: one that fails over, one that is full, one that is well, one that is down."""

    def __init__(self, chaos: ChaosServer) -> None:
        self.tokens = 0
        ends = (datetime.now(UTC) + timedelta(days=DAYS)).date().isoformat()
        targets = {
            "gpt": hosted(chaos, "gpt"),
            "spare": hosted(chaos, "spare"),
            "old": hosted(chaos, "old") | {"retires": ends},
            "gone": hosted(chaos, "gone"),
            "local": local(chaos, "local"),
            "narrow": local(chaos, "narrow") | {"concurrency": 1, "queue": 0},
        }
        routes = {
            "chat": ["gpt", "local"],
            "busy": ["narrow", "spare"],
            "well": ["old", "local"],
            "down": ["gone"],
        }
        self.pilot = pilotlight.load(
            {
                "targets": targets,
                "routes": {name: {"targets": asked} for name, asked in routes.items()},
                "breaker": {"minimum_calls": 3},
                "retry": {"max_retries": 1, "wait_initial": 0.01, "wait_max": 0.02},
            }
        )

    def ask(self, route: str) -> str:
        """Make a call inside a span of the application's own; return its trace."""
        with trace.get_tracer(SERVICE).start_as_current_span("answer a customer") as span:
            try:
                receipt = self.pilot.route(route).complete(ASK).receipt
            except pilotlight.AllTargetsFailed as error:
                receipt = error.receipt
        self._count(receipt)
        return f"{span.get_span_context().trace_id:032x}"

    def fill(self) -> str:
        """Hold the one place of the narrow target with a stream, and ask meanwhile."""
        with pilotlight.receipts() as log:
            stream = self.pilot.route("busy").stream(ASK)
            next(stream)
        made = self.ask("busy")
        list(stream)
        self._count(log[0])
        return made

    def _count(self, receipt: Any) -> None:
        for each in receipt.attempts:
            self.tokens += (each.prompt_tokens or 0) + (each.completion_tokens or 0)


def hosted(chaos: ChaosServer, name: str) -> dict[str, Any]:
    return {
        "model": "openai/gpt-4o-mini",
        "api_base": f"{chaos.base(name)}/v1",
        "api_key": f"sk-{name}",
    }


def local(chaos: ChaosServer, name: str) -> dict[str, Any]:
    return {"model": f"ollama/{LOCAL}", "api_base": chaos.base(name)}


def main(endpoint: str, port: str) -> None:
    pilotlight.configure_telemetry(
        SERVICE, endpoint, int(port), json_logs=False, openinference=True
    )
    with ChaosServer(models=[LocalModel(LOCAL)], reply="It is on its way.") as chaos:
        app = App(chaos)
        chaos.fault("gpt", "unavailable")
        chaos.fault("gone", "unavailable")
        rounds: dict[str, Callable[[], str]] = {
            "calm": lambda: app.ask("well"),
            "failover": lambda: app.ask("chat"),
            "full": app.fill,
            "down": lambda: app.ask("down"),
        }
        for line in sys.stdin:
            made = rounds[line.strip()]()
            trace.get_tracer_provider().force_flush()
            print(json.dumps({"trace": made, "tokens": app.tokens}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
