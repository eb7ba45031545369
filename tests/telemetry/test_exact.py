"""Nine scenarios in the four shapes: every span, attribute, event, link and measurement, literally.

What stands here is written by hand from the contract, and from nothing that the code computes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import Span
from ways import HELLO, SHAPES, run

from pilotlight import testing
from pilotlight.core.provider import Facts, Report
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import AllTargetsFailed, StreamInterrupted
from pilotlight.routes.route import Route
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault

FAILED = "pilotlight.errors.ProviderFault 503 overloaded_error"  # class, status, provider's code
Node = dict[str, Any]


@pytest.fixture(autouse=True)
def _as_real_providers_tell(monkeypatch):
    """Tokens and a reason with each answer, status and code with each failure."""
    monkeypatch.setattr(
        testing,
        "Facts",
        lambda model: Facts(model, 7, 3, "stop", 200, (), None, "resp-1", 5, 2),
    )
    monkeypatch.setattr(
        testing,
        "Report",
        lambda fault, error, retry_after: Report(
            fault, error, retry_after, 503, code="overloaded_error"
        ),
    )


# What is seen.


def seen(spy) -> list[Node]:
    """Every span of ours, parents first."""
    names = {each.context.span_id: each.name for each in spy.exporter.get_finished_spans()}
    return [
        {
            "name": span.name,
            "under": names[span.parent.span_id] if span.parent else None,
            "kind": span.kind.name,
            "status": (span.status.status_code.name, span.status.description),
            "attributes": dict(span.attributes),
            "events": [(each.name, dict(each.attributes)) for each in span.events],
            "links": len(span.links),
        }
        for span in [*spy.calls, *spy.legs]
    ]


def measured(spy) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Every point: its labels, and its value; of a histogram how many, of tokens their sum."""
    data = spy.reader.get_metrics_data()
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        which = "sum" if metric.name == "gen_ai.client.token.usage" else "count"
        found[metric.name] = [
            (dict(point.attributes), getattr(point, which, getattr(point, "value", None)))
            for point in metric.data.data_points
        ]
    return found


# What is expected.


def call(outcome: str, legs: int, failovers: int = 0, served: str | None = None) -> Node:
    by = {"target": served, "provider": "scripted", "model": f"scripted/{served}"}
    failed = outcome in ("exhausted", "interrupted")
    return {
        "name": "pilotlight.call chat",
        "kind": "INTERNAL",
        "status": ("ERROR", "503") if failed else ("UNSET", None),
        "attributes": {
            "pilotlight.route": "chat",
            "pilotlight.call.outcome": outcome,
            "pilotlight.attempt.count": legs,
            "pilotlight.failover.count": failovers,
            **({f"pilotlight.served.{key}": value for key, value in by.items()} if served else {}),
            **({"error.type": "503"} if failed else {}),
        },
        "events": [],
        "links": 0,
    }


def leg(target: str, shape: str, index: int = 0, **more: Any) -> Node:
    streamed = {"gen_ai.request.stream": True} if "stream" in shape else {}
    return {
        "name": f"chat {target}",
        "under": "pilotlight.call chat",
        "kind": "CLIENT",
        "status": ("UNSET", None),
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "scripted",
            "gen_ai.request.model": target,
            **streamed,
            "pilotlight.route": "chat",
            "pilotlight.target": target,
            "pilotlight.target.role": "primary" if target == "a" else "fallback",
            "pilotlight.attempt.index": index,
            "pilotlight.breaker.state": "closed",
            **more,
        },
        "events": [],
        "links": 0,
    }


