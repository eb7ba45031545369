"""Telemetry: spans, metrics and log lines of every call, for whoever has asked to hear them.

It listens to the events like anybody else, through opentelemetry-api and stdlib logging
only, and wakes up by itself: when a call begins in a process that has an OpenTelemetry
provider, or a log handler for "pilotlight".  Nothing is imported before that.
`PILOTLIGHT_TELEMETRY=off` keeps it asleep, `OTEL_SDK_DISABLED=true` its spans and metrics.
"""
