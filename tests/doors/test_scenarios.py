"""Every scenario of the table, in all four shapes and by all three doors."""

from __future__ import annotations

import inspect

import pytest
from scenarios import FAULTS, POSITIONS, SPECIAL, Scenario
from ways import CALLERS, DOORS, HELLO, SHAPES, WAYS, decorated, run

from pilotlight import errors
from pilotlight.core.flow.recorder import receipts
from pilotlight.core.flow.steps import StreamRestarted
from pilotlight.core.provider import Provider
from pilotlight.doors import dropin
from pilotlight.routes.route import Route
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import RULES, Effect, Fault

EVERY_WAY = pytest.mark.parametrize(("door", "shape"), WAYS, ids=map("-".join, WAYS))


@EVERY_WAY
@pytest.mark.parametrize("scenario", [*FAULTS, *SPECIAL], ids=lambda one: one.name)
def test_a_call_comes_to_what_the_table_says(scenario: Scenario, door, shape):
    clock = FakeClock()
    targets = scenario.build(clock)
    route = Route("chat", tuple(targets), scenario.policy, clock=clock)
    expected = scenario.expected("stream" in shape)
    how = {"private": scenario.private, "total_timeout": scenario.total_timeout}
    with receipts() as log:
        if expected.error is None:
            assert run(door, shape, route, **how) == expected.text
        else:
            with pytest.raises(getattr(errors, expected.error)) as caught:
                run(door, shape, route, **how)
            if expected.error == "ProviderFault":  # unchanged: the very error of the last attempt
                assert caught.value.fault == expected.tries[-1][1]
    (receipt,) = log
    assert [(a.target, a.fault and a.fault.value) for a in receipt.attempts] == expected.tries
    assert receipt.outcome == expected.outcome
    assert [(s.target, s.reason) for s in receipt.skipped] == expected.skipped
    assert len(targets[0].calls) == sum(name == "a" for name, _ in expected.tries)
    if expected.slept is not None:
        waited = [s for s in clock.slept if s]
        assert sum(waited) == pytest.approx(expected.slept)
    check_breakers(targets, receipt, scenario.name)


def check_breakers(targets, receipt, name: str) -> None:
    """Each breaker has heard exactly what the table lets it hear."""
    if name in {"breaker open", "all down"}:
        return
    for one in targets:
        faults = [a.fault for a in receipt.attempts if a.target == one.name]
        breaker = one.health.breaker
        opening = [f for f in faults if f and RULES[f].breaker is Effect.OPENS]
        if opening and faults[-1] is not None:
            assert (breaker.current_state, breaker.reason) == ("open", opening[-1])
        elif not opening:
            counted = [f for f in faults if f and RULES[f].breaker is Effect.COUNTS]
            window = breaker.state.window
            assert (window.failures, window.calls) == (
                len(counted),
                len(counted) + faults.count(None),
            )
        if one.health.bulkhead is not None:
            assert one.health.bulkhead.waiting == 0


# A shape, a door or a fault that is missing above is missing here.


def test_every_fault_stands_in_the_table_in_every_position():
    names = {one.name for one in FAULTS}
    assert {f"{fault}-{position}-strict" for fault in Fault for position in POSITIONS} <= names


def test_every_shape_of_every_door_stands_in_the_table():
    assert set(WAYS) == {(door, shape) for door in DOORS for shape in SHAPES}
    assert set(CALLERS) == set(DOORS)
    public = {
        name for name, thing in vars(Route).items() if inspect.isfunction(thing) and name[0] != "_"
    }
    assert public - {"trip", "journey", "accepting"} == set(SHAPES)
    asks = {
        name
        for name, thing in vars(Provider).items()
        if inspect.isfunction(thing) and name[0] != "_"
    }
    assert asks - {"handle", "prepare", "verify_local", "averify_local"} == set(SHAPES)
    calls = {
        name for name, thing in vars(dropin).items()
        if inspect.isfunction(thing) and thing.__module__ == dropin.__name__ and name[0] != "_"
    }  # fmt: skip
    others = {"embedding", "aembedding", "image_generation", "aimage_generation"}
    assert calls == {"completion", "acompletion"} | others  # the others: test_modalities.py


@pytest.mark.parametrize("shape", SHAPES)
def test_the_table_runs_the_decorator_in_that_shape(shape, clock):
    function = decorated(shape, Route("chat", (ScriptedTarget("a", clock=clock),)))
    kinds = {
        "complete": inspect.isfunction(function)
        and not inspect.iscoroutinefunction(function)
        and not inspect.isgeneratorfunction(function)
        and not inspect.isasyncgenfunction(function),
        "acomplete": inspect.iscoroutinefunction(function),
        "stream": inspect.isgeneratorfunction(function),
        "astream": inspect.isasyncgenfunction(function),
    }
    assert [name for name, is_it in kinds.items() if is_it] == [shape]


# What only some of the ways can show.


def broken(clock: FakeClock, on_interrupt: str) -> Route:
    from pilotlight.core.flow.failover import Policy

    a = ScriptedTarget("a", Fails(Fault.STREAM_TRUNCATED, after="once upon "), clock=clock)
    return Route(
        "chat",
        (a, ScriptedTarget("b", "b says so", clock=clock)),
        Policy(on_interrupt),
        clock=clock,
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("shape", ["stream", "astream"])
def test_an_interruption_carries_the_text_so_far(door, shape, clock):
    with pytest.raises(errors.StreamInterrupted) as caught:
        run(door, shape, broken(clock, "raise"))
    error = caught.value
    assert (error.target, error.fault, error.partial_text) == (
        "a",
        "stream_truncated",
        "once upon ",
    )
    assert error.__cause__.fault == "stream_truncated"


def test_a_restart_stands_between_the_two_texts(clock):
    stream = broken(clock, "restart").stream(HELLO)
    texts = []
    for chunk in stream:
        texts.append(
            chunk if isinstance(chunk, StreamRestarted) else chunk.choices[0].delta.content
        )
    assert texts == [
        "", "once ", "upon ", StreamRestarted("a", "b", "stream_truncated"),
        "", "b ", "says ", "so",
    ]  # fmt: skip
    assert (stream.text, stream.served_by, stream.failed_over) == ("b says so", "b", True)


def test_nothing_is_asked_before_the_first_next(clock):
    a = ScriptedTarget("a", clock=clock)
    stream = Route("chat", (a,), clock=clock).stream(HELLO)
    assert not a.calls
    stream.close()
    assert not a.calls


def test_an_answer_says_where_it_came_from(clock):
    a, b = ScriptedTarget("a", Fault.TIMEOUT, clock=clock), ScriptedTarget("b", "hi", clock=clock)
    answer = Route("chat", (a, b), clock=clock).complete(HELLO, temperature=0)
    assert (answer.text, answer.served_by, answer.failed_over) == ("hi", "b", True)
    assert answer.receipt.outcome == "failover"
    assert "hi" not in repr(answer)
    assert b.calls[0].options == {"temperature": 0}
    assert b.calls[0].messages is HELLO