def answered(target: str, shape: str, index: int = 0, **more: Any) -> Node:
    first = {"gen_ai.response.time_to_first_chunk": 0.0} if "stream" in shape else {}
    told = {
        "gen_ai.response.id": "resp-1",
        "gen_ai.response.model": f"scripted/{target}",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    return leg(target, shape, index, **told, **first, **more)


def failed(target: str, shape: str, index: int = 0, fault: str = "timeout", **more: Any) -> Node:
    error = "timeout" if fault == "timeout" else "503"
    told = {"error.type": error, "pilotlight.failover.reason": fault}
    event = ("pilotlight.attempt.failed", told)
    # A refusal costs nothing; of what broke off, nobody knows the price.
    cost = {} if "pilotlight.attempt.outcome" in more else {"pilotlight.cost": 0.0}
    return leg(target, shape, index, **told, **cost, **more) | {
        "status": ("ERROR", FAILED),
        "events": [event],
    }


def moved(reason: str) -> tuple[str, dict[str, str]]:
    names = {"from": "a", "to": "b", "reason": reason}
    return "pilotlight.failover", {f"pilotlight.failover.{k}": v for k, v in names.items()}


def skipped(reason: str) -> tuple[str, dict[str, str]]:
    told = {"pilotlight.target": "a", "pilotlight.skip.reason": reason}
    return "pilotlight.target.skipped", told


def labels(target: str, **more: Any) -> dict[str, Any]:
    asked = {"operation.name": "chat", "provider.name": "scripted", "request.model": target}
    return {f"gen_ai.{key}": value for key, value in asked.items()} | more


def of_answer(target: str, shape: str) -> dict[str, list[Any]]:
    by = {"gen_ai.response.model": f"scripted/{target}"}
    first = {"gen_ai.client.operation.time_to_first_chunk": [(labels(target), 1)]}
    return {
        "gen_ai.client.operation.duration": [(labels(target, **by), 1)],
        "gen_ai.client.token.usage": [
            (labels(target, **by, **{"gen_ai.token.type": "input"}), 7),
            (labels(target, **by, **{"gen_ai.token.type": "output"}), 3),
        ],
        **(first if "stream" in shape else {}),
    }


def of_call(outcome: str, served: str | None = None, error: str | None = None) -> dict[str, Any]:
    told = {"pilotlight.route": "chat", "pilotlight.call.outcome": outcome}
    told |= {"pilotlight.served.target": served} if served else {}
    return {"pilotlight.call.duration": [(told | ({"error.type": error} if error else {}), 1)]}


def of_failure(target: str, error: str) -> tuple[dict[str, Any], int]:
    return labels(target, **{"error.type": error}), 1


def of_move(reason: str) -> dict[str, Any]:
    names = {"from": "a", "to": "b", "reason": reason}
    told = {f"pilotlight.failover.{key}": value for key, value in names.items()}
    return {"pilotlight.failovers": [({"pilotlight.route": "chat", **told}, 1)]}


def of_skip(reason: str) -> dict[str, Any]:
    return {
        "pilotlight.target.skips": [
            ({"pilotlight.target": "a", "pilotlight.skip.reason": reason}, 1)
        ]
    }


# The scenarios: each makes its call, and returns the nodes and points that it should leave.


class Scene:
    """Two targets, the second of them local, and a clock that nobody waits for."""

    def __init__(self, shape: str, *scripts: Any) -> None:
        self.shape = shape
        self.clock = FakeClock()
        retry = RetryPolicy(max_retries=1)
        self.a, self.b = (
            ScriptedTarget(n, s, *m, clock=self.clock, retry=retry, local=n == "b", concurrency=1)
            for n, (s, *m) in zip("ab", scripts, strict=True)
        )
        self.route = Route("chat", (self.a, self.b), clock=self.clock)

    def ask(self, **how: Any) -> str:
        return run("client", self.shape, self.route, **how)

    @property
    def streamed(self) -> bool:
        return "stream" in self.shape


Expected = tuple[list[Node], dict[str, list[Any]]]


def healthy(shape: str) -> Expected:
    assert Scene(shape, ["well"], ["b"]).ask() == "well"
    points = of_answer("a", shape) | of_call("primary", "a")
    return [call("primary", 1, served="a"), answered("a", shape)], points


def retried(shape: str) -> Expected:
    scene = Scene(shape, [Fault.SERVER_ERROR, "well"], ["b"])
    assert scene.ask() == "well"
    (delay,) = scene.clock.slept
    again = {"error.type": "503", "pilotlight.attempt.retry_count": 1}
    node = answered("a", shape, **{"pilotlight.attempt.retry_count": 1})
    node["events"] = [("pilotlight.retry", again | {"pilotlight.retry.delay": delay})]
    points = of_answer("a", shape) | of_call("primary", "a")
    points["pilotlight.retries"] = [({"pilotlight.target": "a", "error.type": "503"}, 1)]
    return [call("primary", 1, served="a"), node], points


def failed_over(shape: str) -> Expected:
    assert Scene(shape, [Fault.TIMEOUT], ["well"]).ask() == "well"
    points = of_answer("b", shape) | of_call("failover", "b") | of_move("timeout")
    points["gen_ai.client.operation.duration"].insert(0, of_failure("a", "timeout"))
    top = call("failover", 2, 1, served="b") | {"events": [moved("timeout")]}
    return [top, failed("a", shape), answered("b", shape, 1)], points


def exhausted(shape: str) -> Expected:
    scene = Scene(shape, [Fault.TIMEOUT], [Fault.LOCAL_RUNNER_CRASHED])
    with pytest.raises(AllTargetsFailed):
        scene.ask()
    points = of_call("exhausted", error="503") | of_move("timeout")
    durations = [of_failure("a", "timeout"), of_failure("b", "503")]
    points["gen_ai.client.operation.duration"] = durations
    top = call("exhausted", 2, 1) | {"events": [moved("timeout")]}
    left = [failed("a", shape), failed("b", shape, 1, "local_runner_crashed")]
    return [top, *left], points


def interrupted(shape: str) -> Expected:
    """Before its first text a broken stream fails over, and a whole answer shows no part of it."""
    fault = "stream_interrupted"
    broken = Fails(Fault.STREAM_INTERRUPTED, after="once upon ")
    scene = Scene(shape, [broken], ["well"])
    if not scene.streamed:
        scene = Scene(shape, [broken, broken], ["well"])
        assert scene.ask() == "well"
        (delay,) = scene.clock.slept
        again = {"error.type": "503", "pilotlight.attempt.retry_count": 1}
        node = failed("a", shape, 0, fault, **{"pilotlight.attempt.retry_count": 1})
        node["events"].insert(0, ("pilotlight.retry", again | {"pilotlight.retry.delay": delay}))
        points = of_answer("b", shape) | of_call("failover", "b") | of_move(fault)
        points["gen_ai.client.operation.duration"].insert(0, of_failure("a", "503"))
        points["pilotlight.retries"] = [({"pilotlight.target": "a", "error.type": "503"}, 1)]
        top = call("failover", 2, 1, served="b") | {"events": [moved(fault)]}
        return [top, node, answered("b", shape, 1)], points
    with pytest.raises(StreamInterrupted):
        scene.ask()
    points = of_call("interrupted", error="503")
    points["gen_ai.client.operation.duration"] = [of_failure("a", "503")]
    points["gen_ai.client.operation.time_to_first_chunk"] = [(labels("a"), 1)]
    more = {
        "pilotlight.attempt.outcome": "interrupted",
        "gen_ai.response.time_to_first_chunk": 0.0,
    }
    return [call("interrupted", 1), failed("a", shape, 0, fault, **more)], points


def abandoned(shape: str) -> Expected:
    """Only a stream can be left half-way; a call that is dropped is cancelled."""
    if "stream" not in shape:
        return cancelled(shape)
    scene = Scene(shape, ["one two three"], ["b"])
    if shape == "stream":
        stream = scene.route.stream(HELLO)
        next(stream)
        stream.close()
    else:
        asyncio.run(_read_one(scene.route))
    points = of_call("abandoned")
    points["gen_ai.client.operation.duration"] = [(labels("a"), 1)]
    points["gen_ai.client.operation.time_to_first_chunk"] = [(labels("a"), 1)]
    more = {
        "pilotlight.attempt.outcome": "abandoned",
        "gen_ai.response.time_to_first_chunk": 0.0,
    }
    return [call("abandoned", 1), leg("a", shape, **more)], points


async def _read_one(route: Route) -> None:
    stream = route.astream(HELLO)
    await anext(stream)
    await stream.aclose()


class Stuck:
    """A provider that never answers: sync code is interrupted at it, a task cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def complete(self, *_: Any) -> Any:
        raise KeyboardInterrupt

    async def acomplete(self, *_: Any) -> Any:
        self.begun.set()
        await asyncio.Event().wait()

    def stream(self, *_: Any) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        raise KeyboardInterrupt

    astream = stream

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        await self.acomplete()

    commits = ended = failed = lambda *_: None

    def prepare(self) -> None: ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def cancelled(shape: str) -> Expected:
    scene = Scene(shape, ["never"], ["b"])
    scene.a.provider = stuck = Stuck()
    if shape in ("complete", "stream"):
        with pytest.raises(KeyboardInterrupt):
            scene.ask()
    else:
        asyncio.run(_cancel(scene, stuck))
    assert scene.a.health.bulkhead.inside == 0
    points = of_call("cancelled")
    points["gen_ai.client.operation.duration"] = [(labels("a"), 1)]
    return [call("cancelled", 1), leg("a", shape)], points


async def _cancel(scene: Scene, stuck: Stuck) -> None:
    async def ask() -> None:
        if scene.streamed:
            await anext(scene.route.astream(HELLO))
        else:
            await scene.route.acomplete(HELLO)

    task = asyncio.create_task(ask())
    await stuck.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def skipped_by_breaker(shape: str) -> Expected:
    scene = Scene(shape, ["never"], ["well"])
    scene.a.health.breaker.trip("forced", 60.0)
    assert scene.ask() == "well"
    points = of_answer("b", shape) | of_call("failover", "b")
    points |= of_move("breaker_open") | of_skip("breaker_open")
    events = [skipped("breaker_open"), moved("breaker_open")]
    return [call("failover", 1, 1, "b") | {"events": events}, answered("b", shape)], points


def refused_by_residency(shape: str) -> Expected:
    scene = Scene(shape, ["never"], ["well"])
    assert scene.ask(private=True) == "well"
    assert scene.a.calls == []
    points = of_answer("b", shape) | of_call("failover", "b")
    points |= of_move("residency") | of_skip("residency")
    rule = {"pilotlight.target": "a", "pilotlight.residency.rule": "not_local"}
    events = [skipped("residency"), ("pilotlight.residency.refused", rule), moved("residency")]
    return [call("failover", 1, 1, "b") | {"events": events}, answered("b", shape)], points


SCENARIOS: list[Callable[[str], Expected]] = [
    healthy,
    retried,
    failed_over,
    exhausted,
    interrupted,
    abandoned,
    cancelled,
    skipped_by_breaker,
    refused_by_residency,
]


@pytest.mark.parametrize("ambient", [False, True], ids=["alone", "in a request"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_every_span_and_measurement(scenario, shape, ambient, spy):
    if ambient:
        with spy.tracer.start_as_current_span("the request") as request:
            nodes, points = scenario(shape)
            in_trace(spy, request)
    else:
        nodes, points = scenario(shape)
        in_trace(spy)
    nodes[0]["under"] = "the request" if ambient else None
    assert seen(spy) == nodes
    assert measured(spy) == points


def in_trace(spy, request: Span | None = None) -> None:
    traces = {each.context.trace_id for each in spy.spans}
    assert len(traces) == 1
    assert request is None or traces == {request.get_span_context().trace_id}
