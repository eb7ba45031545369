"""Receipts made by hand, and routes that make real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotlight.records.files import sink
from pilotlight.records.lines import Kept
from pilotlight.records.store import Store
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import AttemptRecord, SkipRecord

HELLO = [{"role": "user", "content": "Hello"}]
PATIENCE = 20.0  # real seconds until a test that waits for the disk gives up
MODELS = {
    "gpt": "openai/gpt-4o",
    "claude": "anthropic/claude-sonnet-4-5",
    "local": "ollama/llama3.2",
}


def tried(
    target: str, fault: Fault | None = None, takes: float = 1.0, **more: Any
) -> AttemptRecord:
    """One attempt."""
    told: dict[str, Any] = {"number": 0, "status": None, "breaker": "closed"} | more
    return AttemptRecord(target, MODELS[target], fault=fault, duration=takes, **told)


def skip(target: str, reason: str = "breaker_open") -> SkipRecord:
    """A target passed over."""
    return SkipRecord(target, reason)


def call(
    at: float,
    *records: AttemptRecord | SkipRecord,
    outcome: str | None = None,
    duration: float | None = None,
    **more: Any,
) -> Kept:
    """One call; its attempts follow one another, and the last one answered if it could."""
    attempts, skipped, began = [], [], 0.0
    for each in records:
        if isinstance(each, SkipRecord):
            skipped.append(each)
            continue
        attempts.append(_at(each, began))
        began += each.duration
    served = attempts[-1].target if attempts and attempts[-1].fault is None else None
    if outcome is None:
        first = served is not None and len(attempts) == 1 and not skipped
        outcome = "primary" if first else "failover" if served else "exhausted"
    told: dict[str, Any] = {"call_id": f"{at}", "route": "chat", "private": False} | more
    return Kept(
        outcome=outcome,
        started_at=at,
        duration=began if duration is None else duration,
        served_by=served,
        served_model=None,
        attempts=tuple(attempts),
        skipped=tuple(skipped),
        **told,
    )


def _at(record: AttemptRecord, began: float) -> AttemptRecord:
    from dataclasses import replace

    return replace(record, began=began)


def write(path: Path, *receipts: Kept, process: str = "p") -> Path:
    """Keep them in a file."""
    sink(path, 10**9, 5).write(receipts, process)
    return path


def kept(path: Path) -> list[Kept]:
    """All that can be read in a file; nothing in it is broken."""
    store = Store(path)
    found = list(store.read())
    assert store.remarks == []
    return found


def route(*script: Any, name: str = "chat") -> Route:
    """A route of two scripted targets: one that follows the script, and one at home."""
    targets = ScriptedTarget("gpt", *script), ScriptedTarget("local", "hi", local=True)
    return Route(name, targets)
