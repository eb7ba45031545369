"""An outage in which a prompt was too long, as litellm's exception too.

Who catches `litellm.ContextWindowExceededError` shortens the prompt and asks again; that is what
helps here.  Without litellm in the process nobody can catch it, so it is never imported for this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from pilotlight.errors import AllTargetsFailed
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import Receipt


@contextmanager
def as_litellms() -> Iterator[None]:
    """Let an `AllTargetsFailed` be litellm's own exception as well, where it has one for it."""
    try:
        yield
    except AllTargetsFailed as failed:
        litellm: Any = sys.modules.get("litellm")
        base = getattr(litellm, "ContextWindowExceededError", None)
        if failed.receipt is not None and base is not None and _too_long(failed.receipt):
            _become(failed, base)
        raise


def _too_long(receipt: Receipt) -> bool:
    """Tell whether the prompt did not fit into a target's context."""
    refused = any(each.fault == Fault.CONTEXT_EXCEEDED for each in receipt.attempts)
    return refused or any(each.detail == "context" for each in receipt.skipped)


def _become(failed: AllTargetsFailed, base: Any) -> None:
    told: Any = failed
    told.__class__ = _both(base)
    last = failed.receipt.attempts[-1] if failed.receipt and failed.receipt.attempts else None
    told.status_code, told.body, told.code, told.type, told.param = 400, None, None, None, None
    told.model, told.llm_provider = (last.model if last else None), "pilotlight"
    told.litellm_debug_info = told.num_retries = told.max_retries = None


@cache
def _both(base: Any) -> type[Exception]:
    """Return our class and litellm's in one, under our name; it is pickled as ours."""

    def reduced(self: AllTargetsFailed) -> tuple[Any, ...]:
        return AllTargetsFailed, AllTargetsFailed.__reduce__(self)[1]

    own = {"__module__": AllTargetsFailed.__module__, "__reduce__": reduced}
    return type(AllTargetsFailed.__name__, (AllTargetsFailed, base), own)
