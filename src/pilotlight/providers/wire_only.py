"""Judging an answer that only the wire has shown: somebody else's code has read it."""

from __future__ import annotations

from pilotlight.diagnosis.answer_view import view_of
from pilotlight.diagnosis.judge import AnswerView, judge, judge_wire
from pilotlight.diagnosis.verdict import Verdict
from pilotlight.errors import ProviderFault
from pilotlight.providers.reread import as_openai
from pilotlight.wire.http import parsed
from pilotlight.wire.tap import Tap


def judge_seen(tap: Tap) -> Verdict | None:
    """Return what is wrong with what was seen; None if nothing is, or nothing was seen.

    A stream that its reader left half-way is the reader's business.
    """
    if not tap.requests:
        return None
    ended = tap.complete or tap.broken or tap.expired
    if tap.streaming and not (ended or tap.in_band_error or tap.garbled):
        return None
    verdict = judge_wire(tap)
    if verdict is not None:
        return verdict
    view = _view(tap)
    return None if view is None else judge(tap, view)


def sound(tap: Tap) -> bool:
    """Tell whether the wire shows no trouble at all: what was raised is then not its doing."""
    if tap.expired or tap.refused_host or tap.status is None or tap.status >= 300:
        return False
    return (
        not (tap.broken or tap.in_band_error or tap.garbled or tap.late) and judge_seen(tap) is None
    )


def answered(tap: Tap) -> bool:
    """Tell whether the wire shows an answer that is known for a good and whole one."""
    if not sound(tap):
        return False
    return tap.terminal and tap.contents > 0 if tap.streaming else _view(tap) is not None


def _view(tap: Tap) -> AnswerView | None:
    """Read a chat answer out of the bytes; None where they are none, or too many to keep.

    What is of other kinds than promised has been read by somebody all the same: no verdict.
    """
    if tap.streaming:
        return AnswerView(choices=1) if tap.terminal and not tap.contents else None
    if not tap.complete or tap.received > len(tap.head):
        return None
    try:
        said = as_openai(parsed(tap.head))
        return None if said is None else view_of(said, None, tap)
    except ProviderFault:
        return None
