"""Everything that pilotlight raises.

    PilotlightError
      ConfigError         (also ValueError)     a configuration that can't be used
        MissingExtra      (also ImportError)    what it needs is not installed
      InvalidCall         (also ValueError)     a call that can't be sent to anybody
      TargetSkipped                             one target was not asked, and why
        CircuitOpen       (also pybreaker.CircuitBreakerError)
      ProviderFault                             a target answered, but not with an answer
        PromptTruncated                         a target answered a part of the prompt
      AllTargetsFailed    (also ExceptionGroup) every target was skipped or failed
      DeadlineExceeded    (also TimeoutError)   the call's time ran out
      BudgetSpent                               a budget refuses the call
      StreamInterrupted                         a stream broke after its first text
      PullFailed                                a local model could not be fetched

A mistake of the caller (a malformed request, by default a blocked prompt) is not in this tree: it
is raised as the exception of the library that the program uses (litellm, the openai or anthropic
SDK, else httpx), and is a ProviderRefusal as well.

All of them survive pickling, also when they hold a provider's exception that
would not: such an exception arrives as a `ProviderFault` that quotes its type.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self, cast

import pybreaker

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import Receipt


DOCS: Final = "https://pilotlight.github.io/pilotlight/"
"""Where the documentation is; each error has a section in it."""


class PilotlightError(Exception):
    """The base of everything that pilotlight raises of its own."""

    @property
    def docs(self) -> str:
        """Where this kind of error is described; a traceback of one that users meet says it."""
        own = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return f"{DOCS}errors/#{own.__name__.lower()}"


class ConfigError(PilotlightError, ValueError):
    """A configuration that can't be used; the message names the file, the key and the mend."""


class MissingExtra(ConfigError, ImportError):
    """A package that is installed only with an extra is needed, and is not there.

    `extra` is the extra's name, `module` what is missing, `mend` the command that installs it.
    """

    def __init__(self, what: str, module: str, extra: str, mend: str) -> None:
        super().__init__(f"{what} needs {module}, which is not installed: {mend}")
        self.what = what
        self.module = module
        self.extra = extra
        self.mend = mend

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.module, self.extra, self.mend)


class InvalidCall(PilotlightError, ValueError):
    """A call that can't be sent to anybody: no role, a text without an encoding, no asyncio.

    The message names the place (`messages[2].content`), never the text.
    """


class TargetSkipped(PilotlightError):
    """A target was not asked.

    `reason` is one of `breaker_open suspected asked_to_wait saturated unsupported residency
    retired drill budget price`;
    `retry_after` is in seconds, None when waiting does not help.
    """

    def __init__(
        self, target: str, reason: str, retry_after: float | None = None, detail: str = ""
    ) -> None:
        wait = "" if retry_after is None else f", retry in {retry_after:.1f} s"
        super().__init__(f"{target}: {reason}{f' ({detail})' if detail else ''}{wait}")
        self.target = target
        self.reason = reason
        self.retry_after = retry_after
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.target, self.reason, self.retry_after, self.detail)


class CircuitOpen(TargetSkipped, pybreaker.CircuitBreakerError):
    """The breaker refused the call; ask again in `retry_after` seconds (None: no use in waiting).

    `cause` says why it is open: a fault's name, `failure_rate`, `consecutive_failures`,
    `forced`, ...
    """

    def __init__(self, target: str, retry_after: float | None, cause: str = "failure_rate") -> None:
        wait = None if retry_after == math.inf else retry_after
        TargetSkipped.__init__(self, target, "breaker_open", wait, cause)
        self.cause = cause

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.target, self.retry_after, self.cause)


class ProviderFault(PilotlightError):
    """A target answered, but not with an answer: empty, garbled, cut off, blocked.

    `fault` is the fault's name, `target` the target's, `retry_after` seconds if
    known.  Raised by a decorated function, it is taken at its word.
    """

    def __init__(
        self, fault: str, target: str = "", evidence: str = "", retry_after: float | None = None
    ) -> None:
        who = f"{target}: " if target else ""
        super().__init__(f"{who}{fault}{f' ({evidence})' if evidence else ''}")
        self.fault = fault
        self.target = target
        self.evidence = evidence
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fault, self.target, self.evidence, self.retry_after)


class PromptTruncated(ProviderFault):
    """A local server cut the prompt to its context and answered the rest.

    `read` is how many tokens it says it has read, `estimated` about how many there were.
    """

    def __init__(self, target: str, read: int, estimated: int) -> None:
        evidence = f"the server read {read} of about {estimated} tokens"
        super().__init__("context_exceeded", target, evidence)
        self.read = read
        self.estimated = estimated

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.target, self.read, self.estimated)


