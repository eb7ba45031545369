"""Probes for chaostoolkit: figures of the background traffic, each an invariant.

A probe counts from the first fault on; before it, over the healthy baseline.  `since` names
another mark (`heal`, or one set by `actions.mark`): until it is set there is nothing to count, and
the figure is that of a healthy system.  So the same hypothesis holds before, *during* and after.
Calls under way count with the time they have taken so far.  Times are in milliseconds where the
name says so, else in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from .lab.counting import baseline, calls_since, is_refused, percentile, start_of, tries_at
from .lab.current import current
from .lab.traffic import CANARY
from .lab.world import FAULT

QUIET = 0.3  # seconds for requests that were on their way when the target was found out
ENOUGH = 20  # calls to speak of a percentile or a ratio
FOUND_OUT = 1.5  # seconds after the fault, at the latest
TOLD = 10  # calls that have ended since


def answered(since: str = FAULT) -> float:
    """Return the share of ended calls that got an answer; 1 when none has ended."""
    ended = [call for call in calls_since(since) if call.ended is not None]
    return round(sum(call.answered for call in ended) / len(ended), 4) if ended else 1.0


def wrong_answers(since: str = FAULT) -> int:
    """Count the calls that ended well with anything but the right answer."""
    return sum(call.answered and call.verdict != "whole" for call in calls_since(since))


def spliced_streams(since: str = FAULT) -> int:
    """Count the calls whose caller was shown text that is no beginning of the right answer."""
    return sum(call.verdict == "wrong" for call in calls_since(since))


def errors(kinds: Sequence[str], since: str = FAULT) -> int:
    """Count the errors of other classes than the named ones."""
    return sum(bool(call.error) and call.error not in kinds for call in calls_since(since))


def longest_ms(since: str = FAULT) -> int:
    """Return how long the longest call took, or has taken so far."""
    now = current().now()
    return round(1000 * max((call.took(now) for call in calls_since(since)), default=0.0))


def slow_calls(limit_ms: float, since: str = FAULT) -> int:
    """Count the calls that took longer than a limit."""
    now = current().now()
    return sum(call.took(now) * 1000 > limit_ms for call in calls_since(since))


def added_ms(percent: int = 90, since: str = FAULT, most_tries: int = 100) -> float:
    """Return a percentile of what calls of so many tries at most took beyond the answering attempt,
    less that of the healthy baseline; 0 of fewer than twenty calls.
    """
    counted = [c for c in calls_since(since) if c.answered and len(c.tries) <= most_tries]
    if len(counted) < ENOUGH:
        return 0.0
    healthy = percentile((c.added() for c in baseline(current()) if c.answered), percent)
    return max(0.0, round(1000 * (percentile((c.added() for c in counted), percent) - healthy), 1))


def refusal_ms(percent: int = 90, since: str = FAULT) -> int:
    """Return a percentile of how long the calls took that ended without an answer.

    0 of fewer than ten.  One that waits in a queue may be answered yet: `longest_ms` sees it.
    """
    now = current().now()
    took = [call.took(now) for call in calls_since(since) if call.error]
    return round(1000 * percentile(took, percent)) if len(took) >= ENOUGH / 2 else 0


def requests(target: str, since: str = FAULT) -> int:
    """Count the model requests that reached a target."""
    world = current()
    began = start_of(world, since)
    return 0 if began is None or not world.marks else len(world.requests(target, began))


def failed_requests(target: str, since: str = FAULT) -> int:
    """Count the model requests that reached a target and met a fault there."""
    world = current()
    began = world.marks.get(since)
    return 0 if began is None else sum(bool(r.fault) for r in world.requests(target, began))


def refused_requests(target: str, since: str = FAULT) -> int:
    """Count the model requests that a target has answered with an error's status."""
    world = current()
    began = world.marks.get(since)
    return 0 if began is None else sum(map(is_refused, world.requests(target, began)))


def repeats(target: str, since: str = FAULT) -> int:
    """Count the calls that have asked a target more than once."""
    calls = calls_since(since)
    return sum(sum(each.target == target for each in call.tries) > 1 for call in calls)


def requests_once_open(target: str) -> int:
    """Count the requests to a target since its breaker opened first.

    One that has not opened 1.5 s after the fault is held to have, if ten calls have ended since:
    on a machine that stalls none do.
    """
    world = current()
    fault = world.marks.get(FAULT)
    if fault is None:
        return 0
    ends = sorted(call.ended for call in calls_since(FAULT) if call.ended is not None)
    due = max(fault + FOUND_OUT, ends[TOLD - 1]) if len(ends) >= TOLD else world.now()
    opened = (c.at for c in world.notes.changes if c.target == target and c.new == "open")
    return len(
        world.requests(target, min((at for at in opened if fault <= at < due), default=due) + QUIET)
    )


def requests_per_call(target: str, since: str = FAULT) -> float:
    """Return the requests that reached a target for each call that was begun; 0 of too few."""
    calls = calls_since(since)
    return round(requests(target, since) / len(calls), 2) if len(calls) >= ENOUGH else 0.0


def early_requests(target: str, seconds: float) -> int:
    """Count the requests to a target between its first refusal and the time it named.

    Those that were on their way when it was said, for 300 ms, are not held against it.
    """
    world = current()
    records = world.server(target).requests(target)
    first = next((record.time for record in records if is_refused(record)), None)
    if first is None:
        return 0
    return sum(first + QUIET < record.time < first + seconds for record in records)


