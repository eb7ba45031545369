"""Telemetry: spans, metrics and log lines of every call, for whoever has asked to hear them.

It goes along with each call as its shield, hears of targets like any listener, and tells
through opentelemetry-api and stdlib logging only.  It wakes up by itself: when a call begins
in a process that has an OpenTelemetry provider, or a log handler for "pilotlight".  Nothing
is imported before that.
`PILOTLIGHT_TELEMETRY=off` keeps it asleep, `OTEL_SDK_DISABLED=true` its spans and metrics.
"""
