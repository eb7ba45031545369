"""Diagnosing a failed attempt: the wire is the first witness, the exception the second.

    classify(tap, error)      an attempt over our transport failed
    judge(tap, answer)        an attempt came back; is it an answer?
    classify_exception(error) somebody's own function raised; is it a provider's fault?

None of them ever raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.catalog.model_names import substituted
from pilotlight.diagnosis import exceptions
from pilotlight.diagnosis.evidence import evidence
from pilotlight.diagnosis.judge import (
    NAMED_IN_STREAM,
    AnswerView,
    blocked_answer,
    judge,
    judge_in_band,
    judge_wire,
)
from pilotlight.diagnosis.retry_after import retry_after
from pilotlight.diagnosis.verdict import Reply, Verdict, fault_of, reply_of, verdict_of
from pilotlight.errors import ProviderFault
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Tap, Wire

__all__ = [
    "AnswerView",
    "Verdict",
    "classify",
    "classify_exception",
    "has_witness",
    "is_witness",
    "judge",
    "judge_wire",
    "retry_after",
    "substituted",
]

# Who tells the truth about a status: the HTTP client, then the SDK, and litellm last.
_RAW: Final = frozenset(["httpx", "httpx2", "requests", "aiohttp", "urllib", "urllib3", "botocore"])
_REWRITERS: Final = frozenset({"litellm"})
_NO_WITNESSES: Final = _REWRITERS | {"builtins"}  # litellm gives a bare Exception a status, too
_BODIES: Final = ("body", "details", "response_json", "error")
_TEXTS: Final = ("text", "content", "body")
_ENDED_EARLY: Final = re.compile(
    r"ended before a finish_reason|without (?:a )?finish[_ ]reason", re.IGNORECASE
)


def classify(tap: Tap, error: BaseException | None, *, prompt_texts: Sequence[str] = ()) -> Verdict:
    """Return why an attempt failed.

    `prompt_texts` are kept out of the evidence.  An `error` that is a bug in the
    program, with no sign of trouble on the wire, gives UNKNOWN: a caller who wants
    to raise it asks `classify_exception`.
    """
    errors = exceptions.chain(error)
    if (told := _of_wire(tap, errors, prompt_texts)) is not None:
        return told
    if tap.starved:
        return _said(tap, Fault.PROCESS_OVERLOADED, _own_time(tap), prompt_texts)
    if tap.expired is not None:
        return _said(tap, _expired(tap), f"the {tap.expired} clock ran out", prompt_texts)
    known = _answered(tap, errors, prompt_texts) if tap.status is not None else None
    if known is None:
        heard = tap if tap.status is not None else None
        known = _from_errors(errors, tap.wire, prompt_texts, heard)
    if known is None and tap.late:  # whoever read on fell over it
        known = _said(tap, Fault.MALFORMED_RESPONSE, f"{tap.late}, after the end", prompt_texts)
    return _at_its_word(tap, error, prompt_texts) if known is None else known


def _of_wire(
    tap: Tap, errors: Sequence[BaseException], prompt_texts: Sequence[str]
) -> Verdict | None:
    """Return what the wire alone tells: a refusal, a way out of the house, a broken stream."""
    if tap.status is not None and tap.status >= 300:
        body: object = tap.head or _body_of(errors)
        reply = reply_of(tap.wire, tap.status, body, tap.headers)
        return verdict_of(reply, prompt_texts)
    if tap.status is None and (tap.address_mismatch or tap.refused_host):
        what = (
            tap.address_mismatch or f"the way led to {tap.refused_host}, which is not this target's"
        )
        return _said(tap, Fault.PRIVACY_BOUNDARY, what, prompt_texts)
    if tap.in_band_error:
        return judge_in_band(tap, prompt_texts)
    return judge_wire(tap, prompt_texts) if tap.garbled else None


def _at_its_word(tap: Tap, error: BaseException | None, prompt_texts: Sequence[str]) -> Verdict:
    """Believe our own providers, which could not read an answer.

    Whatever else reading a success has raised, its bytes were the reason.
    """
    if isinstance(error, ProviderFault):
        return _said(tap, Fault(error.fault), error.evidence, prompt_texts)
    what = type(error).__name__ if error is not None else "no answer"
    if tap.status is not None and error is not None:
        return _said(tap, Fault.MALFORMED_RESPONSE, f"an answer that can't be read ({what})", ())
    return _said(tap, Fault.UNKNOWN, what, prompt_texts)


def classify_exception(
    error: BaseException, *, wire: Wire = "other", prompt_texts: Sequence[str] = ()
) -> Verdict | None:
    """Return what a provider did to cause an exception; None if no provider did.

    None stands for bugs, for the caller's own mistakes and for cancellation: raise it.
    """
    errors = exceptions.chain(error)
    if not isinstance(error, Exception):
        return None
    verdict = _from_errors(errors, exceptions.wire_of(errors, wire), prompt_texts)
    if verdict is not None:
        return verdict
    if exceptions.is_bug(error):
        return None
    said = evidence(None, type(error).__name__, exceptions.text_of(error), prompt_texts)
    return Verdict(Fault.UNKNOWN, evidence=said)


def has_witness(tap: Tap, error: BaseException) -> bool:
    """Tell whether more than a library's own word speaks of a failure of the endpoint.

    The witnesses: a byte of the request that left, a clock or a gate of ours, trouble that is
    known to be the transport's, or a response that an exception still carries.  litellm's
    word is taken where its requests can't be seen, unless a bug led to it.  What is refused
    without a witness was refused before a byte was written: it is the caller's, or ours.
    """
    return bool(
        tap.written
        or tap.expired
        or tap.refused_host
        or tap.address_mismatch
        or is_witness(error, tap)
    )


def is_witness(error: BaseException, tap: Tap) -> bool:
    """Tell whether an exception speaks of an endpoint's failure, whatever the wire has seen."""
    errors = exceptions.chain(error)
    if exceptions.is_of_transport(errors) or any(map(exceptions.is_of_reading, errors)):
        return True
    reply, rank = _reply_of(errors, tap.wire)
    if reply is not None and rank < 2:
        return True
    if tap.watched:
        return False
    if exceptions.transport_fault(errors) is Fault.MALFORMED_RESPONSE:  # somebody read an answer
        return True
    told = reply is not None or any(map(exceptions.declared_fault, errors))
    return told and not any(map(exceptions.is_bug, errors))


