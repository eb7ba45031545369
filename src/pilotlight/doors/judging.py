"""What came of one run of the user's function: by the wire where it was used, else by the error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotlight.core.provider import Answered, Facts, Failed, Report
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import diagnosed, failure, verdict_failure
from pilotlight.errors import ProviderFault
from pilotlight.vocabulary.faults import RULES, Fault

if TYPE_CHECKING:
    from pilotlight.wire.alarm import Alarm
    from pilotlight.wire.tap import Tap


def judged(handle: Any, value: Any) -> Answered | Failed:
    """Hold what the function returned against the wire: half an answer is no answer."""
    found = seen(handle)
    return found if isinstance(found, Failed) else Answered(value, found)


def seen(handle: Any, partial: str = "") -> Facts | Failed:
    """Return what the wire has shown of the answer."""
    from pilotlight.providers.wire_only import judge_seen
    from pilotlight.wire.tap import skips_of

    if handle.tap.told is not None:
        return _at_its_word(handle.tap.told, partial=partial)
    verdict = judge_seen(handle.tap)
    if verdict is not None:
        return verdict_failure(handle, verdict, partial)
    return Facts(status=handle.tap.status, flags=skips_of(handle.tap))


def failed(handle: Any, error: Exception, prompts: Sequence[Any], partial: str = "") -> Failed:
    """Diagnose what the function raised; a bug of its own is raised.

    A `ProviderFault` is a diagnosis already.
    """
    from pilotlight.diagnosis.classify import classify_exception, is_witness
    from pilotlight.providers.wire_only import answered, judge_seen, sound

    tap = handle.tap
    if tap.spoilt:
        return failure(handle, tap, error, prompts, partial)
    told = tap.told or error
    if isinstance(told, ProviderFault) and told.fault in RULES:
        return _at_its_word(told, prompts, partial)
    if tap.complete and not tap.expired and (verdict := judge_seen(tap)) is not None:
        return diagnosed(handle, tap, verdict, error, partial)  # it fell over what it was given
    if tap.requests and sound(tap) and classify_exception(error) is None:
        raise error  # the provider had answered well
    if answered(tap) and not is_witness(error, tap):
        raise error  # or it was not asked again
    return failure(handle, handle.tap, error, prompts, partial)


def _at_its_word(told: ProviderFault, prompts: Sequence[Any] = (), partial: str = "") -> Failed:
    """Return the failure of which somebody has told what it is."""
    from pilotlight.diagnosis.evidence import scrub

    said = scrub(told.evidence, Texts((*prompts, partial)))
    return Failed(Report(Fault(told.fault), told, told.retry_after, evidence=said), partial)


def alarm_for(tap: Tap) -> Alarm:
    """Return what ends the attempt that is heard by this tap when its time is over."""
    from pilotlight.wire.alarm import Alarm  # brings asyncio

    total = tap.timeouts.total
    return Alarm(None if total is None else max(0.0, tap.started + total - tap.clock()))


def note_whose_time(tap: Tap, alarm: Alarm) -> None:
    """Note where an alarm says nothing of the provider, which had little of the time."""
    if alarm.starved:
        tap.starved = True
    elif alarm.rang and tap.requests and not tap.expired and (total := tap.timeouts.total):
        tap.ledger.begin()
        tap.starved = not tap.ledger.fair("total", total, silent=False)
