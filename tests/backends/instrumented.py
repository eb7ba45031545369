"""One call in a process where somebody else instruments model calls as well.

    python -m tests.backends.instrumented <instrumentor> <shape> <via>

Prints one line of JSON: every span with its parent, and who of them shows the prompt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import litellm
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import pilotlight
from pilotlight_chaos import ChaosServer

PROMPT = "zebraquartz"
ASK = [{"role": "user", "content": PROMPT}]
INSTRUMENTORS = {
    "httpx": "opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor",
    "genai": "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    "openllmetry": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    "openinference-openai": "openinference.instrumentation.openai:OpenAIInstrumentor",
    "openinference-litellm": "openinference.instrumentation.litellm:LiteLLMInstrumentor",
}
CALLBACK = "litellm-callback"
USAGE = "gen_ai.client.token.usage"


def instrument(name: str) -> None:
    if name == CALLBACK:
        from litellm.integrations.opentelemetry import OpenTelemetry

        litellm.callbacks = [OpenTelemetry()]
    elif name != "none":
        module, _, kind = INSTRUMENTORS[name].partition(":")
        getattr(import_module(module), kind)().instrument()


def ask(shape: str, via: str) -> None:
    """Ask by the client, `via` litellm or directly; or by a decorated function with its own SDK."""
    with ChaosServer(reply="fine") as chaos:
        base = f"{chaos.base('gpt')}/v1"
        target = {"model": "openai/gpt-4o-mini", "api_base": base, "api_key": "sk-x"}
        if via == "litellm":
            target["via"] = via
        settings = {"targets": {"gpt": target}, "routes": {"chat": {"targets": ["gpt"]}}}
        route = pilotlight.load(settings).route("chat")

        @pilotlight.failover(route)
        def sdk(*, target: Any) -> Any:
            import openai

            with openai.OpenAI(**target.openai_kwargs) as client:
                return client.chat.completions.create(model=target.model, messages=ASK)

        ways: dict[str, Callable[[], Any]] = {
            "complete": lambda: route.complete(ASK),
            "stream": lambda: list(route.stream(ASK)),
            "sdk": sdk,
        }
        ways[shape]()


def told(span: ReadableSpan, names: dict[int, str]) -> dict[str, Any]:
    attributes = dict(span.attributes or {})
    parent = names.get(span.parent.span_id) if span.parent else None
    ours = span.instrumentation_scope.name == "pilotlight"
    counts = any("token" in key and ("input" in key or "prompt" in key) for key in attributes)
    shows = PROMPT in span.to_json()
    return {"name": span.name, "parent": parent, "ours": ours, "counts": counts, "shows": shows}


def main(name: str, shape: str, via: str) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([reader]))
    instrument("httpx")
    if name != "httpx":
        instrument(name)
    ask(shape, via)
    if name == CALLBACK:  # it writes from a thread of its own, which tells nobody
        import time

        time.sleep(3)
    spans = exporter.get_finished_spans()
    names = {each.context.span_id: each.name for each in spans}
    data = reader.get_metrics_data()
    usage = [
        scope.scope.name
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == USAGE
    ]
    print(json.dumps({"spans": [told(each, names) for each in spans], "usage": usage}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