def _said(tap: Tap, fault: Fault, what: str, prompt_texts: Sequence[str]) -> Verdict:
    return Verdict(fault, None, tap.status, None, evidence(tap.status, None, what, prompt_texts))


def _own_time(tap: Tap) -> str:
    """Say what became of the time."""
    what = "the answer was not looked for in time" if tap.written else "nothing was sent"
    spent = tap.clock() - tap.started
    return f"this process took {min(tap.ledger.own, spent):.1f} of {spent:.1f} s; {what}"


def _expired(tap: Tap) -> Fault:
    """Tell an answer that never began, or took too long, from one that fell silent."""
    if tap.expired == "between_tokens":
        return Fault.STREAM_STALLED
    if tap.expired == "total" and tap.contents and tap.last_content_at is not None:
        # A total limit may end a silence before the limit for silences does.
        now = tap.clock()
        if now - tap.last_content_at > (now - tap.started) / 2:
            return Fault.STREAM_STALLED
    return Fault.TIMEOUT


def _answered(tap: Tap, errors: list[BaseException], prompt_texts: Sequence[str]) -> Verdict | None:
    """Diagnose an attempt that failed although the status was a success."""
    if tap.unfit:
        return judge_wire(tap, prompt_texts)
    if blocked_answer(tap):
        return _said(tap, Fault.CONTENT_BLOCKED, "a filter ended the answer", ())
    below = exceptions.transport_fault(errors)
    if below is Fault.TIMEOUT and not tap.terminal and not tap.complete:
        stalled = tap.streaming and tap.contents > 0
        return _said(tap, Fault.STREAM_STALLED if stalled else Fault.TIMEOUT, "silence", ())
    if below is Fault.MALFORMED_RESPONSE and tap.streaming and tap.contents and not tap.terminal:
        return _said(tap, Fault.STREAM_INTERRUPTED, "an event of the stream was broken", ())
    return _without_content(tap, below) or judge_wire(tap, prompt_texts)


def _without_content(tap: Tap, below: Fault | None) -> Verdict | None:
    """Diagnose an answer in one piece whose body broke off, or was empty."""
    if below is Fault.CONNECTION_ERROR and tap.broken and not tap.streaming:
        return _said(tap, Fault.STREAM_TRUNCATED, "the body broke off", ())
    if tap.complete and not tap.received and not tap.streaming:
        return _said(tap, Fault.EMPTY_RESPONSE, "an empty body", ())
    return None


def _from_errors(
    errors: list[BaseException],
    wire: Wire,
    prompt_texts: Sequence[str],
    heard: Tap | None = None,
) -> Verdict | None:
    """Diagnose by the exceptions alone: a true response, else the socket, else litellm.

    Where the wire was `heard` to answer well, litellm makes up a refusal of its own failure;
    over a plain answer nobody's refusal is true.
    """
    reply, rank = _reply_of(errors, wire)
    if heard is not None and not heard.streaming:
        reply = None
    if reply is not None and rank < 2:
        return verdict_of(reply, prompt_texts, fault=_in_stream(errors, reply))
    below = exceptions.transport_fault(errors)
    own = heard is not None or reply is not None
    if own and below in (None, Fault.CONNECTION_ERROR) and _is_own_word(errors):
        below = None  # litellm calls anything it does not know a connection error
    if heard is not None:
        reply = None
    if below is not None:
        told = [error for error in errors if exceptions.transport_fault([error]) is below]
        error = told[-1] if told else errors[-1]  # what lies below it may be of the machinery
        what = f"{type(error).__name__} {exceptions.text_of(error)}"
        return Verdict(below, evidence=evidence(None, None, what, prompt_texts))
    if reply is not None:
        return verdict_of(reply, prompt_texts, fault=_in_stream(errors, reply))
    declared = next(filter(None, map(exceptions.declared_fault, errors)), None)
    if declared is None:
        return None
    what = f"{type(errors[0]).__name__} {exceptions.text_of(errors[0])}"
    return Verdict(declared, evidence=evidence(None, None, what, prompt_texts))


