"""How a call's end is told to a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilotlight.vocabulary.faults import Fault

if TYPE_CHECKING:
    from pilotlight.errors import PilotlightError
    from pilotlight.vocabulary.receipt import AttemptRecord, Receipt


def message_of(error: PilotlightError) -> str:
    """Return an error's own words; an exception group would add how many it holds."""
    return str(getattr(error, "message", "") or error)


def hints(receipt: Receipt | None) -> Iterator[str]:
    """Yield what a person can do about the faults of a call."""
    said = set()
    for attempt in receipt.attempts if receipt else ():
        hint = _hint(attempt)
        if hint and hint not in said:
            said.add(hint)
            yield hint


def _hint(attempt: AttemptRecord) -> str:
    local = attempt.model.startswith("ollama")
    model = attempt.model.partition("/")[2]
    match attempt.fault:
        case Fault.CONNECTION_ERROR if local:
            return f"{attempt.target}: no Ollama answers; start it with `ollama serve`"
        case Fault.LOCAL_MODEL_MISSING:
            return f"{attempt.target}: {model} is not there; `pilotlight pull {attempt.target}`"
        case Fault.AUTH_FAILED:
            return f"{attempt.target}: {attempt.evidence}"
    return ""


def summary(receipt: Receipt) -> str:
    """Say in one line who answered, how fast, and why it was not the first target."""
    who = receipt.served_by or "nobody"
    if receipt.served_model and receipt.served_model != who:
        who += f" ({receipt.served_model})"
    line = f"answered by {who} in {receipt.duration:.2f} s"
    reasons = [
        f"{a.target} {a.fault}{f' ({a.status})' if a.status else ''}" for a in _failed(receipt)
    ]
    reasons += [f"{s.target} {s.reason}" for s in receipt.skipped]
    if not reasons:
        return line
    verb = "failed over" if receipt.failed_over else "after a retry"
    return f"{line} · {verb}: {', '.join(dict.fromkeys(reasons))}"


def _failed(receipt: Receipt) -> list[AttemptRecord]:
    return [attempt for attempt in receipt.attempts if attempt.fault is not None]


def tokens(count: int | None) -> str:
    """Write a number of tokens as people say it: 8k, 128k; ? for one that is not known."""
    if count is None:
        return "?"
    for kilo in (1000, 1024):
        if count >= kilo and count % kilo == 0:
            return f"{count // kilo}k"
    return str(count)
