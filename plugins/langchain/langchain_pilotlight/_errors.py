"""pilotlight's errors, as LangChain knows errors: each is also one of its `ModelError` family.

The mistakes of a caller are not here: the vendor's own exception passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelTimeoutError,
)

import pilotlight

__all__ = ["AllTargetsFailed", "DeadlineExceeded", "NotAllowed", "StreamInterrupted"]


class AllTargetsFailed(pilotlight.AllTargetsFailed, ModelAPIError):
    """No model answered; `.exceptions` says why, in the order tried."""

    def derive(self, errors: Sequence[Exception]) -> AllTargetsFailed:  # type: ignore[override]
        """Keep the type and the receipt when `except*` splits the group."""
        return AllTargetsFailed(self.message, errors, self.receipt, self.retry_after)


class DeadlineExceeded(pilotlight.DeadlineExceeded, ModelTimeoutError):
    """The call's deadline passed before any model had answered."""


class StreamInterrupted(pilotlight.StreamInterrupted, ModelConnectionError):
    """A stream broke after its first text had been handed over."""


class NotAllowed(pilotlight.ConfigError, ModelInvalidRequestError):
    """A private call, and no model that is proven to be local; nothing was sent."""

    @classmethod
    def of_another_model(cls, option: str, named: Any, proven: str) -> NotAllowed:
        """Return the error of a call that names another model than the one that is proven."""
        return cls(
            f"this call is private, and {option}={named!r} is not the model that is proven local, "
            f"{proven!r}: nothing was sent; leave {option}= out, or guard a model of that name, "
            f"such as guard(ChatOllama(model={named!r}), private=True)"
        )


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise what pilotlight raises inside as LangChain's own; everything else as it is."""
    try:
        yield
    except pilotlight.AllTargetsFailed as e:
        raise AllTargetsFailed(e.message, e.exceptions, e.receipt, e.retry_after) from e.__cause__
    except pilotlight.DeadlineExceeded as e:
        raise DeadlineExceeded(str(e), e.receipt) from e.__cause__
    except pilotlight.StreamInterrupted as e:
        raise StreamInterrupted(e.target, e.fault, e.partial_text, e.receipt) from e.__cause__


def is_signal(error: BaseException) -> bool:
    """Tell whether this is no failure but LangGraph's word for an interrupt or a jump.

    Known by its name: LangGraph may not be installed.
    """
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)
