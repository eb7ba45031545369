"""How a call's end is told to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import AttemptRecord, Receipt


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
