"""How a failed attempt is told: the diagnosis, as the core takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pilotlight.catalog import retired
from pilotlight.core.provider import Failed, Report
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.errors import InvalidCall, PilotlightError, ProviderFault, as_refusal
from pilotlight.vocabulary.faults import RULES, Effect, Fault
from pilotlight.vocabulary.residency_rules import ResidencyRule
from pilotlight.wire.tap import Tap

if TYPE_CHECKING:
    from pilotlight.diagnosis.classify import Verdict


class Named(Protocol):
    """What a diagnosis needs to know of a target."""

    @property
    def name(self) -> str:
        """The target's name."""

    @property
    def model(self) -> str:
        """The model asked for."""


def failure(
    target: Named,
    tap: Tap,
    error: Exception,
    messages: Sequence[Mapping[str, Any]] = (),
    partial: str = "",
    tool_begun: bool = False,
    *,
    own: bool = False,
) -> Failed:
    """Diagnose what an attempt raised; raises the error itself where it is a bug.

    The wire is the first witness.  Where nothing reached it, the exception is the
    only one, and one that is no provider's is the caller's or ours: nothing that counts
    against an endpoint is believed without a witness.  `own`: the call was put together
    by a provider of ours, so an InvalidCall says that it could not be sent.
    """
    from pilotlight.diagnosis.classify import classify, classify_exception, has_witness

    texts = Texts((*messages, partial))  # what was answered is no more to be quoted
    verdict: Verdict | None
    if tap.requests or tap.refused_host or tap.starved:
        verdict = classify(tap, error, prompt_texts=texts)
    else:
        verdict = classify_exception(error, wire=tap.wire, prompt_texts=texts)
    if verdict is None:
        if not own or tap.written or isinstance(error, PilotlightError):
            raise error
        return _unsendable(target, error)
    if RULES[verdict.fault].breaker is not Effect.IGNORES and not has_witness(tap, error):
        if not own:
            raise error
        return _unsendable(target, error)
    report = _report(target, verdict, error, tap)
    if own and report.error is error and (status := tap.status or verdict.status or 0) >= 400:
        as_refusal(error, status, tap.headers, tap.head)
    return Failed(report, partial, tool_begun)


def _unsendable(target: Named, error: Exception) -> Failed:
    """The failure of a call that a library refused before a byte was written.

    The library's words may quote the call, so they stay with the cause.
    """
    from pilotlight.diagnosis.exceptions import chain

    kinds = dict.fromkeys(type(each).__name__ for each in (error, chain(error)[-1]))
    said = f"refused before anything was sent: {' from '.join(kinds)}"
    told = InvalidCall(f"{target.name}: the call was {said}")
    told.__cause__ = error
    return Failed(Report(Fault.INVALID_REQUEST, told, evidence=said))


def verdict_failure(
    target: Named, verdict: Verdict, partial: str = "", tool_begun: bool = False
) -> Failed:
    """Turn a verdict on an answer that raised nothing into a failure."""
    error = ProviderFault(verdict.fault, target.name, verdict.evidence)
    return Failed(_report(target, verdict, error), partial, tool_begun)


def diagnosed(
    target: Named, tap: Tap, verdict: Verdict, error: Exception, partial: str = ""
) -> Failed:
    """The failure of an attempt whose verdict is known already."""
    return Failed(_report(target, verdict, error, tap), partial)


def keyless_failure(name: str, mend: str) -> Failed:
    """The failure of a target that has no key: nothing was sent."""
    error = ProviderFault(Fault.AUTH_FAILED, name, mend)
    return Failed(Report(Fault.AUTH_FAILED, error, evidence=mend))


def _report(target: Named, verdict: Verdict, error: Exception, tap: Tap | None = None) -> Report:
    """Return the diagnosis; for a retired model with what its provider offers instead."""
    evidence = verdict.evidence
    if verdict.fault is Fault.MODEL_RETIRED:
        known = retired.lookup(target.model)
        if known is not None and known.replacement:
            evidence = f"{evidence}; use {known.replacement}"
    return Report(
        verdict.fault,
        _told(target, verdict, error, tap, evidence),
        verdict.retry_after,
        verdict.status,
        evidence,
        verdict.code,
        rule=_rule(verdict, tap),
        window=verdict.window,
        own=0.0 if tap is None else tap.ledger.own,
    )


def _told(
    target: Named, verdict: Verdict, error: Exception, tap: Tap | None, evidence: str
) -> Exception:
    """Return what a caller may be shown: the refusal, where only the rest of it went amiss."""
    from pilotlight.diagnosis.exceptions import chain, status_of, transport_fault

    if tap is None or (tap.status or 0) < 300 or status_of(error) == tap.status:
        return error
    half = not tap.complete and transport_fault(chain(error)) is not None
    if not (half or isinstance(error, TimeoutError)):
        return error
    refusal = ProviderFault(verdict.fault, target.name, evidence, verdict.retry_after)
    refusal.__cause__ = error
    return refusal


def _rule(verdict: Verdict, tap: Tap | None) -> ResidencyRule | None:
    """Return the rule where residency refused: the socket's word comes before the reply's."""
    if tap is not None and tap.address_mismatch:
        return ResidencyRule.ADDRESS_MISMATCH
    if tap is not None and tap.refused_host:
        return ResidencyRule.FOREIGN_HOST
    return ResidencyRule.CLOUD_REPLY if verdict.fault is Fault.PRIVACY_BOUNDARY else None