def _is_own_word(errors: Sequence[BaseException]) -> bool:
    """Tell whether nobody but litellm itself speaks of a connection."""
    return all(
        next(exceptions.roots(error)) in _REWRITERS or exceptions.transport_fault([error]) is None
        for error in errors
    )


def _in_stream(errors: Sequence[BaseException], reply: Reply) -> Fault | None:
    """Return the fault of an error from within a stream; None if it was not in one."""
    first = errors[0]
    if any(_ENDED_EARLY.search(exceptions.text_of(error)[:500]) for error in errors):
        return Fault.STREAM_TRUNCATED
    begun = exceptions.attribute(first, "is_pre_first_chunk") is False or any(
        exceptions.attribute(error, "status_code") == -1
        for error in errors  # ollama's client
    )
    if begun:
        return named if (named := fault_of(reply)) in NAMED_IN_STREAM else Fault.STREAM_INTERRUPTED
    if reply.status is None and fault_of(reply) is Fault.UNKNOWN:
        return Fault.MALFORMED_RESPONSE if reply.said.error else Fault.UNKNOWN
    return None


def _reply_of(errors: Sequence[BaseException], wire: Wire) -> tuple[Reply | None, int]:
    """Return the most trustworthy response in a chain, and how far to trust it."""
    best: tuple[int, int] | None = None
    for index, error in enumerate(errors):
        if exceptions.status_of(error) is None and not _in_band(error):
            continue
        package = next(exceptions.roots(error))
        rank = 2 if package in _NO_WITNESSES else 0 if package in _RAW else 1
        if best is None or rank < best[0]:
            best = (rank, index)
    if best is None:
        return None, 3
    chosen = errors[best[1]]
    body = _body_of([chosen, *errors])
    hints = (*_string_codes(chosen), type(chosen).__name__)
    reply = reply_of(
        wire, exceptions.status_of(chosen), body, _headers_of([chosen, *errors]), hints
    )
    return reply, best[0]


def _string_codes(error: BaseException) -> list[str]:
    """Return codes that stand on the exception itself; litellm puts them where statuses belong."""
    found = (exceptions.attribute(error, name) for name in ("code", "status_code", "status"))
    return [code for code in found if isinstance(code, str) and not code.isdigit()]


def _in_band(error: BaseException) -> bool:
    """Tell an API error without a status: an event inside a stream."""
    code = exceptions.attribute(error, "code") or exceptions.attribute(error, "status_code")
    told = any(exceptions.attribute(error, name) for name in ("body", "response", "headers"))
    if isinstance(code, str) and told:
        return True
    in_client = exceptions.from_client(error)
    return in_client and (
        exceptions.attribute(error, "status_code") == -1
        or isinstance(exceptions.attribute(error, "body"), dict | str)
    )


def _body_of(errors: Sequence[BaseException]) -> object:
    """Return the first body that an exception still has; its text at worst."""
    for error in errors:
        for value in _bodies(error):
            if isinstance(value, bytes | str | dict | list) and value:
                return value
    return exceptions.text_of(errors[0])[:8192] if errors else ""


def _bodies(error: BaseException) -> list[Any]:
    response = exceptions.attribute(error, "response")
    if isinstance(response, Mapping):  # botocore's response is a dict
        return [dict(response.get("Error") or {})]
    own = [exceptions.attribute(error, name) for name in _BODIES]
    if next(exceptions.roots(error)) in _REWRITERS:
        return own  # litellm makes up its responses; only what it says is real
    return own + [exceptions.attribute(response, name) for name in _TEXTS if response is not None]


def _headers_of(errors: Sequence[BaseException]) -> dict[str, str]:
    """Return the first headers that an exception still has, names in lower case."""
    for error in errors:
        response = exceptions.attribute(error, "response")
        for headers in (
            exceptions.attribute(response, "headers"),
            exceptions.attribute(error, "litellm_response_headers"),
            exceptions.attribute(error, "headers"),
        ):
            try:
                found = {str(name).lower(): str(value) for name, value in dict(headers).items()}
            except (TypeError, ValueError):
                continue
            if found:
                return found
    return {}
