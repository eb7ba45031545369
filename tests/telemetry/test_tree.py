"""The exact spans, events and measurements of every scenario, in every way to make a call.

What is expected is worked out from the receipt alone, once more and simply.
"""

from __future__ import annotations

from collections import Counter

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from scenarios import FAULTS, SPECIAL, Scenario
from ways import WAYS, run

from pilotlight import errors
from pilotlight.core.flow.recorder import receipts
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock
from tests.telemetry.spy import as_told, happened

TIMED_OUT = {"timeout", "stream_stalled"}
FIRST = [each for each in FAULTS if each.name.endswith("-first-strict")]
CASES = [(one, way) for one in SPECIAL for way in WAYS]
CASES += [(one, ("client", shape)) for one in FIRST for shape in ("complete", "astream")]


def make(scenario: Scenario, door: str, shape: str):
    """Make the scenario's call; return its targets and receipt."""
    clock = FakeClock()
    targets = scenario.build(clock)
    route = Route("chat", tuple(targets), scenario.policy, clock=clock)
    expected = scenario.expected("stream" in shape)
    how = {"private": scenario.private, "total_timeout": scenario.total_timeout}
    with receipts() as log:
        if expected.error is None:
            run(door, shape, route, **how)
        else:
            with pytest.raises(getattr(errors, expected.error)):
                run(door, shape, route, **how)
    (receipt,) = log
    return targets, receipt


def legs_of(receipt):
    """The attempts of each leg: a target and its retries."""
    legs = []
    for record in receipt.attempts:
        if record.number == 0:
            legs.append([])
        legs[-1].append(record)
    return legs


def error_of(record) -> str | None:
    if record.fault is None:
        return None
    return "timeout" if record.fault in TIMED_OUT else "pilotlight.errors.ProviderFault"


@pytest.mark.parametrize(("scenario", "way"), CASES, ids=lambda one: getattr(one, "name", one))
def test_the_tree_is_that_of_the_receipt(scenario: Scenario, way, spy):
    door, shape = way
    targets, receipt = make(scenario, door, shape)
    (call,) = spy.calls
    legs = legs_of(receipt)
    assert [span.name for span in spy.legs] == [f"chat {leg[0].target}" for leg in legs]
    assert {span.parent.span_id for span in spy.legs} <= {call.context.span_id}
    assert {span.context.trace_id for span in spy.spans} == {call.context.trace_id}
    assert len(spy.spans) == len(legs) + 1
    for index, (span, leg) in enumerate(zip(spy.legs, legs, strict=True)):
        shown = "stream" in shape and (
            leg[-1].fault is None or scenario.name.startswith("broken after text")
        )
        check_leg(span, leg, index, targets, "stream" in shape, shown)
    check_call(call, receipt, legs)
    check_metrics(spy.points(), receipt, legs)


def check_leg(span, leg, index, targets, streamed, opened) -> None:
    last = leg[-1]
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": last.target,
        "gen_ai.request.stream": True if streamed else None,
        "gen_ai.response.model": last.served_model,
        "gen_ai.response.time_to_first_chunk": 0.0 if opened else None,
        "pilotlight.route": "chat",
        "pilotlight.target": last.target,
        "pilotlight.target.role": "primary" if last.target == targets[0].name else "fallback",
        "pilotlight.attempt.index": index,
        "pilotlight.attempt.retry_count": len(leg) - 1 or None,
        "pilotlight.attempt.outcome": "interrupted" if opened and last.fault else None,
        "pilotlight.breaker.state": last.breaker.replace("-", "_"),
        "pilotlight.cost": last.cost,
        "pilotlight.failover.reason": last.fault and last.fault.value,
        "error.type": error_of(last),
    }
    assert as_told(span) == {k: value for k, value in expected.items() if value is not None}
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is (StatusCode.ERROR if last.fault else StatusCode.UNSET)
    assert span.end_time >= span.start_time
    names = [name for name, _ in happened(span) if name != "pilotlight.breaker.transition"]
    refused = ["pilotlight.residency.refused"] if last.fault == "privacy_boundary" else []
    failed = ["pilotlight.attempt.failed"] if last.fault else []
    assert names == ["pilotlight.retry"] * (len(leg) - 1) + refused + failed


def check_call(call, receipt, legs) -> None:
    outcome = {"raised": "other"}.get(receipt.outcome, receipt.outcome)
    well = receipt.outcome in ("primary", "failover")
    last = receipt.attempts[-1] if receipt.attempts else None
    error = None
    if not well:
        error = error_of(last) if last else "pilotlight.errors.AllTargetsFailed"
    moved = [each for name, each in happened(call) if name == "pilotlight.failover"]
    expected = {
        "pilotlight.route": "chat",
        "pilotlight.call.outcome": outcome,
        "pilotlight.attempt.count": len(legs),
        "pilotlight.failover.count": len(moved),
        "pilotlight.served.target": receipt.served_by if well else None,
        "pilotlight.served.provider": "scripted" if well else None,
        "pilotlight.served.model": (last.served_model or last.target) if well else None,
        "error.type": error,
    }
    assert as_told(call) == {name: value for name, value in expected.items() if value is not None}
    assert call.kind is SpanKind.INTERNAL
    assert call.status.status_code is (StatusCode.UNSET if well else StatusCode.ERROR)
    skipped = [
        (each["pilotlight.target"], each["pilotlight.skip.reason"])
        for name, each in happened(call)
        if name == "pilotlight.target.skipped"
    ]
    assert skipped == [(each.target, each.reason) for each in receipt.skipped]
    refused = [
        (each["pilotlight.target"], each["pilotlight.residency.rule"])
        for name, each in happened(call)
        if name == "pilotlight.residency.refused"
    ]
    home = [each for each in receipt.skipped if each.reason == "residency"]
    assert refused == [(each.target, each.detail) for each in home]


def check_metrics(points, receipt, legs) -> None:
    durations = points.get("gen_ai.client.operation.duration", [])
    told = Counter()
    for labels, count in durations:
        told[labels["gen_ai.request.model"], labels.get("error.type")] += count
    assert told == Counter((leg[-1].target, error_of(leg[-1])) for leg in legs)
    ((labels, count),) = points["pilotlight.call.duration"]
    assert count == 1
    assert labels["pilotlight.call.outcome"] == {"raised": "other"}.get(
        receipt.outcome, receipt.outcome
    )
    retried = sum(value for _, value in points.get("pilotlight.retries", []))
    assert retried == len(receipt.attempts) - len(legs)
    skips = Counter()
    for labels, count in points.get("pilotlight.target.skips", []):
        skips[labels["pilotlight.target"], labels["pilotlight.skip.reason"]] += count
    assert skips == Counter((each.target, each.reason) for each in receipt.skipped)
