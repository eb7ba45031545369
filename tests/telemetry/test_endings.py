"""Calls that nobody waits for, streams read and closed elsewhere: spans end once, silently."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from ways import HELLO, decorated

from pilotlight.routes.route import Route
from pilotlight.telemetry import signals
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from tests.telemetry.spy import as_told

pytestmark = pytest.mark.usefixtures("settled_heap")
PATIENCE = 30.0


@pytest.fixture
def gpt(clock):
    return ScriptedTarget("gpt", "one two three", clock=clock, concurrency=1)


@pytest.fixture
def route(gpt, clock):
    return Route("chat", (gpt, ScriptedTarget("local", clock=clock)), clock=clock)


@pytest.fixture(autouse=True)
def _silent(gpt, spy, capfd, caplog):
    """Whatever a test does: nothing on stderr, no context error, every permit back."""
    before = otel.get_current()
    yield
    gc.collect()
    assert otel.get_current() == before
    assert capfd.readouterr().err == ""
    said = [*caplog.get_records("call"), *caplog.records]
    assert [r for r in said if r.name.startswith("opentelemetry")] == []
    assert gpt.health.bulkhead.inside == 0
    ids = [span.context.span_id for span in spy.spans]
    assert len(ids) == len(set(ids))


def check_abandoned(spy, outcome="abandoned") -> None:
    (call,), (leg,) = spy.calls, spy.legs
    assert as_told(call)["pilotlight.call.outcome"] == outcome
    expected = "abandoned" if outcome == "abandoned" else None
    assert as_told(leg).get("pilotlight.attempt.outcome") == expected
    for span in (call, leg):
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in as_told(span)


def in_thread(work) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("by", ["close", "collector", "other thread", "other context"])
@pytest.mark.parametrize("door", ["client", "decorator"])
def test_a_stream_left_half_way(route, spy, door, by):
    stream = route.stream(HELLO) if door == "client" else decorated("stream", route)()
    assert next(stream)
    if by == "close":
        stream.close()
    elif by == "other thread":
        in_thread(stream.close)
    elif by == "other context":
        contextvars.copy_context().run(stream.close)
    del stream
    gc.collect()
    check_abandoned(spy)


@pytest.mark.parametrize("by", ["aclose", "other task", "dropped", "cancelled"])
@pytest.mark.parametrize("door", ["client", "decorator"])
def test_an_async_stream_left_half_way(route, spy, door, by):
    async def main():
        stream = route.astream(HELLO) if door == "client" else decorated("astream", route)()
        if by == "cancelled":
            task = asyncio.create_task(read_and_wait(stream))
            for _ in range(20):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return
        await anext(stream)
        if by == "aclose":
            await stream.aclose()
        elif by == "other task":
            await asyncio.create_task(stream.aclose())
        del stream
        gc.collect()

    async def read_and_wait(stream):
        async for _ in stream:
            await asyncio.Event().wait()

    asyncio.run(main())
    check_abandoned(spy)


def test_a_stream_that_is_never_read_has_no_span(route, spy):
    stream = route.stream(HELLO)
    del stream
    gc.collect()
    assert spy.spans == []


def test_calls_leave_their_measurements_to_whoever_collects(route, spy):
    """So does a stream that the garbage collector gives up, perhaps inside the SDK's locks,
    where a measurement would wait for itself for ever."""
    written = []
    for name in ("calls", "duration", "time_to_first"):
        instrument = getattr(spy.signals, name)
        record = instrument.record
        instrument.record = lambda *what, record=record: (written.append(what), record(*what))
    stream = route.stream(HELLO)
    next(stream)
    del stream
    gc.collect()
    list(route.stream(HELLO))
    assert len(spy.calls) == 2
    assert written == []
    points = spy.points()
    assert len(written) == 6
    durations = points["pilotlight.call.duration"]
    outcomes = {labels["pilotlight.call.outcome"]: count for labels, count in durations}
    assert outcomes == {"abandoned": 1, "primary": 1}
    assert points["gen_ai.client.operation.time_to_first_chunk"][0][1] == 2
    assert spy.points()["pilotlight.call.duration"] == durations  # once each


def test_where_nobody_collects_little_is_kept_and_nothing_is_lost(clock, spy, monkeypatch):
    monkeypatch.setattr(signals, "WAITING_AT_MOST", 20)
    route = Route("chat", (ScriptedTarget("a", *["ok"] * 100, clock=clock),), clock=clock)
    kept = []
    for _ in range(100):
        route.complete(HELLO)
        kept.append(len(spy.signals._later))
    assert max(kept) <= 20 + 4
    ((_, count),) = spy.points()["pilotlight.call.duration"]
    assert count == 100


def test_threads_that_record_together_lose_nothing(spy):
    signals, together = spy.signals, threading.Barrier(4)
    for _ in range(2000):
        signals.measure(signals.calls.record, 1.0, {"pilotlight.route": "r"})

    def record():
        together.wait(PATIENCE)
        signals.record()

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert spy.points()["pilotlight.call.duration"] == [({"pilotlight.route": "r"}, 2000)]


def test_a_call_cancelled_in_an_attempt(route, gpt, spy):
    async def main():
        begun = asyncio.Event()

        async def hang(call, attempt):
            begun.set()
            await asyncio.Event().wait()

        gpt.provider.acomplete = hang
        task = asyncio.create_task(route.acomplete(HELLO))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    check_abandoned(spy, "cancelled")


def test_a_coroutine_closed_from_another_context(route, gpt, spy):
    """As the collector does with a task that nobody holds: its context is gone by then."""

    class Forever:
        def __await__(self):
            yield

    async def hang(call, attempt):
        await Forever()

    gpt.provider.acomplete = hang
    coroutine = route.acomplete(HELLO)

    async def begin():
        contextvars.copy_context().run(coroutine.send, None)

    asyncio.run(begin())
    coroutine.close()
    check_abandoned(spy, "cancelled")


def test_a_stream_read_in_another_thread_belongs_to_its_caller(route, spy):
    with spy.tracer.start_as_current_span("the request") as request:
        stream = route.stream(HELLO)
    in_thread(lambda: list(stream))
    (call,) = spy.calls
    assert call.parent.span_id == request.get_span_context().span_id
    assert spy.legs[0].context.trace_id == call.context.trace_id


@pytest.mark.parametrize("door", ["client", "decorator"])
def test_the_consumers_spans_are_not_ours(route, spy, door):
    stream = route.stream(HELLO) if door == "client" else decorated("stream", route)()
    with spy.tracer.start_as_current_span("the request") as request:
        next(stream)
        with spy.tracer.start_as_current_span("between chunks"):
            pass
        list(stream)
    finished = {span.name: span for span in spy.exporter.get_finished_spans()}
    assert finished["between chunks"].parent.span_id == request.get_span_context().span_id


def test_two_streams_side_by_side_keep_their_trees(clock, spy):
    targets = [ScriptedTarget(name, "one two", clock=clock) for name in "ab"]
    streams = [Route(t.name, (t,), clock=clock).stream(HELLO) for t in targets]
    for _ in range(3):
        for stream in streams:
            next(stream)
    for stream in streams:
        assert list(stream) == []
    parents = {s.attributes["pilotlight.route"]: s.context.span_id for s in spy.calls}
    assert {s.attributes["pilotlight.target"]: s.parent.span_id for s in spy.legs} == parents


# The shield.


@pytest.mark.parametrize("shape", ["complete", "acomplete", "stream", "astream"])
def test_what_a_provider_does_is_below_its_leg_and_writes_on_nothing(route, gpt, spy, shape):
    """Foreign code decorates the current span with the prompt; children find their parent."""
    plain = type(gpt.provider)

    def meddle():
        trace.get_current_span().set_attribute("leaked.prompt", "a secret")
        assert otel.get_value("suppress_language_model_instrumentation") is True
        with spy.tracer.start_as_current_span("POST"):
            pass

    for name in ("complete", "stream", "astream"):
        real = getattr(plain, name)

        def wrapped(self, call, attempt, real=real):
            meddle()
            return real(self, call, attempt)

        setattr(gpt.provider, name, wrapped.__get__(gpt.provider))
    if shape == "complete":
        route.complete(HELLO)
    elif shape == "acomplete":
        asyncio.run(route.acomplete(HELLO))
    elif shape == "stream":
        list(route.stream(HELLO))
    else:

        async def main():
            return [chunk async for chunk in route.astream(HELLO)]

        asyncio.run(main())
    (leg,) = spy.legs
    (post,) = [s for s in spy.exporter.get_finished_spans() if s.name == "POST"]
    assert post.parent.span_id == leg.context.span_id
    assert "leaked.prompt" not in as_told(leg)
    assert "leaked.prompt" not in as_told(spy.calls[0])


@pytest.mark.parametrize("shape", ["stream", "astream"])
def test_each_next_runs_behind_the_shield(route, spy, shape):
    from pilotlight import failover

    seen = []

    def where():
        seen.append(trace.get_current_span().get_span_context().span_id)

    if shape == "stream":

        @failover(route)
        def words(*, target):
            for word in "abc":
                where()
                yield word

        list(words())
    else:

        @failover(route)
        async def awords(*, target):
            for word in "abc":
                where()
                yield word

        async def main():
            return [word async for word in awords()]

        asyncio.run(main())
    assert seen == [spy.legs[0].context.span_id] * 3


def test_other_genai_instrumentations_are_told_to_stand_down(monkeypatch, route, gpt, spy):
    import types

    util = types.ModuleType("opentelemetry.util.genai.invocation")
    util.CLIENT_INFERENCE_CONTEXT_KEY = "opentelemetry.genai.client.inference.context"
    util.InferenceData = type("InferenceData", (), {})
    monkeypatch.setitem(__import__("sys").modules, util.__name__, util)
    found = []
    real = gpt.provider.complete

    def complete(call, attempt):
        found.append(otel.get_value(util.CLIENT_INFERENCE_CONTEXT_KEY))
        return real(call, attempt)

    monkeypatch.setattr(gpt.provider, "complete", complete, raising=False)
    route.complete(HELLO)
    assert [type(each) for each in found] == [util.InferenceData]


# Parents and links.


@pytest.mark.parametrize("ambient", [True, False])
def test_attempts_are_in_one_trace(clock, spy, ambient):
    a = ScriptedTarget("a", Fault.SERVER_ERROR, clock=clock)
    route = Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock)
    if ambient:
        with spy.tracer.start_as_current_span("the request") as request:
            route.complete(HELLO)
            assert trace.get_current_span() is request
        expected = request.get_span_context().trace_id
    else:
        route.complete(HELLO)
        expected = spy.calls[0].context.trace_id
    assert {span.context.trace_id for span in spy.spans} == {expected}
    assert (spy.calls[0].parent is not None) == ambient


def test_a_trial_leads_to_the_leg_that_tripped_the_breaker(clock, spy):
    a = ScriptedTarget("a", Fault.AUTH_FAILED, "well again", clock=clock)
    route = Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock)
    route.complete(HELLO)
    (tripping,) = [leg for leg in spy.legs if as_told(leg)["pilotlight.target"] == "a"]
    assert [e.name for e in tripping.events] == [
        "pilotlight.breaker.transition",
        "pilotlight.attempt.failed",
    ]
    spy.exporter.clear()
    clock.advance(1e9)
    assert route.complete(HELLO).text == "well again"
    (trial,) = spy.legs
    assert as_told(trial)["pilotlight.breaker.state"] == "half_open"
    (link,) = trial.links
    assert link.context.span_id == tripping.context.span_id
    assert dict(link.attributes) == {"pilotlight.link.type": "breaker_trip"}
    (moved,) = trial.events
    assert moved.attributes["pilotlight.breaker.to"] == "closed"
    assert moved.attributes["pilotlight.breaker.reason"] == "probe_succeeded"


def test_the_memory_of_a_trip_ends_with_its_breaker(clock, spy):
    a = ScriptedTarget("a", Fault.AUTH_FAILED, clock=clock)
    Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock).complete(HELLO)
    assert len(spy.signals.trips) == 1
    del a
    gc.collect()
    assert len(spy.signals.trips) == 0
