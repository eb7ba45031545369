"""The trace goes along to a model that is proven to run at home, and to nobody else.

Only `traceparent` and `tracestate`, never baggage.  Closed providers get none from us;
an HTTP instrumentation that the application has installed does as it is told there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

AT_HOME: Final = "pilotlight-at-home"  # a key of OpenTelemetry's context, set by the interceptor


def trace_headers() -> Mapping[str, str]:
    """Return the headers for the attempt that is running; empty where nobody traces it."""
    context = sys.modules.get("opentelemetry.context")
    if context is None or not context.get_value(AT_HOME):
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers
