"""One group of figures in a process of its own: `python -m benchmarks.group NAME`."""

from __future__ import annotations

import json
import sys
from importlib import import_module

GROUPS = (
    "concurrency",
    "overhead",
    "calls",
    "streams",
    "dialects",
    "translation",
    "flight",
    "imports",
    "memory",
    "tap",
    "outage",
    "herd",
    "recovery",
    "deadline",
    "surge",
    "telemetry",
    "fleet",
    "django",
)
SLOW = ("django",)  # measured when asked for, by name or with all
# Absolute figures, of microseconds.
FINE = ("concurrency", "overhead", "tap", "translation", "surge", "telemetry")


def main() -> int:
    """Measure the group and print its rows as the last line."""
    rows = import_module(f"benchmarks.{sys.argv[1]}").rows()
    print(json.dumps([row.as_json() for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