class ProviderRefusal(Exception):
    """A provider refused the call with an HTTP status; a mistake of the caller is raised as it.

    `status`, `headers` (names in lower case) and `content` (the first kilobytes of the body) are
    as they came; the latter two are empty where litellm alone has seen them.  `body` is the JSON
    in it, else its text, unless the library has put there what it makes of it.  What is raised is
    an exception of that library too: `except openai.BadRequestError` catches it, and `except
    ProviderRefusal` whatever the library.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    body: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return _refusal, (str(self), self.status, dict(self.headers), self.content)


def as_refusal(
    error: Exception, status: int, headers: Mapping[str, str], content: bytes
) -> Exception:
    """Make a library's exception a ProviderRefusal too, and return it."""
    told: Any = error
    try:
        told.__class__ = _with_refusal(cast("Any", type(error)))
    except TypeError:  # it is made otherwise than exceptions are
        return error
    told.status, told.headers, told.content = status, headers, content
    if getattr(error, "body", None) is None:
        told.body = _read(content)
    return error


@cache
def _with_refusal(kind: type[Exception]) -> type[Exception]:
    """Return the library's class with ours before it, under its own name."""
    if issubclass(kind, ProviderRefusal):
        return kind
    named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (ProviderRefusal, kind), {**named, "__doc__": kind.__doc__})


def _refusal(said: str, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
    return as_refusal(ProviderRefusal(said), status, headers, content)


def _read(content: bytes) -> Any:
    said = content.decode("utf-8", "replace")
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said


class AllTargetsFailed(PilotlightError, ExceptionGroup[Exception]):
    """Every target was skipped or failed; `.exceptions` says why, in the order tried.

    The message has a line for each target, with what mends it.  Each exception is without the
    traceback that it came with, and what it was raised from is its `__context__`: printed, the
    whole of it would be hundreds of lines.
    `retry_after` is the shortest wait in seconds that is known, of an open breaker, a
    provider's own word or a full queue (None when none is: nobody said when to come back);
    `receipt` has every attempt.
    """

    receipt: Receipt | None
    retry_after: float | None

    def __new__(
        cls,
        message: str,
        errors: Sequence[Exception],
        receipt: Receipt | None = None,
        retry_after: float | None = None,
    ) -> Self:
        self = super().__new__(cls, message, list(map(quiet, errors)))
        self.receipt = receipt
        self.retry_after = retry_after
        self.add_note(f"see {self.docs}")
        return self

    def __init__(self, message: str, errors: Sequence[Exception], *_: object) -> None:
        super().__init__(message, list(errors))

    def __str__(self) -> str:
        """Return the message as it is; the base would add how many exceptions there are."""
        return self.message

    def __repr__(self) -> str:
        """Return our own words alone: those of the providers may quote a prompt."""
        return f"{type(self).__name__}({self.message!r})"

    def derive(self, errors: Sequence[Exception]) -> AllTargetsFailed:  # type: ignore[override]
        """Keep the type and the receipt when `except*` splits the group."""
        return AllTargetsFailed(self.message, errors, self.receipt, self.retry_after)

    def __reduce__(self) -> tuple[Any, ...]:
        errors = [_picklable(error) for error in self.exceptions]
        return type(self), (self.message, errors, self.receipt, self.retry_after)


class DeadlineExceeded(PilotlightError, TimeoutError):
    """The call's deadline passed before any target had answered."""

    def __init__(self, message: str, receipt: Receipt | None = None) -> None:
        super().__init__(message)
        self.receipt = receipt
        self.add_note(f"see {self.docs}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.receipt)


class BudgetSpent(PilotlightError):
    """A budget has no money left for the call, and wants it refused; nobody was asked.

    `budget` is its name, `renews_in` and `retry_after` the seconds until it has new money.
    """

    def __init__(self, budget: str, renews_in: float, receipt: Receipt | None = None) -> None:
        super().__init__(
            f"budget {budget} is spent, and renews in {renews_in:.0f} s; raise "
            f'budgets.{budget}.usd, or have its targets skipped with then = "skip"'
        )
        self.budget = budget
        self.renews_in = self.retry_after = renews_in
        self.receipt = receipt

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.budget, self.renews_in, self.receipt)


class StreamInterrupted(PilotlightError):
    """A stream broke after its first text had been handed over.

    `partial_text` is what was handed over, `target` who said it, `fault` what
    happened; `__cause__` is the provider's own error.
    """

    def __init__(
        self, target: str, fault: str, partial_text: str = "", receipt: Receipt | None = None
    ) -> None:
        super().__init__(f"{target}: {fault} after {len(partial_text)} characters of text")
        self.target = target
        self.fault = fault
        self.partial_text = partial_text
        self.receipt = receipt
        self.add_note(f"see {self.docs}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.target, self.fault, self.partial_text, self.receipt)


class PullFailed(PilotlightError):
    """A local model could not be fetched; `reason` is the server's own word where it gave one."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model} was not pulled: {reason}")
        self.model = model
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.reason)


def quiet(error: Exception) -> Exception:
    """Take off what would print many lines: the traceback and the causes; return the same error.

    What it was raised from is its `__context__` from here on.
    """
    if error.__cause__ is not None:
        error.__context__ = error.__cause__
    error.__cause__ = None  # which has Python print no context either
    return error.with_traceback(None)


def _picklable(error: BaseException) -> BaseException:
    """Return the error, or a stand-in for one that pickle can't carry (litellm's, for instance)."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, made a moment ago
    except Exception:
        return ProviderFault("unknown", evidence=f"{type(error).__module__}.{type(error).__name__}")
    return error
