"""Closed sets, labels that can't grow without end, and the instruments of the table."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from ways import HELLO

from pilotlight import events, load
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.clock import SYSTEM_CLOCK
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.registry import REGISTRY, Endpoint
from pilotlight.routes.route import Route
from pilotlight.telemetry import listener, names, targets, words
from pilotlight.telemetry.signals import MODELS_AT_MOST, Facts
from pilotlight.testing import FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import AttemptRecord

RECORD = AttemptRecord("gpt", "openai/gpt", 0, Fault.SERVER_ERROR, None, 1.0, "closed")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"status": 429, "error_type": "openai.RateLimitError"}, "429"),
        ({"status": 503}, "503"),
        ({"fault": Fault.TIMEOUT, "status": 200}, "timeout"),
        ({"fault": Fault.STREAM_STALLED}, "timeout"),
        (
            {"status": 200, "error_type": "pilotlight.errors.ProviderFault"},
            "pilotlight.errors.ProviderFault",
        ),
        ({"error_type": "openai._exceptions.APIConnectionError"}, "openai.APIConnectionError"),
        ({"error_type": "httpx.ConnectError"}, "httpx.ConnectError"),
        ({"error_type": "builtins.OSError"}, "OSError"),
        ({"error_type": "their.own.PromptIsSecretError"}, "_OTHER"),
        ({"error_type": None}, "_OTHER"),
    ],
)
def test_error_type(changed, expected):
    assert words.error_type(replace(RECORD, **changed)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("insufficient_quota", "_OTHER 429 insufficient_quota"), ("my secret prompt", "_OTHER 429")],
)
def test_a_description_has_the_code_but_never_the_words(code, expected):
    record = replace(RECORD, status=429, code=code, evidence="my secret prompt")
    assert words.description(record) == expected


@pytest.mark.parametrize("reason", [*Fault, "slow_call_rate", "shared", "drill", "a text", ""])
def test_reasons_of_transitions_are_of_the_closed_set(reason):
    states = ("closed", "open", "half-open")
    found = {words.transition_reason(old, new, reason) for old in states for new in states}
    assert found <= words.BREAKER_REASONS | {words.OTHER}


def test_providers_have_the_conventions_names():
    models = ("gemini/x", "azure/x", "mistral/x", "ollama_chat/x", "openai/x", "their/x")
    assert [words.provider_name(each) for each in models] == [
        "gcp.gemini",
        "azure.ai.openai",
        "mistral_ai",
        "ollama",
        "openai",
        "their",
    ]


def test_a_target_has_its_address():
    app = load({"targets": {"a": {"model": "openai/x", "api_base": "https://llm.example/v1"}}})
    facts = Facts.of(app.target("a"))
    assert (facts.labels["server.address"], facts.labels["server.port"]) == ("llm.example", 443)


def test_a_provider_that_names_ever_new_models_makes_no_endless_labels():
    facts = Facts.of(ScriptedTarget("a"))
    for number in range(10 * MODELS_AT_MOST):
        facts.measured(f"model-{number}")
    found = {facts.measured(f"model-{n}")["gen_ai.response.model"] for n in range(1000)}
    assert len(found) == MODELS_AT_MOST + 1


def test_a_breakers_status_is_one_of_three(spy):
    endpoint = Endpoint.of("http://a", "m", None, SYSTEM_CLOCK)
    health = REGISTRY.health(endpoint, "gpt", BreakerPolicy(), RetryPolicy())

    def states():
        found = spy.points().get("pilotlight.breaker.status", [])
        return {labels["pilotlight.breaker.state"]: value for labels, value in found}

    assert states() == {"closed": 1, "open": 0, "half_open": 0}
    health.breaker.trip("outage", 60.0)
    assert states() == {"closed": 0, "open": 1, "half_open": 0}


def test_a_bulkheads_places_are_shown(spy):
    endpoint = Endpoint.of("http://a", "m", None, SYSTEM_CLOCK)
    health = REGISTRY.health(endpoint, "local", BreakerPolicy(), RetryPolicy(), 1, 4)
    held = [health.bulkhead.enter(None) for _ in range(3)]

    def places(metric):
        found = spy.points()[f"pilotlight.bulkhead.{metric}"]
        return {labels["pilotlight.bulkhead.state"]: value for labels, value in found}

    assert places("calls") == {"inside": 1, "waiting": 2}
    assert places("limit") == {"inside": 1, "waiting": 4}
    for ticket in held:
        ticket.release()
    assert places("calls") == {"inside": 0, "waiting": 0}


def test_the_days_that_a_model_has_left(spy):
    ahead = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    targets = {
        "old": {"model": "openai/x", "retires": ahead},
        "young": {"model": "openai/y"},
        "own": {"model": "ollama/z", "retires": ahead},
    }
    load({"targets": targets, "routes": {"chat": {"targets": [*targets]}}}).route("chat")
    ((labels, days),) = spy.points()["pilotlight.target.retirement"]
    assert labels == {
        "pilotlight.target": "old",
        "pilotlight.retirement.source": "configuration",
    }
    assert days in (9, 10)  # the UTC day may turn in between


def test_the_breakers_moves_reach_the_counter(spy, clock):
    """From the breaker itself, by its event."""
    endpoint = Endpoint.of("http://a", "m", None, clock)
    health = REGISTRY.health(endpoint, "gpt", BreakerPolicy(), RetryPolicy())
    listener.awaken()
    health.breaker.trip("rate_limited", 10.0)
    clock.advance(11)
    health.breaker.acquire().success()
    moves = [
        (*(labels[f"pilotlight.breaker.{key}"] for key in ("from", "to", "reason")), value)
        for labels, value in spy.points()["pilotlight.breaker.transitions"]
    ]
    assert sorted(moves) == [
        ("closed", "open", "failure_threshold", 1),
        ("half_open", "closed", "probe_succeeded", 1),
        ("open", "half_open", "cooldown_elapsed", 1),
    ]


def test_checks_are_measured(spy):
    listener.listen(events.HealthChecked("local", "loaded", 0.1, None))
    listener.listen(events.HealthChecked("local", "missing", 0.2, "not there"))
    assert spy.points()["pilotlight.health_check.duration"] == [
        ({"pilotlight.target": "local"}, 1),
        ({"pilotlight.target": "local", "error.type": "missing"}, 1),
    ]
    listener.listen(events.HealthChecked("local", "loaded", 0.1, None))


@pytest.mark.parametrize("wanted", [False, True])
def test_checks_are_traced_where_that_is_wanted(spy, monkeypatch, wanted):
    monkeypatch.setattr(targets, "trace_checks", wanted)
    with spy.tracer.start_as_current_span("somebody's own"):
        listener.listen(events.HealthChecked("local", "missing", 0.5, "not there"))
        listener.listen(events.HealthChecked("local", "loaded", 0.25, None))
    found = [
        (
            span.name,
            span.kind,
            span.parent,
            span.status.status_code,
            span.status.description,
            dict(span.attributes),
            (span.end_time - span.start_time) / 1e9,
        )
        for span in spy.spans
    ]
    name, home = "pilotlight.health_check local", {"pilotlight.target": "local"}
    ill = home | {"error.type": "missing"}
    assert (
        found
        == [
            (name, SpanKind.INTERNAL, None, StatusCode.ERROR, "missing", ill, 0.5),
            (name, SpanKind.INTERNAL, None, StatusCode.UNSET, None, home, 0.25),
        ][: 2 * wanted]
    )


def test_instruments_are_those_of_the_table(spy):
    """Names, units, buckets, and no label that is not in the table."""
    clock = FakeClock()
    retry = RetryPolicy(max_retries=1)
    a = ScriptedTarget("a", Fault.SERVER_ERROR, clock=clock, retry=retry)
    route = Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock)
    list(route.stream(HELLO))
    data = spy.reader.get_metrics_data()
    rows = {row.name: row for row in names.METRICS}
    found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    assert len(found) >= 5
    for metric in found:
        row = rows[metric.name]
        assert (metric.unit, metric.description) == (row.unit, row.meaning)
        for point in metric.data.data_points:
            assert set(point.attributes) <= set(row.attributes)
            if row.buckets:
                assert tuple(point.explicit_bounds) == row.buckets
    assert names.SECONDS[-1] == pytest.approx(81.92)
    assert names.TOKENS[-1] == 67108864


def test_what_spans_carry_is_in_the_table(spy):
    clock = FakeClock()
    route = Route("chat", (ScriptedTarget("a", clock=clock),), clock=clock)
    asked = {"temperature": 0.5, "max_tokens": 5, "n": 2, "stop": "x", "seed": 1, "top_p": 0.1}
    list(route.stream(HELLO, **asked, response_format={"type": "json_object"}))
    for span, row in zip((spy.calls[0], spy.legs[0]), names.SPANS[:2], strict=True):
        assert set(span.attributes) <= {*row.at_start, *row.at_end}
        assert span.name.startswith(re.split(r"\{", row.name)[0])
    told = dict(spy.legs[0].attributes)
    assert told["gen_ai.request.stop_sequences"] == ("x",)
    assert (told["gen_ai.output.type"], told["gen_ai.request.choice.count"]) == ("json", 2)
