"""Phoenix shows a span without a model as unknown, unless it is told that it is a chain."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from pilotlight.telemetry.names import CALL_SPAN


class Chains(SpanProcessor):
    """Marks the span of each call as a chain."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.name.startswith(CALL_SPAN):
            span.set_attribute("openinference.span.kind", "CHAIN")