def most_at_once(target: str) -> int:
    """Return how many requests a target has had to carry at once."""
    return current().server(target).counters(target).max_in_flight


def served_by_others(since: str = FAULT) -> int:
    """Count the calls that another than the first target answered."""
    world = current()
    first = world.app.route(world.setting.traffic.route).targets[0].name
    return sum(call.served_by not in ("", first) for call in calls_since(since))


def served(target: str, since: str = FAULT) -> int:
    """Count the calls that a target answered."""
    return sum(call.served_by == target for call in calls_since(since))


def share_served(target: str, since: str = FAULT) -> float:
    """Return the share of ended calls that a target answered; 1 of fewer than twenty."""
    ended = [call.served_by for call in calls_since(since) if call.ended is not None]
    return round(ended.count(target) / len(ended), 2) if len(ended) >= ENOUGH else 1.0


def taken_elsewhere(fault: str, since: str = FAULT) -> int:
    """Count the calls that met a fault at one target and were answered by another."""
    return sum(
        call.answered and any(each.fault == fault for each in call.tries)
        for call in calls_since(since)
    )


def openings(target: str, reasons: Sequence[str] = (), since: str = FAULT) -> int:
    """Count how often a breaker opened from closed, for certain reasons or for any."""
    began = start_of(current(), since)
    return sum(
        change.new == "open"
        and change.old == "closed"
        and began is not None
        and change.at >= began
        and (not reasons or change.reason in reasons)
        for change in current().notes.changes
        if change.target == target
    )


def state_changes(target: str, since: str = FAULT) -> int:
    """Count how often a breaker changed its state."""
    began = start_of(current(), since)
    return sum(
        change.target == target and began is not None and change.at >= began
        for change in current().notes.changes
    )


def longest_break(target: str) -> int:
    """Return the longest time, in seconds, for which a breaker said that it opens."""
    waits = (c.retry_after or 0.0 for c in current().notes.changes if c.target == target)
    return round(max(waits, default=0.0))


def trials_at_once(target: str) -> int:
    """Return how many trials or last resorts a breaker had under way at the same time."""
    trials = [trial for trial in current().notes.trials if trial.target == target]
    return max(
        (sum(other.began <= trial.began < other.ended for other in trials) for trial in trials),
        default=0,
    )


def misfiled(target: str, faults: Sequence[str], since: str = FAULT) -> int:
    """Count a target's failures that were told as anything but the named faults."""
    return sum(
        bool(each.fault) and each.fault not in faults for each in tries_at(target, since)
    ) + sum(bool(call.error) and not call.tries and not call.skipped for call in calls_since(since))


def unflagged_substitutions(target: str, since: str = FAULT) -> int:
    """Count a target's answers that another model gave and that no flag tells of."""
    world = current()
    if FAULT not in world.marks:
        return 0
    # Not only since the fault: a call may have begun before it and been struck by it.
    notes = [each for call in tuple(world.notes.calls) for each in call.tries]
    flagged = sum(each.target == target and "model_substituted" in each.flags for each in notes)
    began = start_of(world, since) or 0.0
    given = sum(
        record.fault == "substituted" and record.outcome == "completed"
        for record in world.requests(target, began)
    )
    # An answer is counted by the server before its caller can have written it down.
    return max(0, given - flagged - world.traffic.under_way)


def alerts(target: str, reason: str) -> int:
    """Count the alerts that were raised of a target for a reason."""
    return sum(a.target == target and a.reason == reason for a in current().notes.alerts)


def unalerted_calls(target: str, reason: str, since: str = FAULT) -> int:
    """Count the calls that ended before anybody was alerted, once the matter was there."""
    world = current()
    if since not in world.marks:
        return 0
    first = min(
        (a.at for a in world.notes.alerts if a.target == target and a.reason == reason),
        default=float("inf"),
    )
    return sum(call.ended is not None and call.ended < first for call in calls_since(since))


def back_after(target: str, since: str = "heal") -> float:
    """Return how many seconds after the mark a target answered again; so far, if it has not."""
    world = current()
    healed = world.marks.get(since)
    if healed is None:
        return 0.0
    back = min(
        (c.ended for c in calls_since(since) if c.ended is not None and c.served_by == target),
        default=world.now(),
    )
    return round(back - healed, 2)


def leaks() -> int:
    """Count where private text was seen away from home: closed providers' sockets, log lines.

    Targets at home whose name begins with `cloud` are away, too.
    """
    world = current()
    if FAULT not in world.marks:
        return 0
    began = world.epoch + world.marks[FAULT]
    seen = world.hosted.requests(probes=True)
    away = {name for name in world.setting.pilotlight["targets"] if name.startswith("cloud")}
    seen += [record for record in world.home.requests() if record.name in away]
    late = [record for record in seen if record.time >= began]
    return sum(CANARY in str(record.body) for record in late) + len(world.spilt)


def learning_calls(target: str) -> int:
    """Return the most requests that any one restarted process sent to a target."""
    return max((worker["requests"].get(target, 0) for worker in current().workers), default=0)


def lost_in_workers() -> int:
    """Count the calls of restarted processes that got no answer."""
    return sum(worker["lost"] for worker in current().workers)
