"""Writes a call's receipt as its flow goes, and tells those who listen."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilotlight import events, notices
from pilotlight.core.provider import NULL_INTERCEPTOR, AttemptInterceptor
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation
from pilotlight.vocabulary.receipt import AttemptRecord, Outcome, Receipt, SkipRecord
from pilotlight.vocabulary.residency_rules import ResidencyRule

if TYPE_CHECKING:
    from pilotlight.core.clock import Clock
    from pilotlight.core.provider import Facts, Report
    from pilotlight.core.target import Target

_CODE = re.compile(r"[\w.\-:/]{1,60}", re.ASCII)  # what is none may be anything, a prompt as well

_TOLD = ("unsupported", "saturated", "budget", "price")  # the reasons of which the detail says more

_collectors: ContextVar[tuple[list[Receipt], ...]] = ContextVar("pilotlight_receipts", default=())


@contextmanager
def receipts() -> Iterator[list[Receipt]]:
    """Collect the receipt of every call that starts inside the block, by whichever door.

    The list fills as calls end; a stream that is read later still lands in it.
    """
    log: list[Receipt] = []
    token = _collectors.set((*_collectors.get(), log))
    try:
        yield log
    finally:
        _collectors.reset(token)


def _new_id() -> str:
    """Return 32 hex digits; as good as a UUID, at a third of its price."""
    return os.urandom(16).hex()


@dataclass(slots=True)
class CallRecorder:
    """Writes a call's receipt as the flow goes, and tells the interceptor and the listeners.

    Collectors are noted when the call starts, so that one that goes on in another
    thread or task still reports to the block it began in.
    """

    route: str
    first_target: str
    private: bool
    clock: Clock
    call_id: str = field(default_factory=_new_id)
    started_at: float = field(default_factory=time.time)
    attempts: list[AttemptRecord] = field(default_factory=list)
    skipped: list[SkipRecord] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    outcome: Outcome = "open"
    served_by: str | None = None
    served_model: str | None = None
    asked: str | None = None  # the target being asked just now
    relaying: bool = False  # the caller has been shown some of a stream
    trail: list[tuple[str, str]] = field(default_factory=list)  # target, and why it did not answer
    interceptor: AttemptInterceptor = NULL_INTERCEPTOR  # what stands around the providers' code
    _began: float = field(init=False)
    _ended: float | None = None
    _whole: Receipt | None = None  # once it has ended
    operation: Operation = "chat"
    tags: Mapping[str, str] = field(default_factory=dict)
    played: bool = False  # a call of a replay: nobody is told
    _collectors: tuple[list[Receipt], ...] = field(default_factory=_collectors.get)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def starting(self, target: Target, number: int, breaker: str = "closed") -> None:
        """Note that a target is about to be asked."""
        self.asked = target.name
        if self._heard:
            self._tell(
                events.AttemptStarted(self.call_id, self.route, target.name, number, breaker)
            )

    def opened(self, target: Target, began: float) -> None:
        """Note that a stream is handed to the caller from here on."""
        self.relaying = True
        if self._heard:
            after = self.clock() - began
            self._tell(events.StreamOpened(self.call_id, self.route, target.name, after))

    def answered(
        self,
        target: Target,
        number: int,
        began: float,
        breaker: str,
        f: Facts,
        moved: bool = False,
        cost: float | None = None,
    ) -> None:
        """Note the try that answered; `moved`: the breaker moved by it; `cost` in US dollars."""
        self.served_by, self.served_model = target.name, f.model or target.model
        record = AttemptRecord(
            target=target.name,
            model=target.model,
            number=number,
            fault=None,
            status=f.status,
            duration=self.clock() - began,
            breaker=breaker,
            served_model=f.model,
            prompt_tokens=f.prompt_tokens,
            completion_tokens=f.completion_tokens,
            finish_reason=f.finish_reason,
            flags=f.flags,
            began=began - self._began,
            response_id=f.response_id,
            cached_tokens=f.cached_tokens,
            reasoning_tokens=f.reasoning_tokens,
            lost=f.lost,
            cost=cost,
            written_tokens=f.written_tokens,
        )
        self._add(record, moved)

    def failed(
        self,
        target: Target,
        number: int,
        began: float,
        breaker: str,
        r: Report,
        moved: bool = False,
        cost: float | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """Note a try that failed; `moved`: the breaker moved by it; `cost` in US dollars."""
        self.errors.append(r.error)
        self.trail.append((target.name, f"{r.fault}{f' ({r.status})' if r.status else ''}"))
        record = AttemptRecord(
            target=target.name,
            model=target.model,
            number=number,
            fault=r.fault,
            status=r.status,
            duration=self.clock() - began,
            breaker=breaker,
            retry_after=r.retry_after,
            code=r.code if r.code and _CODE.fullmatch(r.code) else None,
            error_type=r.error_type or f"{type(r.error).__module__}.{type(r.error).__qualname__}",
            evidence=r.evidence,
            flags=flags,
            began=began - self._began,
            cost=cost,
        )
        self._add(record, moved)
        if r.rule is not None or r.fault is Fault.PRIVACY_BOUNDARY:
            self.residency_refused(target.name, r.rule or ResidencyRule.DECLARED)

    def passed_over(self, error: Exception, record: SkipRecord) -> None:
        """Note a target that was not asked."""
        self.errors.append(error)
        self.skipped.append(record)
        told = f" ({record.detail})" if record.reason in _TOLD else ""
        self.trail.append((record.target, f"{record.reason}{told}"))
        if self._heard:
            self._tell(
                events.TargetSkipped(
                    self.call_id, self.route, record.target, record.reason, record.retry_after
                )
            )
        if record.reason == "residency":
            self.residency_refused(record.target, ResidencyRule(record.detail))

    def residency_refused(self, target: str, rule: ResidencyRule) -> None:
        """Tell that residency refused a target."""
        if self._heard:
            self._tell(events.ResidencyRefused(self.call_id, self.route, target, rule))

    def retrying(self, target: str, fault: str, delay: float) -> None:
        """Tell that the same target is asked again in `delay` seconds."""
        if self._heard:
            self._tell(events.RetryScheduled(self.call_id, self.route, target, fault, delay))

    def moving_on(self, previous: str, target: str, reason: str) -> None:
        """Tell that the call goes from one target to the next."""
        if self._heard:
            self._tell(events.FailedOver(self.call_id, self.route, previous, target, reason))

    @property
    def told(self) -> str:
        """What has happened so far, in a few words without content."""
        return ", then ".join(map(" ".join, self.trail)) or "nothing was tried"

    def finish(self, outcome: Outcome) -> None:
        """Close the receipt and hand it to whoever collects; only the first time counts."""
        if self._ended is not None:
            return
        self._ended = self.clock()
        self.outcome = outcome
        if (outcome != "primary" or self.route in notices.away) and not self.played:
            notices.call_ended(self.receipt(), self.first_target, self._ended)
        if self._collectors or self._heard:
            receipt = self._whole = self.receipt()
            for log in self._collectors:
                log.append(receipt)
            self._tell(events.CallEnded(receipt))
            self.interceptor = (
                NULL_INTERCEPTOR  # which knows the call, and that its journal: let them go at once
            )

    def receipt(self) -> Receipt:
        """Return the receipt as it stands."""
        if self._whole is not None:
            return self._whole
        ended = self.clock() if self._ended is None else self._ended
        return Receipt(
            call_id=self.call_id,
            route=self.route,
            private=self.private,
            outcome=self.outcome,
            started_at=self.started_at,
            duration=ended - self._began,
            served_by=self.served_by,
            served_model=self.served_model,
            attempts=tuple(self.attempts),
            skipped=tuple(self.skipped),
            operation=self.operation,
            tags=self.tags,
        )

    def _add(self, record: AttemptRecord, moved: bool) -> None:
        self.attempts.append(record)
        if self._heard:
            self._tell(events.AttemptEnded(self.call_id, self.route, record, moved))

    @property
    def _heard(self) -> bool:
        return self.interceptor is not NULL_INTERCEPTOR or bool(events.listeners)

    def _tell(self, event: events.CallEvent) -> None:
        events.emit(event, self.interceptor.hear)
